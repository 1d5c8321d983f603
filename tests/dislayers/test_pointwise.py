"""The 1x1 convolution is PyTorch's own, whatever it takes for it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dislayers import Pointwise, fold_batch_norm, pointwise


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 40, 17, 9), (1, 3, 1, 1), (0, 4, 5, 5)])
def test_values_and_gradients_are_those_of_a_convolution(shape, dtype, layout, threads) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(dtype).contiguous(memory_format=layout)
    weight, bias = (torch.randn(size, generator=generator).to(dtype) for size in ((24, shape[1], 1, 1), (24,)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, expected = (_with_gradients(convolution, x, weight, bias) for convolution in (pointwise, F.conv2d))
    finally:
        torch.set_num_threads(before)
    assert found[0].stride() == expected[0].stride()
    tolerance = 0.02 if dtype is torch.bfloat16 else 5e-5
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def _with_gradients(convolution, *arguments: torch.Tensor) -> list[torch.Tensor]:
    leaves = [argument.clone().requires_grad_() for argument in arguments]
    result = convolution(*leaves)
    return [result.detach(), *torch.autograd.grad(result.sin().sum(), leaves)]


def test_the_layer_has_the_parameters_of_a_convolution_and_compiles() -> None:
    layer, convolution = Pointwise(5, 7), nn.Conv2d(5, 7, 1)
    layer.load_state_dict(convolution.state_dict())
    x = torch.randn(2, 5, 6, 4)
    torch.testing.assert_close(layer(x), convolution(x))
    torch.testing.assert_close(torch.compile(layer, fullgraph=True)(x), convolution(x))
    assert Pointwise(5, 7, bias=False).bias is None


def test_a_batch_norm_after_it_is_folded() -> None:
    model = nn.Sequential(Pointwise(5, 7), nn.BatchNorm2d(7)).eval()
    nn.init.uniform_(model[1].weight)
    folded, x = fold_batch_norm(model), torch.randn(2, 5, 6, 4)
    assert isinstance(folded[0], Pointwise)
    assert isinstance(folded[1], nn.Identity)
    torch.testing.assert_close(folded(x), model(x))
