"""The settings that every system's training has: options of ``python -m dismodels.train``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

# A run may be taken up again on other machines and for longer; the rest decides what it computes.
_FREE_ON_RESUME = {"resume", "output", "device", "workers", "cache", "log_every", "steps"}


@dataclass(frozen=True)
class TrainSettings:
    """Train a segmentation model on images and masks, or without --data on the built-in synthetic set."""

    data: tuple[Path, ...] = ()
    """Folders of pairs: a DIS5K root (DIS-TR trains, DIS-VD validates), or folders that hold im and gt."""
    images: Path | None = None
    """A folder of images of which the masks lie in --masks, in place of --data."""
    masks: Path | None = None
    """The masks of --images, matched by stem."""
    validation: tuple[Path, ...] = ()
    """Folders of pairs to validate on; default: DIS-VD where there is one, else a tenth of the pairs, held out."""
    mask_threshold: int | None = None
    """Take mask values above this (0-255) as foreground; default: masks must be binary."""
    cache: Path | None = None
    """Where decoded, resized pairs are kept; default: the user's cache folder."""

    output: Path = Path("runs/isnet")
    """Folder of the run: weights, saved states, log.jsonl, TensorBoard, pictures."""
    resume: bool = False
    """Go on with the run in --output from its latest saved state, with its settings."""
    preset: Literal["paper", "small"] | None = None
    """paper: the paper's settings; small: minutes on two CPU cores; default: paper with data, small without."""

    size: int = 1024
    """Side of the square that images are resized to, in pixels."""
    width: float = 1.0
    """Multiplies every channel count of the networks."""
    steps: int = 100_000
    """Optimiser steps of the segmentation stage."""
    batch_size: int = 8
    """Samples a step, over all processes."""
    learning_rate: float = 1e-3
    """Adam's."""
    validate_every: int = 1000
    """Steps between validations; the state is saved after each."""
    patience: int | None = None
    """Stop after so many validations without gain; default: never."""
    flip: bool = True
    """Mirror half of the samples, by chance."""
    seed: int = 0
    """Of initial weights, order and flips."""
    synthetic_pairs: int = 3000
    """Pairs of the synthetic set when there is no data; an eighth as many validate."""

    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """Precision of the networks' arithmetic; losses are always float32."""
    compile: bool = False
    """Compile the trained model with torch.compile."""
    freeze_batch_norm: bool = False
    """Keep the statistics of batch normalisation as they are."""
    sync_batch_norm: bool = False
    """Share the statistics of batch normalisation among processes (GPUs only)."""
    device: Literal["auto", "cpu"] = "auto"
    """auto takes a GPU where there is one."""
    workers: int = 4
    """Processes that load data; 0 loads in the run's own, and keeps a synthetic set in memory."""
    log_every: int = 20
    """Steps between lines of the log."""

    def check(self) -> None:
        """Raise ValueError naming the option whose value cannot be used."""
        least = {
            "size": 32, "width": 1e-3, "steps": 1, "batch_size": 1, "validate_every": 1, "log_every": 1,
            "synthetic_pairs": 8, "workers": 0, "patience": 1,
        }  # fmt: skip
        for name, value in least.items():
            given = getattr(self, name)
            if given is not None and given < value:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {value}, got {given}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"--learning-rate must be positive, got {self.learning_rate}")
        if self.mask_threshold is not None and not 0 <= self.mask_threshold < 255:
            raise ValueError(f"--mask-threshold must be in [0, 254], got {self.mask_threshold}")
        if (self.images is None) != (self.masks is None):
            raise ValueError("--images and --masks belong together; got only one of them")
        if self.images is not None and self.data:
            raise ValueError("--images and --masks take the place of --data; got both")
        if self.validation and not self.data and self.images is None:
            raise ValueError("--validation needs --data or --images and --masks; got neither")

    @property
    def synthetic(self) -> bool:
        """Whether the run has no data but the built-in set."""
        return not self.data and self.images is None

    @property
    def wants_small(self) -> bool:
        """Whether the small preset's values are meant where no other is given."""
        return self.preset == "small" or (self.preset is None and self.synthetic)

    def small(self) -> TrainSettings:
        """These settings with the small preset's values in place of the paper's."""
        return replace(
            self, size=192, width=0.25, steps=800, validate_every=100, learning_rate=2e-3,
            log_every=10, workers=0, synthetic_pairs=640,
        )  # fmt: skip


def plain(settings: TrainSettings) -> dict[str, Any]:
    """The settings as JSON has them: paths are strings, tuples are lists."""
    return dict(json.loads(json.dumps(asdict(settings), default=str)))


def differences(now: dict[str, Any], saved: dict[str, Any]) -> list[str]:
    """What settings would compute otherwise than those of a saved run: one line an option."""
    return [
        f"--{name.replace('_', '-')}: {now.get(name)} now, {saved.get(name)} in the run"
        for name in sorted(now.keys() | saved.keys())
        if name not in _FREE_ON_RESUME and now.get(name) != saved.get(name)
    ]
