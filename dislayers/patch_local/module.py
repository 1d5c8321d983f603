"""The gated, patch-local glue of a decoder level as a module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dislayers.patch_local.op import patch_local
from dislayers.pointwise import Pointwise


class PatchLocalAttention(nn.Module):
    """Gate a skip, upsample the decoder's map, concatenate them; every patch of a grid alone.

    ``cat(up(g), x * up(a))`` with ``a = sigmoid(psi(relu(gate_g(g) + gate_x(x))))``: gate_g and psi are 1x1
    convolutions with a bias, gate_x a 2x2 convolution of stride 2 without. None of them sees beyond a patch, nor does
    the upsampling ``up``, see :func:`dislayers.patch_local`. The result has a sample for each patch, so ordinary
    convolutions that follow stay within their patches, with ``padding_mode="zeros"`` or ``"replicate"`` at the edges.
    Nothing is rearranged on the way: the first level of a decoder cuts maps into patches; later ones take g as the
    level before gave it and x as the encoder did, all with the same grid; :func:`dislayers.merge_patches` comes last.

    Args:
        channels: C, of g.
        skip_channels: D, of x.
        hidden_channels: K, of the gate; C / 2 by default.

    Shape:
        (B, C, h, w) or (B * rows * columns, C, h / rows, w / columns), and (B, D, 2 h, 2 w), ->
        (B * rows * columns, C + D, 2 h / rows, 2 w / columns).

    Raises:
        ValueError: shapes do not fit, or the grid does not divide the maps.

    Source:
        ThreshNet, section 3.4, after Attention U-Net (Oktay et al., 2018).
    """

    def __init__(self, channels: int, skip_channels: int, hidden_channels: int | None = None) -> None:
        super().__init__()
        hidden = channels // 2 if hidden_channels is None else hidden_channels
        self.gate_g = Pointwise(channels, hidden)
        self.gate_x = nn.Conv2d(skip_channels, hidden, 2, stride=2, bias=False)
        self.psi = nn.Conv2d(hidden, 1, 1)

    def forward(self, g: Tensor, x: Tensor, grid: Sequence[int] = (1, 1)) -> Tensor:
        """A decoder map and its skip, by patches of a grid."""
        bias = self.psi.get_parameter("bias")
        return patch_local(g, x, self.gate_g(g), self.gate_x(x), self.psi.weight, bias, grid)
