"""Metrics of a pair, on one thread: ours against PySODMetrics and against the official human correction effort.

Both read arrays that are in memory already; what PySODMetrics needs before it measures, it does once for all measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import dismetrics
from bench.official.human_correction_effort import OPENCV_DISTANCE, human_correction_effort
from bench.official.pysodmetrics import RELEASE, NotInstalledError, PySODMetrics, install
from bench.pairs import GreyPair, all_pairs

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
SIX = (*FIVE, "human_correction_effort")
EFFORTS: dict[str, Callable[[GreyPair], tuple[int, ...]]] = {
    "dislayers": lambda pair: dismetrics.human_correction_effort(*pair, distance=OPENCV_DISTANCE),
    "official script": lambda pair: human_correction_effort(*pair),
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
def official_effort(name: str) -> tuple[int, ...]:
    return human_correction_effort(*PAIRS[name]())


@cache
def peer_values(pysodmetrics: PySODMetrics, name: str) -> dict[str, float]:
    pysodmetrics.load(*PAIRS[name]())
    return pysodmetrics.measure(FIVE)


def evaluate(pair: GreyPair, metrics: tuple[str, ...]) -> dict[str, float]:
    evaluator = dismetrics.Evaluator(metrics)
    evaluator.update(*pair)
    return evaluator.compute()


def measure_pair(benchmark: BenchmarkFixture, pair: GreyPair, implementation: str, work: Callable[[], object]) -> None:
    peer_rounds = ROUNDS if pair.gt.size < MANY_PIXELS else 1
    benchmark.pedantic(work, rounds=OUR_ROUNDS if implementation == "dislayers" else peer_rounds)


@pytest.mark.parametrize("implementation", EFFORTS)
@pytest.mark.parametrize("name", PAIRS)
def test_human_correction_effort(benchmark: BenchmarkFixture, name: str, implementation: str) -> None:
    benchmark.group = f"hce {name}"
    pair, work = PAIRS[name](), EFFORTS[implementation]
    assert EFFORTS["dislayers"](pair) == official_effort(name)
    measure_pair(benchmark, pair, implementation, lambda: work(pair))


@pytest.mark.parametrize("implementation", ["dislayers", "PySODMetrics"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", PAIRS)
def test_measure(
    benchmark: BenchmarkFixture, pysodmetrics: PySODMetrics, name: str, measure: str, implementation: str
) -> None:
    benchmark.group = f"{measure} {name}"
    pair, metrics, expected = PAIRS[name](), MEASURES[measure], peer_values(pysodmetrics, name)
    for key, value in evaluate(pair, metrics).items():
        assert value == pytest.approx(expected[key], rel=0, abs=1e-6)
    pysodmetrics.load(*pair)
    work = {"dislayers": lambda: evaluate(pair, metrics), "PySODMetrics": lambda: pysodmetrics.measure(metrics)}
    measure_pair(benchmark, pair, implementation, work[implementation])


@pytest.mark.parametrize("implementation", ["dislayers", "PySODMetrics and official script"])
@pytest.mark.parametrize("name", PAIRS)
def test_six_metrics(benchmark: BenchmarkFixture, pysodmetrics: PySODMetrics, name: str, implementation: str) -> None:
    """Those that the tables of DIS5K print; the values are compared one by one above."""
    benchmark.group = f"six metrics {name}"
    pair = PAIRS[name]()
    pysodmetrics.load(*pair)
    work = {
        "dislayers": lambda: evaluate(pair, SIX),
        "PySODMetrics and official script": lambda: (pysodmetrics.measure(FIVE), human_correction_effort(*pair)),
    }
    measure_pair(benchmark, pair, implementation, work[implementation])
