"""The measures as their authors compute them, written anew with the authors' own libraries: oracles and peers of ours."""
