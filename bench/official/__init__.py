"""The measures as their authors compute them, written anew: oracles and peers of ours."""
