"""What holds for every loss over pixels: ignored pixels, NaN, weights, dtypes, layouts, memory, modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dislosses
from dislosses._pixel_loss.loss import PixelLoss
from tests.dislosses.pixels import IGNORED, Loss, make_pixels

LOSSES: dict[str, tuple[Loss, type[PixelLoss], dict[str, Any]]] = {
    "bce": (dislosses.bce_loss, dislosses.BCELoss, {}),
    "iou": (dislosses.iou_loss, dislosses.IoULoss, {}),
    "bce_iou": (dislosses.bce_iou_loss, dislosses.BCEIoULoss, {"bce_weight": 3.0, "iou_weight": 2.0}),
    "focal": (dislosses.focal_loss, dislosses.FocalLoss, {"alpha": 0.3, "gamma": 1.5}),
    "normalized_focal": (
        dislosses.normalized_focal_loss,
        dislosses.NormalizedFocalLoss,
        {"alpha": 0.3, "gamma": 1.5, "size_average": False},
    ),
}
REDUCTIONS = ("mean", "sum", "none")

every_loss = pytest.mark.parametrize("name", LOSSES)
every_input = pytest.mark.parametrize("input", ["logits", "probabilities"])


def pixels(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return make_pixels((3, 2, 6, 5), dtype, torch.Generator().manual_seed(0))


def gradient(loss: Loss, logits: Tensor, target: Tensor, **keywords: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().requires_grad_()
    result = loss(leaf, target, **keywords)
    return result.detach(), torch.autograd.grad(result.sum(), leaf)[0]


@every_loss
@every_input
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ignored_pixels_may_be_anything(name: str, input: str, reduction: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels()
    logits = logits if input == "logits" else logits.sigmoid()
    ignored = target == IGNORED
    keywords = {**options, "input": input, "reduction": reduction, "ignore_label": IGNORED}
    expected, slope = gradient(loss, logits, target, **keywords)
    for bad in (torch.nan, torch.inf, -torch.inf):
        found, moved = gradient(loss, torch.where(ignored, bad, logits), target, **keywords)
        torch.testing.assert_close((found, moved), (expected, slope), rtol=0, atol=0)
    assert slope[ignored].abs().sum() == 0
    assert (slope[~ignored] != 0).double().mean() > 0.9


@every_loss
@every_input
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nan_is_not_hidden(name: str, input: str, reduction: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels()
    logits[1, 1, 2, 3], target[1, 1, 2, 3] = torch.nan, 1
    keywords = {**options, "input": input, "reduction": reduction, "ignore_label": IGNORED}
    found, slope = gradient(loss, logits.sigmoid() if input == "probabilities" else logits, target, **keywords)
    assert found.isnan().any()
    assert slope[1, 1, 2, 3].isnan()
    assert slope[[0, 2]].isfinite().all()


@every_loss
@every_input
def test_all_ignored_is_zero(name: str, input: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels()
    keywords = {**options, "input": input, "ignore_label": IGNORED}
    for value in gradient(loss, logits, torch.full_like(target, IGNORED), **keywords):
        assert value.abs().max() == 0


@every_loss
def test_empty_batch(name: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = torch.zeros(0, 2, 3, 3), torch.zeros(0, 2, 3, 3)
    found, slope = gradient(loss, logits, target, **options, reduction="sum")
    assert found == 0
    assert slope.shape == logits.shape
    assert loss(logits, target, **options).isnan()
    assert loss(logits, target, **options, reduction="none").numel() == 0


@every_loss
@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1, 1), (2, 3, 1, 1)])
def test_one_pixel(name: str, shape: tuple[int, ...]) -> None:
    loss, _, options = LOSSES[name]
    logits, target = torch.randn(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64)
    found, slope = gradient(loss, logits.float(), target.float(), **options)
    expected, right = gradient(loss, logits, target, **options)
    torch.testing.assert_close((found.double(), slope.double()), (expected, right), rtol=1e-5, atol=1e-6)
    assert found.ndim == 0


@every_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_probabilities_of_logits_are_the_logits(name: str, reduction: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels(torch.float64)
    keywords = {**options, "reduction": reduction, "ignore_label": IGNORED}
    expected = gradient(loss, logits, target, **keywords)
    found = gradient(lambda x, t, **k: loss(x.sigmoid(), t, input="probabilities", **k), logits, target, **keywords)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", ["bce", "iou", "bce_iou", "focal"])
@every_input
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_is_the_derivative(name: str, input: str, reduction: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels(torch.float64)
    logits = (logits if input == "logits" else 0.05 + 0.9 * torch.rand_like(logits)).requires_grad_()
    keywords = {**options, "input": input, "reduction": reduction, "ignore_label": IGNORED}
    assert torch.autograd.gradcheck(lambda x: loss(x, target, **keywords), logits, fast_mode=True)


@every_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_each_sample_has_its_weight(name: str, reduction: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels(torch.float64)
    weight = torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)
    each = loss(logits, target, **options, reduction="none")
    weighted = each * weight.view(-1, *[1] * (each.ndim - 1))
    expected = weighted if reduction == "none" else weighted.mean() if reduction == "mean" else weighted.sum()
    found = loss(logits, target, **options, reduction=reduction, sample_weight=weight)
    torch.testing.assert_close(found, expected)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16, torch.float64])
def test_labels_of_any_dtype(name: str, dtype: torch.dtype) -> None:
    loss, _, options = LOSSES[name]
    logits, target = torch.randn(2, 2, 4, 5), torch.rand(2, 2, 4, 5) > 0.5
    expected = gradient(loss, logits, target.float(), **options)
    torch.testing.assert_close(gradient(loss, logits, target.to(dtype), **options), expected)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels()
    found, slope = gradient(loss, logits.to(dtype), target > 0.5, **options)
    expected, right = gradient(loss, logits, target > 0.5, **options)
    assert found.dtype == torch.float32
    assert slope.dtype == dtype
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(slope, right.to(dtype), rtol=2**-7, atol=1e-7)


@every_loss
def test_channels_last_and_crops_are_the_same_pixels(name: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels(torch.float64)
    expected = gradient(loss, logits, target, **options, reduction="none")
    for laid_out in (
        logits.contiguous(memory_format=torch.channels_last),
        torch.nn.functional.pad(logits, (1, 2, 3, 4))[..., 3:-4, 1:-2],
        logits.movedim(0, -1).contiguous().movedim(-1, 0),
    ):
        found = gradient(loss, laid_out, target, **options, reduction="none")
        torch.testing.assert_close(found, expected, check_stride=False)


@every_loss
@pytest.mark.parametrize("shape", [(1, 1, 300, 301), (20, 1, 5, 9)])
def test_several_blocks_a_sample_and_several_samples_a_block(name: str, shape: tuple[int, ...]) -> None:
    loss, _, options = LOSSES[name]
    logits, target = torch.randn(shape), torch.rand(shape) > 0.5
    found, slope = gradient(loss, logits, target, **options)
    expected, right = gradient(loss, logits.double(), target, **options)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(slope.double(), right, rtol=1e-4, atol=1e-9)


@every_loss
def test_the_target_gets_no_gradient(name: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = (x.requires_grad_() for x in pixels())
    for reduction in REDUCTIONS:
        with pytest.raises(RuntimeError, match="appears to not have been used"):
            torch.autograd.grad(loss(logits, target, **options, reduction=reduction).sum(), (logits, target))


@every_loss
def test_backward_keeps_the_inputs_and_three_numbers_a_plane_at_most(name: str) -> None:
    loss, _, options = LOSSES[name]
    logits, target = pixels()
    logits.requires_grad_()
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(logits, target, **options)
    inputs = {logits.data_ptr(), target.data_ptr()}
    assert inputs <= {x.data_ptr() for x in kept}
    assert all(x.data_ptr() in inputs or x.numel() <= 3 * 3 * 2 for x in kept)


@every_loss
@every_input
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_module_is_the_function(name: str, input: str, reduction: str) -> None:
    loss, module, options = LOSSES[name]
    logits, target = pixels()
    logits, weight = logits.sigmoid(), torch.tensor([1.0, 2.0, 0.5])
    keywords = {**options, "input": input, "reduction": reduction, "ignore_label": IGNORED}
    expected = loss(logits, target, **keywords, sample_weight=weight)
    made = module(**keywords)
    assert torch.equal(made(logits, target, weight), expected)
    assert torch.equal(made(logits, target), loss(logits, target, **keywords))
    assert made.formula.name == name
    assert made.arguments.ignore_label == IGNORED
    assert made.reduction == reduction


@every_loss
def test_modules_refuse_what_functions_refuse(name: str) -> None:
    _, module, _ = LOSSES[name]
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none, got 'average'"):
        module(reduction="average")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="input must be one of logits, probabilities, got 'odds'"):
        module(input="odds")  # type: ignore[call-arg]


@every_loss
def test_what_the_compiler_is_given_is_the_loss(name: str) -> None:
    loss, _, options = LOSSES[name]
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    logits, target = pixels()
    expected = gradient(loss, logits, target, **options, ignore_label=IGNORED)
    torch.testing.assert_close(gradient(compiled, logits, target, **options, ignore_label=IGNORED), expected)
