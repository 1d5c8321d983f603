"""The synthetic scenes as a dataset."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dismodels.data.synthetic.scene import LEVELS, Scene, check_arguments, render, scene_name


class SyntheticDataset(Dataset[tuple[Tensor, Tensor]]):
    """Scenes rendered on demand: the same index always gives the same picture, in every process.

    Args:
        length: number of scenes.
        size: side in pixels, at least 32.
        seed: names the set; sets of different seeds share no scene.
        level: 1 to 4, or None for the levels in turn.
        contrast: in [0, 1], how plainly the objects stand out; see `render`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, length: int, size: int = 256, seed: int = 0, level: int | None = None, contrast: float = 0.8
    ) -> None:
        if length < 0:
            raise ValueError(f"length must be at least 0, got {length}")
        check_arguments(size, seed, level, contrast)
        self.length = length
        self.size = size
        self.seed = seed
        self.level = level
        self.contrast = contrast

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image uint8 (3, size, size) and mask uint8 (1, size, size) of 0 and 255."""
        scene = self.scene(index)
        return torch.from_numpy(scene.image).permute(2, 0, 1).contiguous(), torch.from_numpy(scene.mask)[None]

    def scene(self, index: int) -> Scene:
        """Scene `index` as arrays, with its name."""
        index = self._checked(index)
        return render(self.size, self.seed, self._level(index), index=index, contrast=self.contrast)

    def name(self, index: int) -> str:
        """Name of scene `index`, such as "2#Fence#5#Gate#0000_000123"; costs no rendering."""
        index = self._checked(index)
        return scene_name(self.seed, self._level(index), index)

    def _level(self, index: int) -> int:
        return self.level or LEVELS[index % len(LEVELS)]

    def _checked(self, index: int) -> int:
        if not -self.length <= index < self.length:
            raise IndexError(f"index must lie in [0, {self.length}), got {index}")
        return index % self.length
