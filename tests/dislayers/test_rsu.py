"""Residual U-blocks keep their input's size and are what the paper's table says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import RSU, ConvNormAct, DilatedRSU


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(3, 7), height=st.integers(1, 40), width=st.integers(1, 40), batch=st.integers(0, 2))
def test_rsu_keeps_any_size(depth: int, height: int, width: int, batch: int) -> None:
    block = RSU(depth, 3, 2, 5).eval()
    assert block(torch.randn(batch, 3, height, width)).shape == (batch, 5, height, width)


def test_dilated_rsu_keeps_the_size() -> None:
    block = DilatedRSU(3, 2, 5).eval()
    assert block(torch.randn(2, 3, 7, 9)).shape == (2, 5, 7, 9)


def test_rsu_is_its_definition() -> None:
    """RSU-3 written out: x0, two encoder levels, the dilated bottom, two decoder levels, plus x0."""
    block = RSU(3, 3, 2, 5).eval()
    x = torch.randn(1, 3, 8, 6)
    x0 = block.input(x)
    level1 = block.encoder[0](x0)
    level2 = block.encoder[1](torch.nn.functional.max_pool2d(level1, 2))
    bottom = block.encoder[2](level2)
    up2 = block.decoder[1](torch.cat((bottom, level2), 1))
    up1 = torch.nn.functional.interpolate(up2, size=(8, 6), mode="bilinear", align_corners=False)
    expected = block.decoder[0](torch.cat((up1, level1), 1)) + x0
    torch.testing.assert_close(block(x), expected)
    assert block.encoder[2].conv.dilation == (2, 2)


def test_dilations_of_the_dilated_block() -> None:
    block = DilatedRSU(3, 2, 5)
    assert [unit.conv.dilation[0] for unit in block.encoder] == [1, 2, 4, 8]
    assert [unit.conv.dilation[0] for unit in block.decoder] == [1, 2, 4]


def test_too_shallow_is_refused() -> None:
    with pytest.raises(ValueError, match="depth must be at least 3, got 2"):
        RSU(2, 3, 2, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_channels_last_and_dtypes(dtype: torch.dtype) -> None:
    block = RSU(4, 3, 4, 5).eval().to(dtype)
    x = torch.randn(2, 3, 17, 13, dtype=dtype)
    dense, last = block(x), block(x.to(memory_format=torch.channels_last))
    assert dense.dtype == dtype
    torch.testing.assert_close(last, dense, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=2e-2)


def test_gradients_are_right() -> None:
    block = RSU(3, 2, 2, 2).double()
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


def test_compiles_whole_with_any_size() -> None:
    block = RSU(4, 3, 2, 4).eval()
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    for size in ((16, 16), (21, 13)):
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(compiled(x), block(x))


def test_unit_strides() -> None:
    assert ConvNormAct(1, 2, stride=2).eval()(torch.randn(1, 1, 5, 6)).shape == (1, 2, 3, 3)
