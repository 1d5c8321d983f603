"""Deep supervision: every proof of an op, and every fused loss is the loss of the upsampled logits."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dislayers._runtime.launch import Blocks, triton_missing
from dislosses import (
    BCEIoULoss,
    BCELoss,
    DeepSupervisionLoss,
    FocalLoss,
    IoULoss,
    NormalizedFocalLoss,
    bce_iou_loss,
    bce_loss,
    deep_supervision_loss,
    focal_loss,
    iou_loss,
    laplacian_boundary_loss,
    normalized_focal_loss,
)
from tests.harness import Op, check_op

INTERPRETED = not triton_missing("cpu")


def named(value: object) -> str:
    """The same in every process: a function's text has its address."""
    return getattr(value, "__name__", str(value))


FUSED = [
    *(bce_loss, iou_loss, bce_iou_loss, focal_loss, normalized_focal_loss),
    *(BCELoss(ignore_label=0), IoULoss(), BCEIoULoss(), FocalLoss(), NormalizedFocalLoss(0.3, 2.5, ignore_label=0)),
]
PLAIN = [
    *(F.mse_loss, BCELoss("sum"), BCELoss(input="probabilities")),
    *(NormalizedFocalLoss(max_mult=3.0), NormalizedFocalLoss(size_average=False)),
]


def by_hand(
    logits: Sequence[Tensor], target: Tensor, loss: Callable[..., Tensor] = bce_loss, **arguments: Any
) -> Tensor:
    """The value (D,) of a loss of the upsampled logits, without any of the room's code."""
    return torch.stack(
        [loss(F.interpolate(x, target.shape[-2:], mode="bilinear"), target, **arguments) for x in logits]
    )


def plain_bce(logits: Sequence[Tensor], target: Tensor, **_: object) -> Tensor:
    return by_hand(logits, target.to(logits[0].dtype), F.binary_cross_entropy_with_logits)


