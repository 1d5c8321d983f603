"""Labels that are no labels: what every loss of a target says about a mask of 0 and 255."""

from __future__ import annotations

from torch import Tensor


def check_labels(target: Tensor, ignore_label: float | None = None) -> None:
    """Raise ValueError where a target on a CPU exceeds 1; on a GPU the answer would have to be waited for."""
    if target.device.type != "cpu" or target.numel() == 0:
        return
    most = target.amax().item()
    if most > 1 and most != ignore_label:
        allowed = "in [0, 1]" if ignore_label is None else f"in [0, 1] or ignore_label {ignore_label:g}"
        raise ValueError(f"target must be {allowed}, got values up to {most:g}; divide a mask of 0 and 255 by 255")
