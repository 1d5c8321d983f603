"""The drop-in for PySODMetrics: keys, shapes and averages."""

import numpy as np
import pytest

import dismetrics
from dismetrics import pysod

RANDOM = np.random.default_rng(0)
PAIRS = [
    (RANDOM.integers(20, 200, (12, 17), np.uint8), (RANDOM.random((12, 17)) < 0.4) * np.uint8(255)) for _ in range(3)
]
HANDLERS = {
    "fm": (pysod.FmeasureHandler, dismetrics.f_measure),
    "pre": (pysod.PrecisionHandler, dismetrics.precision),
    "rec": (pysod.RecallHandler, dismetrics.recall),
    "tpr": (pysod.TPRHandler, dismetrics.recall),
    "sen": (pysod.SensitivityHandler, dismetrics.recall),
    "spec": (pysod.SpecificityHandler, dismetrics.specificity),
    "tnr": (pysod.TNRHandler, dismetrics.specificity),
    "fpr": (pysod.FPRHandler, dismetrics.false_positive_rate),
    "iou": (pysod.IOUHandler, dismetrics.iou),
    "dice": (pysod.DICEHandler, dismetrics.dice),
    "ber": (pysod.BERHandler, dismetrics.balanced_error_rate),
    "oa": (pysod.OverallAccuracyHandler, dismetrics.overall_accuracy),
    "kappa": (pysod.KappaHandler, dismetrics.kappa),
}


def results(measure, pairs=PAIRS, **options):
    for pred, gt in pairs:
        measure.step(pred=pred, gt=gt, **options)
    return measure.get_results()


@pytest.mark.parametrize(
    ("measure", "key", "function"),
    [
        (pysod.MAE, "mae", dismetrics.mean_absolute_error),
        (pysod.Smeasure, "sm", dismetrics.s_measure),
        (pysod.WeightedFmeasure, "wfm", dismetrics.weighted_f_measure),
        (pysod.ContextMeasure, "cm", dismetrics.context_measure),
    ],
)
def test_numbers(measure, key, function):
    assert results(measure()) == {key: pytest.approx(np.mean([function(*pair) for pair in PAIRS]))}


@pytest.mark.parametrize(
    ("measure", "key", "function"),
    [(pysod.Fmeasure, "fm", dismetrics.f_measure), (pysod.Emeasure, "em", dismetrics.e_measure)],
)
def test_curves(measure, key, function):
    found, expected = results(measure())[key], [function(*pair) for pair in PAIRS]
    assert list(found) == ["adp", "curve"]
    assert found["adp"] == pytest.approx(np.mean([values.adaptive for values in expected]))
    np.testing.assert_allclose(found["curve"], np.mean([values.curve for values in expected], axis=0))


def test_f_measure_has_precision_and_recall():
    found = results(pysod.Fmeasure())["pr"]
    for key, function in (("p", dismetrics.precision), ("r", dismetrics.recall)):
        np.testing.assert_allclose(found[key], np.mean([function(*pair).curve for pair in PAIRS], axis=0))


def test_options_weigh():
    good = [(pred // 3 + gt // 2, gt) for pred, gt in PAIRS]
    parts = {alpha: results(pysod.Smeasure(alpha=alpha), good)["sm"] for alpha in (0, 0.25, 1)}
    assert parts[0.25] == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])
    for measure, key in ((pysod.Fmeasure, "fm"), (pysod.WeightedFmeasure, "wfm")):
        assert str(results(measure(beta=0.3))[key]) != str(results(measure(beta=2))[key])
    assert results(pysod.ContextMeasure(beta2=2, alpha=3)) != results(pysod.ContextMeasure())