def sides_of(
    sizes: Sequence[tuple[int, int]], batch: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = (torch.randn(batch, 1, *size, generator=generator, dtype=torch.float32) * 3 for size in sizes)
    return [side.to(dtype).requires_grad_() for side in sides]


def target_of(height: int, width: int, batch: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(batch, 1, height, width, generator=generator) > 0.5).to(dtype)


def assert_fused(
    sizes: Sequence[tuple[int, int]], target: Tensor, loss: Callable[..., Tensor] = bce_loss, **arguments: Any
) -> None:
    """Value and gradient are those of the loss of upsampled logits."""
    sides, own = sides_of(sizes, len(target)), torch.linspace(0.5, 2, len(sizes), dtype=torch.float64)
    expected = by_hand(sides, target, loss, **arguments)
    found = deep_supervision_loss(sides, target, loss, reduction="none", **arguments)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    gradients, right = (torch.autograd.grad((x * own).sum(), sides) for x in (found, expected))
    torch.testing.assert_close(gradients, right, rtol=1e-9, atol=1e-12)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    batch, _, height, width = shape
    sizes = ((height + 1) // 2, (width + 1) // 2), (height + 1, width)
    logits = [(torch.randn(batch, 1, *size, generator=generator) * 3).to(dtype) for size in sizes]
    return (logits, torch.rand(shape, generator=generator).bfloat16().to(dtype)), {"reduction": "none"}


def loss_of(**arguments: Any) -> Tensor:
    return deep_supervision_loss(
        **{"logits": [torch.zeros(2, 1, 2, 2)], "target": torch.zeros(2, 1, 4, 4), **arguments}
    )


test_deep_supervision = check_op(
    Op(
        function=deep_supervision_loss,
        reference=plain_bce,
        make_inputs=make_inputs,
        overload=torch.ops.dislosses.deep_supervision.default,
        overload_arguments=lambda logits, target, **_: ((logits, target, "bce", [], None), {}),
        dtypes=(torch.float32,) if INTERPRETED else (torch.float32, torch.bfloat16, torch.float64),
        shapes=((2, 1, 2, 3),) if INTERPRETED else ((2, 1, 5, 7), (3, 1, 6, 9), (1, 1, 1, 1)),
        tolerances={torch.float32: (2e-5, 1e-6), torch.bfloat16: (8e-3, 1e-5)},
        differentiable=[0],
        like_first=False,
        errors=[
            (lambda: loss_of(logits=[]), ValueError, "logits must hold at least one tensor"),
            (
                lambda: loss_of(logits=torch.zeros(2, 1, 2, 2)),
                TypeError,
                "logits must be a list or tuple of tensors, got float32",
            ),
            (lambda: loss_of(logits=[torch.zeros(2, 1, 2, 2).int()]), TypeError, r"logits\[0\] must be a floating"),
            (lambda: loss_of(logits=[torch.zeros(1, 1, 2, 2)]), ValueError, r"logits\[0\] must have .* B and device"),
            (lambda: loss_of(logits=[torch.zeros(2, 1, 2, 0)]), ValueError, r"\(B, C, h, w\) with pixels"),
            (lambda: loss_of(logits=[torch.zeros(2, 2, 2)]), ValueError, r"got \(2, 2, 2\)"),
            (lambda: loss_of(target=torch.zeros(2, 1, 0, 4)), ValueError, "target must have the shape .* with pixels"),
            (lambda: loss_of(target=torch.zeros(2, 1, 4, 4).to(torch.complex64)), TypeError, "target must be a bool"),
            (
                lambda: loss_of(target=torch.zeros(2, 3, 4, 4)),
                ValueError,
                r"target must have the shape .*\(2, 3, 4, 4\)",
            ),
            (lambda: loss_of(loss="bce"), TypeError, "loss must be a function of .* got str"),
            (lambda: loss_of(loss=lambda x, t: x), ValueError, r"the value of loss must have the shape \(\)"),
            (lambda: loss_of(weights=(1, 1)), ValueError, "weights must be one a side output: expected 1, got 2"),
            (lambda: loss_of(reduction="mean"), ValueError, "reduction must be one of sum, none, got 'mean'"),
            (lambda: loss_of(sample_weight=torch.zeros(3)), ValueError, r"sample_weight must have the shape \(2,\)"),
            (lambda: loss_of(sample_weight=torch.zeros(2).int()), TypeError, "sample_weight must be a floating"),
            (lambda: loss_of(loss=F.mse_loss, sample_weight=torch.zeros(2)), TypeError, "mse_loss.*'sample_weight'"),
        ],
    )
)


@pytest.mark.parametrize("loss", FUSED, ids=named)
def test_fused_losses_are_those_of_upsampled_logits(loss: Callable[..., Tensor]) -> None:
    assert_fused([(2, 3), (4, 2)], target_of(4, 5), loss)


@pytest.mark.parametrize("loss", PLAIN, ids=named)
def test_any_other_loss_gets_upsampled_logits(loss: Callable[..., Tensor]) -> None:
    sides, target = [side.sigmoid() for side in sides_of([(3, 3), (2, 4)])], target_of(4, 6)
    expected = by_hand(sides, target, loss).sum()
    torch.testing.assert_close(deep_supervision_loss(sides, target, loss), expected)


RATIOS = {
    "1": [(6, 8)],
    "2": [(3, 4)],
    "3": [(2, 2)],
    "1.5": [(4, 6)],
    "less than 1": [(7, 19), (12, 8), (6, 9)],
    "a single value": [(1, 1)],
    "a row": [(1, 5)],
    "a column": [(5, 1)],
}


@pytest.mark.parametrize("ratio", RATIOS)
def test_any_ratio(ratio: str) -> None:
    height, width = {"3": (6, 6), "1.5": (6, 9)}.get(ratio, (6, 8))
    assert_fused(RATIOS[ratio], target_of(height, width, batch=1))


def test_64_times_as_large() -> None:
    assert_fused([(1, 2)], target_of(64, 128, batch=1))


@settings(max_examples=6 if INTERPRETED else 60, deadline=None)
@given(st.tuples(*[st.integers(1, 5 if INTERPRETED else 9)] * 4))
def test_any_size(sizes: tuple[int, int, int, int]) -> None:
    height, width, *full = sizes
    assert_fused([(height, width)], target_of(*full, batch=1))


@pytest.mark.skipif(not INTERPRETED, reason="needs TRITON_INTERPRET=1")
def test_many_programs_share_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of cells, parts of a cell, tiles of a row: what lies between programs gets all of its gradient."""
    from dislosses.deep_supervision import cut, kernel

    monkeypatch.setattr(kernel, "BLOCKS", {"default": [(1 << 62, Blocks(16, 4))]})
    monkeypatch.setattr(cut, "COLUMNS", 8)
    monkeypatch.setattr(kernel, "COLUMNS", 8)
    assert_fused([(2, 3), (4, 7), (1, 1), (6, 12)], target_of(5, 11, batch=1))


def test_sizes_beyond_the_kernels_go_to_the_reference() -> None:
    assert_fused([(1, 1)], target_of(1, 2049, batch=1))


def test_sides_of_mixed_dtypes() -> None:
    dtypes = torch.bfloat16, torch.float16, torch.float32
    sides = [side for dtype in dtypes for side in sides_of([(3, 2)], dtype=dtype)]
    target = target_of(5, 5, dtype=torch.uint8)
    found = deep_supervision_loss(sides, target, reduction="none")
    exact = [side.detach().double().requires_grad_() for side in sides]
    expected = by_hand(exact, target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    gradients, right = torch.autograd.grad(found.sum(), sides), torch.autograd.grad(expected.sum(), exact)
    assert [g.dtype for g in gradients] == list(dtypes)
    for gradient, one in zip(gradients, right, strict=True):
        torch.testing.assert_close(gradient.double(), one, rtol=8e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16])
def test_labels_of_any_dtype(dtype: torch.dtype) -> None:
    sides = sides_of([(3, 2)], dtype=torch.float32)
    labels = target_of(5, 5, dtype=dtype)
    torch.testing.assert_close(deep_supervision_loss(sides, labels), deep_supervision_loss(sides, labels.float()))


def test_weights_of_sides_and_samples() -> None:
    sides, target = sides_of([(3, 3), (2, 4)]), target_of(4, 6)
    own = torch.tensor([0.5, 3.0], dtype=torch.float64)
    expected = by_hand(sides, target, sample_weight=own)
    found = deep_supervision_loss(sides, target, weights=(2, 0.25), sample_weight=own)
    torch.testing.assert_close(found, 2 * expected[0] + expected[1] / 4)
    none = deep_supervision_loss(sides, target, weights=(2, 0.25), reduction="none", sample_weight=own)
    torch.testing.assert_close(none, expected * torch.tensor([2, 0.25], dtype=torch.float64))


@pytest.mark.parametrize(
    "loss", [BCELoss("sum"), NormalizedFocalLoss(max_mult=3.0), laplacian_boundary_loss, bce_iou_loss], ids=named
)
@pytest.mark.parametrize("planes", [1, 2])
def test_samples_are_weighted_in_any_loss_that_can(loss: Callable[..., Tensor], planes: int) -> None:
    sides = [x.detach().repeat(1, planes, 1, 1).requires_grad_() for x in sides_of([(3, 3), (2, 4)])]
    target, own = target_of(4, 6).repeat(1, planes, 1, 1), torch.tensor([0.5, 3.0], dtype=torch.float64)
    found = deep_supervision_loss(sides, target, loss, reduction="none", sample_weight=own)
    torch.testing.assert_close(found, by_hand(sides, target, loss, sample_weight=own))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_side_of_the_targets_size_is_the_loss_itself(dtype: torch.dtype) -> None:
    sides, target = sides_of([(5, 9)], dtype=dtype), target_of(5, 9, dtype=dtype)
    assert_fused([(5, 9)], target.double())
    found, expected = deep_supervision_loss(sides, target), bce_loss(sides[0], target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, sides), torch.autograd.grad(expected, sides))


def test_modules_of_losses_with_their_arguments() -> None:
    sides, target = sides_of([(3, 3), (2, 4)]), target_of(4, 6)
    target[:, :, :2] = -1
    for loss in (BCELoss(ignore_label=-1), BCELoss("sum", ignore_label=-1)):
        torch.testing.assert_close(deep_supervision_loss(sides, target, loss), by_hand(sides, target, loss).sum())
    ignoring = deep_supervision_loss(sides, target, BCELoss(ignore_label=-1))
    right = by_hand(sides, target, ignore_label=-1).sum()
    torch.testing.assert_close(torch.autograd.grad(ignoring, sides), torch.autograd.grad(right, sides))


@pytest.mark.parametrize("loss", [bce_iou_loss, NormalizedFocalLoss()], ids=named)
def test_any_loss_compiles_whole(loss: Callable[..., Tensor]) -> None:
    sides, target = sides_of([(2, 2), (1, 2)], dtype=torch.float32), target_of(3, 4)
    compiled = torch.compile(deep_supervision_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(sides, target, loss), deep_supervision_loss(sides, target, loss))


def test_all_pixels_ignored() -> None:
    sides = sides_of([(2, 3)])
    loss = deep_supervision_loss(sides, torch.full((2, 1, 4, 4), 9), BCELoss(ignore_label=9))
    assert loss == 0
    assert torch.autograd.grad(loss, sides)[0].count_nonzero() == 0


def test_several_planes_are_upsampled_too() -> None:
    sides, target = sides_of([(3, 3), (2, 4)]), target_of(4, 6)
    planes = [side.repeat(1, 2, 1, 1) for side in sides]
    found = deep_supervision_loss(planes, target.repeat(1, 2, 1, 1))
    torch.testing.assert_close(found, deep_supervision_loss(sides, target))


def test_module_is_the_function() -> None:
    sides, target = sides_of([(3, 3), (2, 4)]), target_of(4, 6)
    module = DeepSupervisionLoss(BCELoss(ignore_label=0), weights=(1, 0.5), reduction="none")
    own = torch.tensor([0.5, 3.0])
    expected = deep_supervision_loss(sides, target, module.loss, (1, 0.5), "none", sample_weight=own)
    assert torch.equal(module(sides, target, own), expected)
    with pytest.raises(ValueError, match="reduction must be one of sum, none, got 'mean'"):
        DeepSupervisionLoss(reduction="mean")  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", FUSED, ids=named)
def test_backward_keeps_nothing_of_the_targets_size_but_the_target(loss: Callable[..., Tensor]) -> None:
    sides, target = sides_of([(5, 4), (1, 2)], dtype=torch.float32), target_of(10, 9, dtype=torch.float32)
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        deep_supervision_loss(sides, target, loss)
    inputs = {tensor.data_ptr() for tensor in (*sides, target)}
    assert inputs <= {tensor.data_ptr() for tensor in kept}
    assert sum(tensor.numel() for tensor in kept if tensor.data_ptr() not in inputs) <= 4 * len(sides) * len(target)


def test_nan_and_large_logits() -> None:
    sides = [torch.tensor([[[[200.0, -200.0]]], [[[float("nan"), 1.0]]]])]
    losses = [deep_supervision_loss([side], torch.ones(1, 1, 2, 4)) for side in sides[0].split(1)]
    assert losses[0] == pytest.approx((200 + 100) / 4)
    assert losses[1].isnan()


def test_empty_batch() -> None:
    side = torch.zeros(0, 1, 2, 2, requires_grad=True)
    loss = deep_supervision_loss([side], torch.zeros(0, 1, 4, 4))
    assert loss.isnan()
    assert torch.autograd.grad(loss, side)[0].shape == side.shape
