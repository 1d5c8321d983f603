"""Which samples make up which batch: a function of seed and step, so that a run can go on anywhere, in any company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from dismodels.data.folder import Progress


class Pairs(Protocol):
    """A set of samples: item i is (image uint8 (3, S, S), mask uint8 (1, S, S) of 0..255)."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The image and mask at index."""
        ...


@dataclass(frozen=True)
class Draw:
    """One sample of a batch: which one, and whether it is mirrored."""

    index: int
    flipped: bool


class BatchSampler(Sampler[list[Draw]]):
    """Batches of one process, from a step to the last.

    Samples come in shuffled order, each once before any comes again; batches run across that boundary. All processes
    draw the same batch and each takes its own part, so the batch does not depend on how many there are.

    Args:
        length: number of samples.
        batch_size: samples in a batch, over all processes.
        start: steps already done.
        steps: step after which it ends.
        seed: decides order and flips.
        flip: whether half of the samples, by chance, are mirrored.
        process: index of this process.
        processes: their number, which divides batch_size.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        start: int,
        steps: int,
        seed: int,
        flip: bool = True,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.length, self.batch_size, self.start, self.steps = length, batch_size, start, steps
        self.seed, self.flip, self.process, self.processes = seed, flip, process, processes

    def __len__(self) -> int:
        return max(0, self.steps - self.start)

    def __iter__(self) -> Iterator[list[Draw]]:
        part = self.batch_size // self.processes
        first = self.process * part
        epoch, drawn = -1, []
        for step in range(self.start, self.steps):
            batch = []
            for position in range(step * self.batch_size + first, step * self.batch_size + first + part):
                if position // self.length != epoch:
                    epoch = position // self.length
                    drawn = self._epoch(epoch)
                batch.append(drawn[position % self.length])
            yield batch

    def _epoch(self, epoch: int) -> list[Draw]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(self.length, generator=generator).tolist()
        flips = (torch.rand(self.length, generator=generator) >= 0.5).tolist()
        return [Draw(index, flipped and self.flip) for index, flipped in zip(order, flips, strict=True)]


class DrawnPairs(Dataset[tuple[Tensor, Tensor]]):
    """Samples by :class:`Draw`: the pair at its index, mirrored left to right where it says so."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        image, mask = self.pairs[draw.index]
        return (image.flip(-1), mask.flip(-1)) if draw.flipped else (image, mask)


class PairsInMemory(Dataset[tuple[Tensor, Tensor]]):
    """Pairs that are costly to make, made once and kept.

    Args:
        pairs: what to make and keep.
        progress: called with the number of pairs done and of all.
    """

    def __init__(self, pairs: Pairs, progress: Progress | None = None) -> None:
        made = []
        for index in range(len(pairs)):
            made.append(pairs[index])
            if progress:
                progress(len(made), len(pairs))
        self.images = torch.stack([image for image, _ in made])
        self.masks = torch.stack([mask for _, mask in made])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.masks[index]
