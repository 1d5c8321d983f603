"""Best thresholds of patches are those of a loop over patches and thresholds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import PatchThreshold, patch_threshold
from dislayers.patch_threshold import native, reference
from tests.harness import Op, check_op

DTYPES = (torch.uint8, torch.float32, torch.float64, torch.bfloat16, torch.float16)


def loop(
    probability: torch.Tensor,
    mask: torch.Tensor,
    side: int,
    tie: str = "first",
    classes: str = "both",
    literal: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The definition, patch by patch of one image (H, W)."""
    values = probability.double().numpy() / (255 if probability.dtype == torch.uint8 else 1)
    truths, (rows, columns) = mask.numpy() != 0, (n // side for n in mask.shape)
    threshold, iou, found = np.zeros((rows, columns)), np.zeros((rows, columns)), np.zeros(mask.shape, bool)
    for row, column in np.ndindex(rows, columns):
        place = slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
        scores = np.zeros(19)
        for k in range(1, 20):
            p, y = values[place] > k / 20, truths[place]
            tp, fp, fn, tn = (p & y).sum(), (p & ~y).sum(), (~p & y).sum(), (~p & ~y).sum()
            foreground = tp / (tp + fp + fn) if tp + fp + fn else 1.0
            background = tn / (tn + fp + fn) if tn + fp + fn else 1.0
            scores[k - 1] = foreground if classes == "fg" else (foreground + background) / 2
        best = int(np.argmax(scores))
        if tie == "nearest_half":
            best = min(np.flatnonzero(scores == scores.max()), key=lambda i: (abs(i - 9), i))
        chosen = (best + 1 - literal) / 20
        threshold[row, column], iou[row, column], found[place] = chosen, scores[best], values[place] > chosen
    return threshold.astype(np.float32), iou.astype(np.float32), found


def random_pair(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half of the values are thresholds; others are beyond [0, 1] or NaN."""
    noise = torch.rand(shape, generator=generator, dtype=torch.float64)
    on_steps = torch.rand(shape, generator=generator) < 0.5
    values = torch.where(on_steps, (noise * 20).round() / 20, noise * 1.1 - 0.05)
    mask = torch.rand(shape, generator=generator) < noise
    if dtype == torch.uint8:
        return (values.clamp(0, 1) * 255).to(dtype), mask
    return torch.where(noise < 0.01, torch.nan, values).to(dtype), mask


ones = torch.ones(4, 6, dtype=torch.uint8)
test_patch_threshold = check_op(
    Op(
        function=lambda *args: tuple(patch_threshold(*args[:3], tie=args[3], classes=args[4], literal=args[5])),
        reference=reference.patch_threshold,
        overload=torch.ops.dislayers.patch_threshold.default,
        make_inputs=lambda shape, *of: ((*random_pair(shape, *of), 4, "first", "both", False), {}),
        dtypes=(torch.uint8, torch.float32, torch.bfloat16, torch.float64),
        shapes=((1, 2, 8, 12), (1, 2, 12, 8), (1, 1, 4, 4), (0, 1, 8, 8), (1, 1, 0, 4)),
        like_first=False,
        errors=[
            (lambda: patch_threshold(ones > 0, ones, 2), TypeError, "probability must be a uint8 or floating.*bool"),
            (lambda: patch_threshold(ones, ones.float(), 2), TypeError, "mask must be a bool or uint8"),
            (lambda: patch_threshold(ones, ones[:2], 2), ValueError, "mask must have the shape and device of prob"),
            (lambda: patch_threshold(ones[0], ones[0], 2), ValueError, r"probability must have the shape \(..., H, W"),
            (lambda: patch_threshold(ones, ones), ValueError, r"patch_size must divide .*got 64 for \(4, 6\)"),
            (lambda: patch_threshold(ones, ones, 4), ValueError, r"patch_size must divide .*got 4 for \(4, 6\)"),
            (lambda: patch_threshold(ones, ones, 0), ValueError, r"patch_size must divide .*got 0"),
            (lambda: patch_threshold(ones, ones, 2.0), TypeError, "patch_size must be an int"),  # type: ignore[arg-type]
            (lambda: patch_threshold(ones, ones, 2, tie="last"), ValueError, "tie must be one of first, nearest_half"),  # type: ignore[arg-type]
            (lambda: patch_threshold(ones, ones, 2, classes="bg"), ValueError, "classes must be one of both, fg"),  # type: ignore[arg-type]
        ],
    )
)


def assert_is_loop(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


# What a patch may hold: (values, truths), of a random generator and a shape.
CONTENTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], tuple[Any, Any]]] = {
    "random": lambda r, s: (r.random(s), r.random(s) < 0.5),
    "fits": lambda r, s: ((values := r.random(s)), values > r.random()),
    "steps": lambda r, s: (r.integers(0, 21, s) / 20, r.random(s) < 0.5),
    "saturated": lambda r, s: (r.integers(0, 2, s), r.random(s) < 0.5),
    "empty": lambda r, s: (r.random(s), np.zeros(s)),
    "full": lambda r, s: (r.random(s), np.ones(s)),
    "constant": lambda r, s: (np.full(s, r.random()), r.random(s) < r.integers(0, 2)),
    "on a step": lambda r, s: (np.full(s, r.integers(0, 21) / 20), r.random(s) < 0.5),
    "nothing": lambda r, s: (np.zeros(s), np.zeros(s)),
    "NaN": lambda r, s: (np.full(s, np.nan), r.random(s) < 0.5),
}


@given(
    seed=st.integers(0, 10**6),
    side=st.sampled_from([1, 2, 3, 5, 8, 16, 33, 64]),
    dtype=st.sampled_from(DTYPES),
    tie=st.sampled_from(["first", "nearest_half"]),
    classes=st.sampled_from(["both", "fg"]),
    literal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_equals_a_loop(seed: int, side: int, dtype: torch.dtype, tie: Any, classes: Any, literal: bool) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 4, 2)
    cells = [[CONTENTS[random.choice([*CONTENTS])](random, (side, side)) for _ in range(columns)] for _ in range(rows)]
    values, truths = (np.block([[np.asarray(cell[i], float) for cell in row] for row in cells]) for i in (0, 1))
    if dtype == torch.uint8:
        values = np.nan_to_num(values) * 255
    elif random.random() < 0.5:  # the neighbours of a step are on its sides
        values = np.nextafter(values.astype(np.float32), np.float32(random.integers(-1, 2)))
    probability, mask = torch.from_numpy(values).to(dtype), torch.from_numpy(truths) != 0
    found = patch_threshold(probability, mask, side, tie=tie, classes=classes, literal=literal)
    assert_is_loop(found, loop(probability, mask, side, tie, classes, literal))
    assert_is_loop(
        reference.patch_threshold(probability, mask, side, tie, classes, literal),
        loop(probability, mask, side, tie, classes, literal),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_at_a_threshold_do_not_exceed_it(dtype: torch.dtype) -> None:
    """And every value of half precision and of uint8 is where float64 has it, patch by patch of one pixel."""
    if dtype == torch.uint8:
        values = torch.arange(256).to(dtype)
    elif dtype.itemsize == 2:
        values = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(dtype)
        values = values[(values >= 0.04) & (values <= 1)]
    else:
        steps = (torch.arange(21, dtype=torch.float64) / 20).to(dtype)
        values = torch.cat([steps, *(steps.nextafter(torch.tensor(end, dtype=dtype)) for end in (-1.0, 2.0))])
    exact = values.double() / 255 if dtype == torch.uint8 else values.double()
    for k in (4, 7, 14, 19):
        # The patch's best threshold is k alone: of the pixels beside values one is just above it, one just below.
        near = torch.tensor([k / 20 + 0.02, k / 20 - 0.01], dtype=torch.float64)
        near = (near * 255).to(dtype) if dtype == torch.uint8 else near.to(dtype)
        side = int((len(values) + 2) ** 0.5) + 1
        patch = near[1].repeat(side * side)
        patch[: len(values)], patch[-1] = values, near[0]
        as_double = patch.double() / 255 if dtype == torch.uint8 else patch.double()
        found = patch_threshold(patch.view(side, side), (as_double > k / 20).view(side, side), side)
        assert found.iou.item() == 1
        assert torch.equal(found.mask.flatten()[: len(values)], exact > k / 20)


def test_absent_classes_and_ties() -> None:
    nothing, everything = torch.zeros(4, 4), torch.ones(4, 4)
    for p, y in ((nothing, nothing > 0), (everything, everything > 0)):
        found = patch_threshold(p, y, 4)
        assert isinstance(found, PatchThreshold)
        assert found.threshold.item() == pytest.approx(0.05)
        assert found.iou.item() == 1
        assert torch.equal(found.mask, y)
        assert patch_threshold(p, y, 4, tie="nearest_half").threshold.item() == 0.5
    assert patch_threshold(everything, nothing > 0, 4).iou.item() == 0
    assert patch_threshold(nothing, nothing > 0, 4, classes="fg").iou.item() == 1
    # 0.45 and 0.55 are equally good and 0.5 is worse: the lower one.
    p = torch.tensor([[0.48, 0.52], [0.9, 0.1]])
    found = patch_threshold(p, torch.tensor([[True, False], [True, False]]), 2, tie="nearest_half")
    assert found.threshold.item() == pytest.approx(0.45)


def test_literal_is_one_step_lower() -> None:
    p, y = random_pair((2, 1, 12, 12), torch.float32, torch.Generator().manual_seed(3))
    found, printed = patch_threshold(p, y, 6), patch_threshold(p, y, 6, literal=True)
    torch.testing.assert_close(printed.threshold, found.threshold - 0.05)
    assert torch.equal(printed.iou, found.iou)
    assert patch_threshold(torch.full((2, 2), 0.01), torch.zeros(2, 2) > 0, 2, literal=True).mask.all()


def test_has_no_gradient() -> None:
    p = torch.rand(4, 4, requires_grad=True)
    assert not any(x.requires_grad for x in patch_threshold(p, p > 0.5, 4))


def test_threads_change_nothing() -> None:
    p, y = random_pair((3, 1, 512, 512), torch.float32, torch.Generator().manual_seed(0))
    alone, threads = native_or_reference(p, y), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert all(torch.equal(a, b) for a, b in zip(alone, native_or_reference(p, y), strict=True))
    finally:
        torch.set_num_threads(threads)


def native_or_reference(p: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
    run = native.patch_threshold if native.extension else reference.patch_threshold
    return run(p, y, 64, "first", "both", False)


@pytest.mark.skipif(native.extension is None, reason="the extension is not there")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_every_instruction_set_gives_the_same(dtype: torch.dtype) -> None:
    assert native.extension is not None
    for seed, side in enumerate([1, 7, 16, 70]):
        p, y = random_pair((side, 3 * side), dtype, torch.Generator().manual_seed(seed))
        expected = reference.patch_threshold(p, y, side, "first", "both", False)
        for index in range(len(native.extension.instruction_sets())):
            outputs = [torch.empty_like(x) for x in expected]
            native.extension.patch_threshold_cpu(
                p.data_ptr(), p.element_size(), (0, 3 * side), y.data_ptr(), (0, 3 * side),
                *(x.data_ptr() for x in outputs), (1, side, 3 * side), side, False, True, False, 1, index,
            )  # fmt: skip
            assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))
