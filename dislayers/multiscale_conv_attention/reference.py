"""The depthwise part of multi-scale convolutional attention in plain PyTorch, and its gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.layout import stored_like
from dislayers._runtime.precision import exact

Gradients = tuple[Tensor, Tensor, Tensor, list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Those of the arguments of :func:`multiscale_depthwise`, in their order."""


def multiscale_depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[Tensor],
    row_biases: Sequence[Tensor],
    columns: Sequence[Tensor],
    column_biases: Sequence[Tensor],
) -> Tensor:
    """``a + sum_i column_i(row_i(a))`` with ``a = conv(x)``, every convolution depthwise."""
    a = _convolve(exact(x, x), exact(weight, x), exact(bias, x))
    result = a
    for strip in zip(rows, row_biases, columns, column_biases, strict=True):
        row, row_bias, column, column_bias = (exact(part, x) for part in strip)
        result = result + _convolve(_convolve(a, row, row_bias), column, column_bias)
    return stored_like(result, x)


def backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[Tensor],
    row_biases: Sequence[Tensor],
    columns: Sequence[Tensor],
    column_biases: Sequence[Tensor],
) -> Gradients:
    """The gradients of :func:`multiscale_depthwise`, which computes ``a`` and what its rows give anew."""
    incoming, image, square = exact(gradient, x), exact(x, x), exact(weight, x)
    a = _convolve(image, square, exact(bias, x))
    of_a, of_strips = incoming, []
    for strip in zip(rows, row_biases, columns, column_biases, strict=True):
        row, row_bias, column, _ = (exact(part, x) for part in strip)
        of_row, *of_column = _differentiate(incoming, _convolve(a, row, row_bias), column)
        through, *of_parameters = _differentiate(of_row, a, row)
        of_a = of_a + through
        of_strips += [stored_like(g, part) for g, part in zip([*of_parameters, *of_column], strip, strict=True)]
    of_x, of_weight, of_bias = _differentiate(of_a, image, square)
    single = stored_like(of_x, x), stored_like(of_weight, weight), stored_like(of_bias, bias)
    return *single, of_strips[::4], of_strips[1::4], of_strips[2::4], of_strips[3::4]


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A depthwise convolution that keeps the size."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight, bias, padding=_padding(weight), groups=len(weight))


def _differentiate(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the input, the weight and the bias of :func:`_convolve` get."""
    padding, count = _padding(weight), len(weight)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, [count], [1, 1], padding, [1, 1], False, [0, 0], count, [True, True, False]
    )
    return of_x, of_weight, gradient.sum((0, 2, 3))  # of channels_last, PyTorch would add the bias up with 4 digits


def _padding(weight: Tensor) -> list[int]:
    return [weight.shape[-2] // 2, weight.shape[-1] // 2]
