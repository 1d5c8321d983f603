"""Thinning by a table of neighbourhoods, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

# What becomes of a set pixel, by its neighbours: NW, N, NE, E, SE, S, SW and W count 1, 2, 4 ... 128. An entry's bit 1
# removes it in first sub-iterations, bit 2 in second ones.
TABLE = bytes(
    int(entry)
    for entry in (
        "0001001300311013000000002020303300000000300000000000000020003022"
        "0000000000000000000000000000000020000000200020003000000030003020"
        "0031001300000001000000000000000131000000000000002000000000000000"
        "2313001300000001000000000000000023010001000000003301000022002000"
    )
)
_PLACES = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def skeletonize(mask: Tensor) -> Tensor:
    """First and second sub-iterations in turn, each on all pixels at once, until neither removes one."""
    now, left = mask != 0, mask.numel() > 0
    table = torch.frombuffer(bytearray(TABLE), dtype=torch.uint8).to(mask.device)
    while left:
        before = now
        for bit in (1, 2):
            now = now & (table[_neighbourhoods(now)] & bit == 0)
        left = not torch.equal(now, before)
    return now


def _neighbourhoods(mask: Tensor) -> Tensor:
    height, width = mask.shape[-2:]
    padded = pad(mask.int(), (1, 1, 1, 1))
    parts = [padded[..., y : y + height, x : x + width] << i for i, (y, x) in enumerate(_PLACES)]
    return torch.stack(parts).sum(0)
