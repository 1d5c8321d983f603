"""The patch-local gate, upsampling and concatenation of ThreshNet's decoders."""

from dislayers.patch_local.module import PatchLocalAttention
from dislayers.patch_local.op import patch_local
from dislayers.patch_local.patches import merge_patches, split_patches

__all__ = ["PatchLocalAttention", "merge_patches", "patch_local", "split_patches"]
