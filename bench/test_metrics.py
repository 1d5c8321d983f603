"""Metrics of a pair, on one thread: ours against PySODMetrics, the official human correction effort, and plain OpenCV.

All take arrays that are in memory already; what PySODMetrics needs before it measures, it does once for all measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import dismetrics
from bench.official import boundary
from bench.official.human_correction_effort import OPENCV_DISTANCE, human_correction_effort
from bench.official.pysodmetrics import RELEASE, NotInstalledError, PySODMetrics, install
from bench.pairs import GreyPair, all_pairs
from bench.ratios import OURS

pytestmark = pytest.mark.usefixtures("one_thread")

PAIRS = all_pairs()
MEASURES = {
    "mae": ("mean_absolute_error",),
    "f": ("f_measure",),
    "s": ("s_measure",),
    "e": ("e_measure",),
    "weighted f": ("weighted_f_measure",),
}
FIVE = tuple(name for names in MEASURES.values() for name in names)
Measure = Callable[..., tuple[float, ...]]
# Peers that run in this process, by group.
PLAIN: dict[str, dict[str, Measure]] = {
    "hce": {
        OURS: partial(dismetrics.human_correction_effort, distance=OPENCV_DISTANCE),
        "official script": human_correction_effort,
    },
    "boundary iou": {
        OURS: lambda pred, gt: dismetrics.boundary_iou_curve(pred, gt)[:2],
        "OpenCV": boundary.boundary_iou,
    },
    "mba": {
        OURS: lambda pred, gt: (dismetrics.mean_boundary_accuracy(pred, gt),),
        "OpenCV": lambda pred, gt: (boundary.mean_boundary_accuracy(pred, gt),),
    },
}
# A call of a peer takes seconds where pictures are large.
OUR_ROUNDS, ROUNDS, MANY_PIXELS = 7, 3, 8_000_000


@pytest.fixture(scope="session")
def pysodmetrics(request: pytest.FixtureRequest) -> Iterator[PySODMetrics]:
    try:
        python = install(request.config.cache.mkdir(RELEASE))
    except NotInstalledError as error:
        pytest.skip(str(error))
    with PySODMetrics(python) as process:
        yield process


@cache
def plain_values(measure: str, name: str) -> tuple[float, ...]:
    (peer,) = (function for implementation, function in PLAIN[measure].items() if implementation != OURS)
    return peer(*PAIRS[name]())


@cache
def pysodmetrics_values(pysodmetrics: PySODMetrics, measure: str, name: str) -> dict[str, float]:
    pysodmetrics.load(*PAIRS[name]())
    return pysodmetrics.measure(MEASURES[measure])


def evaluate(pair: GreyPair, metrics: tuple[str, ...]) -> dict[str, float]:
    evaluator = dismetrics.Evaluator(metrics)
    evaluator.update(*pair)
    return evaluator.compute()


def measure_pair(benchmark: BenchmarkFixture, pair: GreyPair, implementation: str, work: Callable[[], object]) -> None:
    peer_rounds = ROUNDS if pair.gt.size < MANY_PIXELS else 1
    benchmark.pedantic(work, rounds=OUR_ROUNDS if implementation == OURS else peer_rounds)


@pytest.mark.parametrize(
    ("measure", "implementation"), [(measure, one) for measure, functions in PLAIN.items() for one in functions]
)
@pytest.mark.parametrize("name", PAIRS)
def test_against_plain_libraries(benchmark: BenchmarkFixture, name: str, measure: str, implementation: str) -> None:
    benchmark.group = f"{measure} {name}"
    pair, work = PAIRS[name](), PLAIN[measure][implementation]
    assert PLAIN[measure][OURS](*pair) == pytest.approx(plain_values(measure, name), rel=0, abs=1e-9)
    measure_pair(benchmark, pair, implementation, lambda: work(*pair))


@pytest.mark.parametrize("implementation", [OURS, "PySODMetrics"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", PAIRS)
def test_against_pysodmetrics(
    benchmark: BenchmarkFixture, pysodmetrics: PySODMetrics, name: str, measure: str, implementation: str
) -> None:
    benchmark.group = f"{measure} {name}"
    pair, metrics = PAIRS[name](), MEASURES[measure]
    values = evaluate(pair, metrics)
    for key, expected in pysodmetrics_values(pysodmetrics, measure, name).items():
        assert values[key] == pytest.approx(expected, rel=0, abs=1e-6), key
    pysodmetrics.load(*pair)
    work = {OURS: lambda: evaluate(pair, metrics), "PySODMetrics": lambda: pysodmetrics.measure(metrics)}
    measure_pair(benchmark, pair, implementation, work[implementation])


@pytest.mark.parametrize("implementation", [OURS, "PySODMetrics and official script"])
@pytest.mark.parametrize("name", PAIRS)
def test_six_metrics(benchmark: BenchmarkFixture, pysodmetrics: PySODMetrics, name: str, implementation: str) -> None:
    """Those that the tables of DIS5K print; the values are compared one by one above."""
    benchmark.group = f"six metrics {name}"
    pair = PAIRS[name]()
    pysodmetrics.load(*pair)
    work = {
        OURS: lambda: evaluate(pair, dismetrics.DIS_METRICS),
        "PySODMetrics and official script": lambda: (pysodmetrics.measure(FIVE), human_correction_effort(*pair)),
    }
    measure_pair(benchmark, pair, implementation, work[implementation])
