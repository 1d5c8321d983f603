"""Binary morphology with the 3x3 cross or square."""

from dislayers.morphology.op import dilate, erode

__all__ = ["dilate", "erode"]
