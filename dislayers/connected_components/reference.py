"""Connected components in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def connected_components(mask: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    """Every pixel points to an earlier one of its component, in the end to the first; the first ones are numbered.

    Where a pixel sees one that points further back, the pixel to which it points follows; then all take a short cut.
    """
    height, width = mask.shape[-2:]
    inside, nowhere = mask != 0, height * width
    pixels = torch.arange(nowhere, device=mask.device).view(height, width)

    def flat(places: Tensor) -> Tensor:
        """Places of pixels, with one behind for those that are not set."""
        return pad(places.where(inside, nowhere).flatten(-2), (0, 1), value=nowhere)

    now, before = flat(pixels.expand_as(mask)), None
    while before is None or not torch.equal(now, before):
        before = now
        seen = flat(_least_around(now[..., :-1].reshape(mask.shape), connectivity, nowhere))
        hooked = now.scatter_reduce(-1, now, seen, "amin")
        now = hooked.gather(-1, hooked)
    first = now[..., :-1] == pixels.flatten()
    labels = pad(first.cumsum(-1), (0, 1)).gather(-1, now)[..., :-1]
    return labels.reshape(mask.shape).int(), first.sum(-1)


def _least_around(values: Tensor, connectivity: int, nowhere: int) -> Tensor:
    height, width = values.shape[-2:]
    padded = pad(values, (1, 1, 1, 1), value=nowhere)
    rows = [padded[..., y : y + height, :] for y in range(3)]
    if connectivity == 8:
        middle = torch.stack(rows).amin(0)
        return torch.stack([middle[..., x : x + width] for x in range(3)]).amin(0)
    columns = [rows[1][..., x : x + width] for x in range(3)]
    return torch.stack([rows[0][..., 1:-1], rows[2][..., 1:-1], *columns]).amin(0)
