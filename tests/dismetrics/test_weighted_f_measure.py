"""Weighted F is its definition, whatever the shape of the errors; SciPy and OpenCV give the same in another way."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from dismetrics import weighted_f_measure
from dismetrics.pairs import EPSILON
from dismetrics.weighted_f_measure import kernel, reference
from tests.harness import SHAPES, Op, check_op

OVERLOAD = torch.ops.dismetrics.weighted_f_measure.default


def inputs(shape, dtype, generator):
    pred = torch.rand(shape, generator=generator)
    gt = torch.rand(shape, generator=generator) < 0.3
    most = 255 if dtype == torch.uint8 else 1
    limits = torch.tensor([0.0, most], dtype=torch.float64).expand(*shape[:-2], 2)
    return ((most * pred).to(dtype), gt, limits, 0.3), {}


test_weighted_f_measure = check_op(
    Op(
        function=OVERLOAD,
        reference=reference.weighted_f_measure,
        overload=OVERLOAD,
        make_inputs=inputs,
        dtypes=(torch.uint8, torch.float16, torch.float32, torch.float64),
        # torch.compile takes a batch of 2 for the 2 limits.
        shapes=((4, 3, 17, 19), *SHAPES[1:], (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        tolerances=dict.fromkeys((torch.uint8, torch.float16, torch.float32, torch.float64), (1e-12, 1e-12)),
        like_first=False,
    )
)


def expected(pred, gt):
    """As PySODMetrics computes it."""
    if not gt.any():
        return 0.0
    values = pred / 255
    if values.min() < values.max():
        values = (values - values.min()) / (values.max() - values.min())
    distance, (rows, columns) = distance_transform_edt(~gt, return_indices=True)
    error = np.abs(values - gt)
    gaussian = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    kernel_2d = np.outer(gaussian, gaussian) / gaussian.sum() ** 2
    blurred = cv2.filter2D(error[rows, columns], -1, kernel_2d, borderType=cv2.BORDER_CONSTANT)
    weighted = np.where(gt, np.minimum(error, blurred), error * (2 - np.exp(np.log(0.5) / 5 * distance)))
    true = gt.sum() - weighted[gt].sum()
    recall, precision = 1 - weighted[gt].mean(), true / (true + weighted[~gt].sum() + EPSILON)
    return 2 * recall * precision / (recall + precision + EPSILON)


def random_pair(seed, height, width):
    """A truth of blocks or noise; a prediction that is the truth, with errors here and there or everywhere."""
    random = np.random.default_rng(seed)
    block = random.choice([1, 3, 20])
    coarse = random.random((-(-height // block), -(-width // block))) < random.choice([0.001, 0.02, 0.5, 0.98])
    gt = np.kron(coarse, np.ones((block, block), bool))[:height, :width]
    wrong = random.random(gt.shape) < random.choice([0, 0.001, 0.05, 1])
    return np.where(wrong, random.integers(0, 256, gt.shape), 255 * gt).astype(np.uint8), gt.copy()


@given(
    seed=st.integers(0, 10**6),
    height=st.sampled_from([1, 2, 7, 16, 40, 290, 700]),
    width=st.sampled_from([1, 3, 15, 16, 17, 33, 100, 257, 600]),
)
@settings(max_examples=80, deadline=None)
def test_equals_the_official_definition(seed, height, width):
    pred, gt = random_pair(seed, height, width)
    assert weighted_f_measure(pred, gt) == pytest.approx(expected(pred, gt), abs=1e-12)
    assert weighted_f_measure((pred / 255).astype(np.float32), gt) == weighted_f_measure(pred, gt)


def test_distances_no_longer_matter_where_the_weight_is_two():
    gt, pred = np.zeros((3, 3000), np.bool_), np.full((3, 3000), 100, np.uint8)
    gt[1, 0] = True
    pred[1, 0] = 255
    pred[0, 0] = 0
    assert weighted_f_measure(pred, gt) == pytest.approx(expected(pred, gt), abs=1e-12)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_threads_change_no_bit_and_instruction_sets_hardly_one():
    sets = range(len(kernel.extension.instruction_sets()))
    for seed in range(12):
        pred, gt = map(torch.from_numpy, random_pair(seed, 600, 310))
        ranges, score = torch.stack(pred.aminmax()).double(), torch.empty(1, dtype=torch.float64)
        right = weighted_f_measure(pred, gt)
        for threads, instruction_set in ((1, sets[-1]), (3, sets[-1]), *((1, i) for i in sets)):
            kernel.extension.weighted_f_measure_cpu(
                *(pred.data_ptr(), 1, (0, 310), gt.data_ptr(), (0, 310), ranges.data_ptr(), 1.0, score.data_ptr()),
                *((1, 600, 310), threads, instruction_set),
            )
            assert score.item() == pytest.approx(right, rel=0 if instruction_set == sets[-1] else 1e-14, abs=0)
