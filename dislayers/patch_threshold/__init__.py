"""Best thresholds of a probability map, patch by patch."""

from dislayers.patch_threshold.op import PatchThreshold, patch_threshold

__all__ = ["PatchThreshold", "patch_threshold"]
