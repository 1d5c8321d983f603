"""Binary morphology with the 4-neighbour cross."""

from dislayers.morphology.op import dilate, erode

__all__ = ["dilate", "erode"]
