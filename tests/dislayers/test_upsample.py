"""Bilinear resizing is PyTorch's, and leaves alone what has the size."""

import pytest
import torch
import torch.nn.functional as F

from dislayers import upsample


@pytest.mark.parametrize("size", [(9, 7), (3, 2), (4, 5), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_is_pytorchs_bilinear(size: tuple[int, int], dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4, 5).to(dtype)
    expected = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(x, size), expected, rtol=0, atol=0)


def test_what_has_the_size_is_given_back() -> None:
    x = torch.randn(1, 1, 4, 5)
    assert upsample(x, x.shape[-2:]) is x
