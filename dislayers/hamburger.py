"""The hamburger: a low-rank model of the whole feature map between two linear layers, as global context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from dislayers._runtime import check
from dislayers.nmf import nmf
from dislayers.pointwise import Pointwise

BASES = ("seeded", "random")


class Hamburger(nn.Module):
    """Global context by matrix factorisation: ``relu(x + norm(conv_out(nmf(relu(conv_in(x))))))``.

    Both convolutions are 1x1, the first has a bias, the norm is a group norm. The factorisation, :func:`dislayers.nmf`,
    starts from random bases of norm 1, in training drawn afresh for every sample of every call.

    Args:
        channels: of input and output.
        rank: of the factorisation.
        steps: of the factorisation in training.
        eval_steps: in evaluation, by default one more.
        bases: of evaluation. "seeded": the same ones for every sample of every call, so that an image gives one result,
            alone or in a batch; "random": drawn as in training, as the official code does.
        seed: of the seeded bases.
        groups: of the group norm, a divisor of channels.

    Shape:
        (B, channels, H, W) -> the same, with the layout and dtype of x (of the convolutions under autocast).

    Raises:
        TypeError: rank, steps or eval_steps is no int.
        ValueError: rank, steps or eval_steps is negative, bases is unknown, or channels is no multiple of groups.

    Numerics:
        Random bases come from PyTorch's generator of the device of x. The seeded ones come from the CPU's, are the same
        on every device and no part of the state dict.

    Source:
        Is Attention Better Than Matrix Decomposition? (Geng et al., 2021); as in the public code of SegNeXt (Guo et
        al., 2022), whose names are ``ham_in.conv``, ``ham_out.conv`` and ``ham_out.gn`` for ``conv_in``, ``conv_out``
        and ``norm``. Its rank is 16 in the tiny and small networks.
    """

    seeded_bases: Tensor

    def __init__(
        self,
        channels: int,
        rank: int = 64,
        steps: int = 6,
        *,
        eval_steps: int | None = None,
        bases: str = "seeded",
        seed: int = 0,
        groups: int = 32,
    ) -> None:
        super().__init__()
        check.count("rank", rank)
        check.count("steps", steps)
        check.one_of("bases", bases, BASES)
        self.steps = steps
        self.eval_steps = steps + 1 if eval_steps is None else eval_steps
        check.count("eval_steps", self.eval_steps)
        self.rank = rank
        self.bases = bases
        self.conv_in = Pointwise(channels, channels)
        self.conv_out = Pointwise(channels, channels, bias=False)
        self.norm = nn.GroupNorm(groups, channels)
        drawn = torch.rand(1, channels, rank, generator=torch.Generator().manual_seed(seed), device="cpu")
        self.register_buffer("seeded_bases", normalize(drawn, dim=1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add the context of the whole map to x, (B, channels, H, W)."""
        features = relu(self.conv_in(x)).flatten(2)
        steps = self.steps if self.training else self.eval_steps
        product = nmf(features, self._bases_for(features), steps).view(x.shape)
        return relu(x + self.norm(self.conv_out(product)))

    def _bases_for(self, features: Tensor) -> Tensor:
        batch, channels, _ = features.shape
        if not self.training and self.bases == "seeded":
            return self.seeded_bases.expand(batch, -1, -1)
        dtype = torch.promote_types(features.dtype, torch.float32)
        return normalize(torch.rand(batch, channels, self.rank, dtype=dtype, device=features.device), dim=1)