def test_handlers():
    measure = pysod.FmeasureV2({key: handler(True, True, with_binary=True) for key, (handler, _) in HANDLERS.items()})
    measure.add_handler("f1", pysod.FmeasureHandler(True, False, beta=1))
    found = results(measure)
    for key, (_, function) in HANDLERS.items():
        expected = [function(*pair) for pair in PAIRS]
        assert list(found[key]) == ["dynamic", "adaptive", "binary"]
        np.testing.assert_allclose(found[key]["dynamic"], np.mean([values.curve for values in expected], axis=0))
        assert found[key]["adaptive"] == pytest.approx(np.mean([values.adaptive for values in expected]))
        assert found[key]["binary"] == pytest.approx(np.mean([values.binary for values in expected]))
    assert list(found["f1"]) == ["dynamic"]
    np.testing.assert_allclose(found["f1"]["dynamic"], found["dice"]["dynamic"])
    assert pysod.IOUHandler(False, False)(tp=1, fp=2, tn=5, fn=1) == 0.25


def test_a_handler_counts_all_images_together():
    handler = pysod.IOUHandler(False, False, with_binary=True, sample_based=False)
    stretched = [((pred - pred.min()) / (pred.max() - pred.min()) > 0.5, gt > 128) for pred, gt in PAIRS]
    both, either = (sum(op(*pair).sum() for pair in stretched) for op in (np.logical_and, np.logical_or))
    assert results(pysod.FmeasureV2({"iou": handler})) == {"iou": {"binary": pytest.approx(both / either)}}


def test_multiscale_iou_rises_from_threshold_zero():
    found = results(pysod.MSIoU(True, False, with_binary=True, num_levels=10), PAIRS[:1])
    expected = dismetrics.multiscale_iou(*PAIRS[0])
    assert list(found) == ["dynamic", "binary"]
    np.testing.assert_allclose(found["dynamic"], expected.curve[::-1])
    assert found["binary"] == pytest.approx(expected.binary)


def test_human_correction_effort_stretches_and_counts_what_fills_the_image():
    gt = np.zeros((40, 40), np.uint8)
    gt[5:35, 5:35] = 255
    faint = (gt * 0.2).astype(np.uint8)
    assert results(pysod.HumanCorrectionEffortMeasure(), [(faint, gt)]) == {"hce": 0}
    assert dismetrics.human_correction_effort(faint, gt).total > 0
    full = np.full((40, 40), 255, np.uint8)
    assert results(pysod.HumanCorrectionEffortMeasure(relax=2, epsilon=1), [(full, full * 0)]) == {"hce": 1}
    assert results(pysod.HumanCorrectionEffortMeasure(), [(full * 0, full)]) == {"hce": 1}
    assert dismetrics.human_correction_effort(full, full * 0).total == 0


@pytest.mark.parametrize("depth", [np.float32, np.float64])
def test_without_normalizing_nothing_is_stretched(depth):
    pairs = [((pred / 255).astype(depth), gt > 128) for pred, gt in PAIRS]
    expected = np.mean([np.abs(pred - gt).mean() for pred, gt in pairs])
    assert results(pysod.MAE(), pairs, normalize=False)["mae"] == pytest.approx(expected)
    recall = results(pysod.FmeasureV2({"rec": pysod.RecallHandler(True, False)}), pairs[:1], normalize=False)
    pred, gt = pairs[0]
    steps = (pred * 255).astype(np.uint8)
    expected = [(gt & (steps >= threshold)).sum() / gt.sum() for threshold in range(255, -1, -1)]
    np.testing.assert_allclose(recall["rec"]["dynamic"], expected)


def test_bad_input_is_refused():
    pred, gt = PAIRS[0]
    for error, text, *arguments in (
        (ValueError, "expected one shape", pred, gt[1:], True),
        (TypeError, "pred: expected float32 or float64", pred, gt > 128, False),
        (TypeError, "gt: expected bool", pred / 255, gt, False),
        (ValueError, "pred: expected values in", pred / 100, gt > 128, False),
    ):
        with pytest.raises(error, match=text):
            pysod.MAE().step(*arguments)
    with pytest.raises(ValueError, match="no image has been counted"):
        pysod.MAE().get_results()
    with pytest.raises(ValueError, match="handler"):
        pysod.FmeasureV2().step(pred, gt)
