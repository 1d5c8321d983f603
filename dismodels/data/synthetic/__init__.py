"""A built-in set for dichotomous image segmentation: thin objects on textured backgrounds, with exact masks.

curves -> sketch -> kinds -> scene -> dataset
patterns, photographs -> backgrounds, materials -> scene
"""

from dismodels.data.synthetic.dataset import SyntheticDataset
from dismodels.data.synthetic.scene import Scene, render

__all__ = ["Scene", "SyntheticDataset", "render"]
