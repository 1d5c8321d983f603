"""HCE: clicks counted by hand, by the official loops, and by the reference."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dislayers
from bench.official import human_correction_effort as official
from dismetrics import human_correction_effort
from dismetrics.human_correction_effort import human_correction_effort_of, kernel, reference
from dismetrics.pairs import Pair
from tests.harness import Op, check_op


def mask(*boxes, size=(120, 120)):
    image = np.zeros(size, np.bool_)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right] = True
    return image


OBJECT = (30, 20, 90, 60)


def test_a_perfect_prediction_takes_no_click():
    assert human_correction_effort(mask(OBJECT), mask(OBJECT)) == (0, 0, 0, 0, 0)


def test_a_region_apart_takes_one_click():
    blob = (40, 80, 80, 110)
    assert human_correction_effort(mask(OBJECT, blob), mask(OBJECT)) == (0, 1, 0, 0, 1)


def test_a_region_attached_is_cut_off_along_a_line_of_two_points():
    attached = (40, 60, 80, 100)
    assert human_correction_effort(mask(OBJECT, attached), mask(OBJECT)) == (2, 0, 0, 0, 2)


def test_a_hole_takes_one_click():
    pred = mask(OBJECT)
    pred[45:75, 30:50] = False
    assert human_correction_effort(pred, mask(OBJECT)) == (0, 0, 0, 1, 1)


def test_a_missing_half_is_drawn_along_its_outline():
    missing = human_correction_effort(mask((30, 20, 60, 60)), mask(OBJECT))
    assert (missing.fp_points, missing.fp_regions, missing.fn_regions) == (0, 0, 0)
    # Two ends on the prediction, and two points at each outer corner, which the tolerance cuts off.
    assert missing.fn_points == missing.total == 6


def test_an_error_thinner_than_the_tolerance_is_forgiven():
    wider = mask((28, 18, 92, 62))
    assert human_correction_effort(wider, mask(OBJECT)).total == 0
    assert human_correction_effort(wider, mask(OBJECT), relax=0).total > 0


def test_a_missing_cable_counts_however_thin():
    cable = mask(OBJECT, (50, 60, 51, 120))
    assert human_correction_effort(mask(OBJECT), cable).fn_points > 0


def test_a_region_that_fills_the_image_takes_no_click():
    nothing, everything = np.zeros((48, 80), np.bool_), np.ones((48, 80), np.bool_)
    assert human_correction_effort(everything, nothing).total == 0
    assert human_correction_effort(nothing, everything).total == 0


def test_the_prediction_is_not_stretched():
    gt = mask(OBJECT)
    assert human_correction_effort(gt.astype(np.uint8) * 128, gt) == human_correction_effort(~gt & gt, gt)
    assert human_correction_effort(gt.astype(np.uint8) * 128, gt).total > 0
    assert human_correction_effort(gt.astype(np.uint8) * 129, gt).total == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"relax": -1}, "relax .*-1"), ({"epsilon": -0.5}, "epsilon .*-0.5"), ({"distance": "chord"}, "'chord'")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        human_correction_effort(mask(OBJECT), mask(OBJECT), **options)


@st.composite
def blobs(draw):
    """Masks with thick and thin parts: noise, smoothed a little or much, on a border of background or not."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 45)), draw(st.integers(1, 45))
    noise = generator.random((2, height, width))
    smooth = [cv2.GaussianBlur(layer, (0, 0), draw(st.sampled_from([0.4, 1.0, 3.0]))) for layer in noise]
    level = draw(st.sampled_from([0.4, 0.5, 0.55]))
    return smooth[0] > level, (smooth[0] + draw(st.sampled_from([0.1, 0.5])) * (smooth[1] - 0.5)) > level


@settings(max_examples=60, deadline=None)
@given(pair=blobs(), relax=st.integers(0, 5), epsilon=st.sampled_from([1.0, 2.0]))
def test_equal_to_the_official_loops(pair, relax, epsilon):
    pred, gt = (image.astype(np.uint8) * 255 for image in pair)
    expected = official.human_correction_effort(pred, gt, relax, epsilon)
    assert human_correction_effort(*pair, relax, epsilon, official.OPENCV_DISTANCE) == expected


def of_masks(pred: Tensor, gt: Tensor, relax: int = 1, distance: str = "line") -> Tensor:
    return torch.ops.dismetrics.human_correction_effort(pred, gt, None, relax, 1.0, distance)


def of_masks_by_definition(pred: Tensor, gt: Tensor) -> Tensor:
    return reference.human_correction_effort(pred, gt, None, 1, 1.0, "line")


def block_masks(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    def blocks(size: int) -> Tensor:
        coarse = torch.rand((*shape[:-2], *(side // size + 1 for side in shape[-2:])), generator=generator) < 0.5
        fine = coarse.repeat_interleave(size, -1).repeat_interleave(size, -2)
        return fine[..., : shape[-2], : shape[-1]]

    gt = blocks(5) | blocks(1) & blocks(3)
    return (gt ^ (blocks(4) & blocks(2))).to(dtype), gt.to(dtype)


test_op = check_op(
    Op(
        function=of_masks,
        reference=of_masks_by_definition,
        overload=torch.ops.dismetrics.human_correction_effort.default,
        overload_arguments=lambda pred, gt: ((pred, gt, None, 1, 1.0, "line"), {}),
        make_inputs=lambda *of: (block_masks(*of), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=((2, 3, 17, 19), (3, 2, 26, 31), (1, 1, 1, 65), (1, 1, 40, 1), (1, 1, 1, 1), (0, 3, 8, 8), (20, 70)),
        like_first=False,
    )
)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
@pytest.mark.parametrize("index", range(len(kernel.extension.instruction_sets()) if kernel.extension else 0))
def test_every_instruction_set_gives_the_same(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "best_instruction_set", index)
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        pred, gt = block_masks((50, (1, 64, 65, 513)[seed % 4]), torch.bool, generator)
        relax, distance = seed % 9, ("line", "segment")[seed % 2]
        expected = reference.human_correction_effort(pred, gt, None, relax, 1.0, distance)
        assert torch.equal(of_masks(pred, gt, relax, distance), expected)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_threads_do_not_change_it() -> None:
    pred, gt = block_masks((2, 600, 700), torch.bool, torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    try:
        counts = []
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            counts += [of_masks(pred, gt), torch.stack([of_masks(*pair) for pair in zip(pred, gt, strict=True)])]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(count, counts[0]) for count in counts)


def test_a_skeleton_that_is_known_is_not_made_again() -> None:
    pred, gt = block_masks((60, 70), torch.bool, torch.Generator().manual_seed(0))
    pair = Pair(pred.numpy().astype(np.uint8) * np.uint8(255), gt.numpy())
    expected = human_correction_effort_of(pair)
    pair.skeleton = dislayers.skeletonize(gt).numpy()
    assert human_correction_effort_of(pair) == expected
    pair.skeleton = np.zeros_like(pair.truth)
    assert human_correction_effort_of(pair) != expected


def test_flipped_and_read_only_arrays_are_taken_without_a_warning() -> None:
    truth = np.zeros((40, 50), bool)
    truth[5:30, 10:40] = True
    prediction = truth.copy()
    prediction[8:12] = False
    expected = human_correction_effort(prediction, truth)
    truth.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert human_correction_effort(prediction, truth) == expected
        flipped = human_correction_effort(prediction[::-1, ::-1], truth[::-1, ::-1])
    assert flipped.fn_points == expected.fn_points
