"""Pictures to look at: images, truths and predictions side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dismodels.data.images import Pixels

LARGEST = 256


def picture_strip(samples: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Pixels:
    """Samples as columns of image, truth and prediction.

    Args:
        samples: triples of image uint8 (3, S, S), mask uint8 (1, S, S) and probability float (1, S, S) in [0, 1].

    Returns:
        uint8 (3 s, n s, 3), s being S or, if that is larger, 256.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("samples must hold at least one triple, got none")
    return np.hstack([_column(*sample) for sample in samples])


def _column(image: Tensor, mask: Tensor, probability: Tensor) -> Pixels:
    grey = (probability * 255).round().to(torch.uint8)
    rows = torch.stack([image, mask.expand_as(image), grey.expand_as(image)])
    if rows.shape[-1] > LARGEST:
        rows = F.interpolate(rows.float(), size=(LARGEST, LARGEST), mode="area").round().to(torch.uint8)
    pixels: Pixels = rows.permute(0, 2, 3, 1).flatten(0, 1).numpy()
    return pixels
