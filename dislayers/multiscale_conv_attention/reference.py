"""The depthwise part of multi-scale convolutional attention in plain PyTorch, and its gradient in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Gradients(NamedTuple):
    """Those of the arguments of :func:`multiscale_depthwise`, in their order."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    rows: list[Tensor]
    row_biases: list[Tensor]
    columns: list[Tensor]
    column_biases: list[Tensor]


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
    a = _convolve(_exact(x, x), _exact(weight, x), _exact(bias, x))
    result = a
    for strip in zip(rows, row_biases, columns, column_biases, strict=True):
        row, row_bias, column, column_bias = (_exact(part, x) for part in strip)
        result = result + _convolve(_convolve(a, row, row_bias), column, column_bias)
    return _like(result, x)


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
    incoming, image, square = _exact(gradient, x), _exact(x, x), _exact(weight, x)
    a = _convolve(image, square, _exact(bias, x))
    of_a, of_strips = incoming, []
    for strip in zip(rows, row_biases, columns, strict=True):
        row, row_bias, column = (_exact(part, x) for part in strip)
        of_row, *of_column = _differentiate(incoming, _convolve(a, row, row_bias), column)
        through, *of_row_parameters = _differentiate(of_row, a, row)
        of_a = of_a + through
        of_strips.append((*of_row_parameters, *of_column))
    of_x, of_weight, of_bias = _differentiate(of_a, image, square)
    parameters = zip(rows, row_biases, columns, column_biases, strict=True)
    of_parameters = [[_like(g, p) for g, p in zip(*pair, strict=True)] for pair in zip(of_strips, parameters)]
    return Gradients(
        _like(of_x, x),
        _like(of_weight, weight),
        _like(of_bias, bias),
        *([strip[i] for strip in of_parameters] for i in range(4)),
    )


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A depthwise convolution that keeps the size."""
    return F.conv2d(x, weight, bias, padding=_padding(weight), groups=len(weight))


def _differentiate(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the input, the weight and the bias of :func:`_convolve` get."""
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, [len(weight)], [1, 1], _padding(weight), [1, 1], False, [0, 0], len(weight), [True] * 3
    )
    return result


def _padding(weight: Tensor) -> list[int]:
    return [weight.shape[-2] // 2, weight.shape[-1] // 2]


def _exact(tensor: Tensor, x: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(x.dtype, torch.float32))


def _like(result: Tensor, tensor: Tensor) -> Tensor:
    """A new tensor with the dtype and layout of another."""
    return torch.empty_like(tensor).copy_(result)
