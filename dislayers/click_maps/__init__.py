"""Maps of clicks for interactive segmentation."""

from dislayers.click_maps.op import click_maps

__all__ = ["click_maps"]
