"""The counts of kernels and bytes, against what a reader counts by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from bench.traffic import Traffic, count
from bench.traffic_compiled import VERSION, count_compiled
from dislosses import normalized_focal_loss

needs_launcher = pytest.mark.skipif(
    find_spec("triton") is None or os.environ.get("TRITON_INTERPRET", "0") in ("1", "true", "on"),
    reason="Triton would not launch anything",
)
needs_inductor = pytest.mark.skipif(
    not torch.__version__.startswith(f"{VERSION}."), reason=f"the inside of inductor {VERSION} is used"
)


def traffic(operation: Callable[..., Tensor], *shapes: tuple[int, ...], of: Callable[..., Traffic] = count) -> Traffic:
    """Of an operation on float32 tensors that all require a gradient."""
    return of(operation, lambda: tuple(torch.empty(shape, requires_grad=True) for shape in shapes))


def test_each_op_reads_its_inputs_and_writes_its_result_once() -> None:
    counted = traffic(lambda x, y: x.exp() * y, (6,), (6,))
    # exp: 24 + 24; mul: 48 + 24; backward mul twice for the product and once for exp: 3 (48 + 24).
    assert counted.launches == {"aten::exp": 1, "aten::mul": 4}
    assert counted.moved == 48 + 72 + 3 * 72


def test_views_and_allocations_cost_nothing() -> None:
    def operation(x: Tensor) -> Tensor:
        torch.empty(1000)
        return x.view(2, 3).t().unsqueeze(0).expand(4, 3, 2)[1:].detach() + x.detach()[0]

    counted = traffic(lambda x: operation(x) + x.sum(), (6,))
    # Two additions of 18 elements, of which 6 and 1 are read of the first; sum, and its gradient's.
    assert counted.launches == {"aten::add": 2, "aten::sum": 2}
    assert counted.moved == (24 + 4 + 72) + (24 + 4) + (72 + 4 + 72) + (72 + 4)


def test_what_expand_repeats_is_read_once() -> None:
    # The gradient of a sum is one number, seen at six places.
    assert traffic(lambda x: (x * x).sum(), (6,)).launches == {"aten::mul": 3, "aten::sum": 1, "aten::add": 1}
    assert traffic(torch.sum, (6,)).launches == {"aten::sum": 1}
    assert traffic(lambda x: (2 * x).sum(), (6,)).moved == 48 + 28 + (4 + 24)


def test_a_tensor_given_twice_is_read_once() -> None:
    counted = count(lambda x, w: (x * x).detach().sum() * w, lambda: (torch.empty(6), torch.ones(1).requires_grad_()))
    assert counted.moved == (24 + 24) + (24 + 4) + 12 + 12


def test_an_op_in_place_reads_and_writes_while_a_copy_only_writes() -> None:
    def with_scratch(x: Tensor) -> Tensor:
        scratch = torch.zeros(6)
        scratch.add_(x.detach())
        scratch.copy_(x.detach())
        return x.neg()

    counted = traffic(with_scratch, (6,))
    assert counted.launches == {"aten::zero_": 1, "aten::add_": 1, "aten::copy_": 1, "aten::neg": 2}
    assert counted.moved == 24 + 72 + 48 + 2 * 48


def test_composite_ops_are_taken_apart() -> None:
    assert traffic(torch.nn.functional.l1_loss, (6,), (6,)).launches["aten::l1_loss"] == 0
    assert traffic(torch.nn.functional.conv2d, (1, 1, 8, 8), (1, 1, 3, 3)).launches == {
        "aten::convolution": 1,
        "aten::convolution_backward": 1,
    }


def test_what_is_kept_for_backward_leaves_inputs_out() -> None:
    assert traffic(lambda x, y: x * y, (6,), (6,)).kept == 0
    assert traffic(lambda x, y: x.exp() * y.exp(), (6,), (6,)).kept == 48


def test_without_a_gradient_only_the_way_forward_counts() -> None:
    counted = count(torch.exp, lambda: (torch.empty(6),))
    assert counted.launches == {"aten::exp": 1}
    assert (counted.moved, counted.kept) == (48, 0)


def test_a_size_that_would_not_fit_costs_nothing() -> None:
    assert traffic(torch.exp, (1 << 40,)).moved == (2 + 3) << 42


@needs_launcher
def test_launches_of_triton_kernels_are_noted_with_their_tensors() -> None:
    import triton

    @triton.jit
    def scale(x_ptrs, result_ptr, factor, IN_PLACE):  # type: ignore[no-untyped-def]
        pass

    def operation(x: Tensor) -> Tensor:
        values = x.detach()
        scale[(1,)]((values, values[:2]), torch.empty(6, dtype=torch.uint8), 2.0, IN_PLACE=False)
        scale[(1,)]((values,), values, 2.0, IN_PLACE=True)
        return x.neg()

    def arguments() -> tuple[Tensor]:
        return (torch.empty(6, requires_grad=True),)

    counted = count(operation, arguments)
    assert counted.launches == {"scale": 2, "aten::neg": 2}
    assert counted.moved == (24 + 8 + 6) + (24 + 24) + 2 * 48
    # What a gradient of 1 leaves idle is launched all the same.
    idle = count(operation, arguments, {"scale": "IN_PLACE"})
    assert idle.launches == counted.launches
    assert idle.moved == counted.moved - 48


@needs_launcher
def test_ops_of_ours_run_what_they_run_on_a_gpu() -> None:
    def arguments() -> tuple[Tensor, Tensor]:
        return torch.empty(2, 1, 64, 64, requires_grad=True), torch.empty(2, 1, 64, 64, dtype=torch.bool)

    counted = count(normalized_focal_loss, arguments)
    assert sum(number for name, number in counted.launches.items() if "aten" not in name) == 3
    # Forward reads logits and labels, backward reads them again and writes a gradient; the rest is small.
    large = 2 * 64 * 64 * (4 + 1 + 4 + 1 + 4)
    assert large < counted.moved < large + 500
    assert counted.kept < 100


@needs_inductor
def test_a_compiled_chain_is_one_kernel_each_way() -> None:
    counted = traffic(lambda x: x.sigmoid().exp().sin(), (1 << 20,), of=count_compiled)
    assert counted.launches == {"generated": 2}
    assert counted.moved == (2 + 3) << 22
    assert counted.kept == 0


@needs_inductor
def test_compiled_reductions_and_library_calls() -> None:
    # 4 MiB are reduced in two kernels; backward writes them out of one number.
    counted = traffic(lambda x: x.exp().sum(), (1 << 20,), of=count_compiled)
    assert counted.launches == {"generated": 3}
    assert (3 << 22) < counted.moved < (3 << 22) + (1 << 14)
    products = traffic(lambda x, y: x @ y, (512, 512), (512, 512), of=count_compiled)
    assert products.launches == {"library": 3}
    assert products.moved == 3 * 3 << 20
