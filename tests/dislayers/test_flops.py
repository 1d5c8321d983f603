"""``torch.utils.flop_counter`` counts our ops as it counts their formulas."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dislayers import depthwise_gelu, multiscale_depthwise, nmf, pointwise_gate

B, C, D, H, W = 2, 6, 10, 9, 7
PIXELS = B * H * W


def taps(*sizes: tuple[int, int]) -> list[Tensor]:
    return [torch.empty(C, 1, *size) for size in sizes]


def biases(count: int) -> list[Tensor]:
    return [torch.empty(C) for _ in range(count)]


CASES: dict[str, tuple[Callable[[], Tensor], int]] = {
    "depthwise_gelu": (
        lambda: depthwise_gelu(torch.empty(B, C, H, W, requires_grad=True), *taps((3, 3)), *biases(1)),
        PIXELS * C * 9,
    ),
    "multiscale_depthwise": (
        lambda: multiscale_depthwise(
            torch.empty(B, C, H, W), *taps((5, 5)), *biases(1), taps((1, 7)), biases(1), taps((7, 1)), biases(1)
        ),
        PIXELS * C * (25 + 7 + 7),
    ),
    "pointwise_gate": (
        lambda: pointwise_gate(
            torch.empty(B, C, H, W), torch.empty(D, C, 1, 1), torch.empty(D), torch.empty(B, D, H, W)
        ),
        PIXELS * C * D,
    ),
    "nmf": (
        lambda: nmf(torch.rand(B, D, H * W), torch.rand(B, D, 4), steps=3),
        # A step has three products for the coefficients and three for the bases; then three, and the result.
        B * (4 * D * H * W + 3 * (2 * 4 * D * H * W + 2 * 16 * (D + H * W)) + 4 * D * H * W + 16 * (D + H * W))
        + B * 4 * D * H * W,
    ),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("op", CASES)
def test_products_are_counted(op: str, device: str) -> None:
    call, products = CASES[op]
    with torch.device(device), FlopCounterMode(display=False) as counter:
        call()
    assert counter.get_total_flops() == 2 * products


def test_backward_and_half_precision_are_counted() -> None:
    x = torch.rand(B, D, H * W, dtype=torch.bfloat16, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        out = nmf(x, torch.rand(B, D, 4), steps=2)
        forward = counter.get_total_flops()
        out.sum().backward()
    assert counter.get_total_flops() > 2 * forward


# The counter is slow to import, and tells on some machines that Triton is missing.
ORDERS = {
    "after": "import dislayers, sys; assert 'torch.utils.flop_counter' not in sys.modules",
    "before": "import torch.utils.flop_counter, dislayers",
}
COUNT = """
import torch
from torch.utils.flop_counter import FlopCounterMode
with FlopCounterMode(display=False) as counter:
    dislayers.depthwise_gelu(torch.ones(1, 2, 3, 5), torch.ones(2, 1, 3, 3), torch.ones(2))
assert counter.get_total_flops() == 2 * 2 * 15 * 9, counter.get_total_flops()
"""


@pytest.mark.parametrize("order", ORDERS)
def test_the_counter_may_be_imported_before_and_after(order: str) -> None:
    subprocess.run([sys.executable, "-c", ORDERS[order] + COUNT], check=True, timeout=60)
