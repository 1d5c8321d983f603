"""Contours of binary masks, and polygons that approximate curves."""

from dislayers.contours.op import (
    Contours,
    Curves,
    Distance,
    approximate_polygon,
    approximate_polygons,
    check_tolerance,
    contours,
)

__all__ = [
    "Contours",
    "Curves",
    "Distance",
    "approximate_polygon",
    "approximate_polygons",
    "check_tolerance",
    "contours",
]
