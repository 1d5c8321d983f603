"""When graphs are recorded, replayed, forgotten and given up; on a GPU, that they give what the network gives."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from dislayers import fold_batch_norm
from dismodels import create_model
from dismodels.graph import GraphedFunction

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
RECORDED = ["run", "run", "run", "recorded", "replayed"]


class Recorder:
    """Stands in for CUDA's graphs: what :meth:`double` does while one is recorded happens when it is replayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.pools: list[object] = []
        self.open: SimpleNamespace | None = None
        self.failure: Exception | None = None
        self.autocast: torch.dtype | None = None
        stream = SimpleNamespace(wait_stream=lambda other: None)
        for name, stand_in in {
            "CUDAGraph": lambda: SimpleNamespace(pool=lambda: self.pools[-1]),
            "graph": self.graph,
            "Stream": lambda: stream,
            "stream": lambda chosen: nullcontext(),
            "current_stream": lambda: stream,
            "device": lambda chosen: nullcontext(),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: self.autocast is not None)
        monkeypatch.setattr(torch, "get_autocast_dtype", lambda device: self.autocast)
        monkeypatch.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())

    @contextmanager
    def graph(self, graph, pool, stream, capture_error_mode):
        self.pools.append(pool or object())
        self.open = graph
        yield
        self.open = None
        if self.failure:
            raise self.failure
        self.events.append("recorded")

    def double(self, x: Tensor) -> Tensor:
        if self.open is None:
            self.events.append("run")
            return x * 2
        out = torch.full_like(x, torch.nan)

        def replay() -> None:
            self.events.append("replayed")
            # Another thread's input would come here.
            time.sleep(1e-4)
            torch.mul(x, 2, out=out)

        self.open.replay = replay
        return out

    def happened(self) -> list[str]:
        events, self.events = self.events, []
        return events


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def test_a_shape_that_comes_again_is_recorded_once(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CUDA)
    inputs = [torch.full((2, 3), float(value)) for value in range(4)]
    outputs = []
    for x, expected in zip(inputs, [["run"], RECORDED, ["replayed"], ["replayed"]], strict=True):
        outputs.append(function(x))
        assert recorder.happened() == expected
    # Neither an earlier answer nor an input was written to.
    assert [output[1, 2].item() for output in outputs] == [0, 2, 4, 6]
    assert [x[1, 2].item() for x in inputs] == [0, 1, 2, 3]


def test_shape_dtype_strides_and_autocast_tell_graphs_apart(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CUDA, shapes=8)
    x = torch.randn(3, 3)
    kinds = [(kind, autocast) for kind in (x, x[:2], x.double(), x.T) for autocast in (None, torch.bfloat16)]
    for expected in (["run"], RECORDED, ["replayed"]):
        for kind, recorder.autocast in kinds:
            output = function(kind)
            assert recorder.happened() == expected
            assert torch.equal(output, kind * 2)
            assert output.stride() == kind.stride()
    assert len(recorder.pools) == 8
    assert len(set(recorder.pools)) == 1


def test_the_shape_unused_for_longest_is_forgotten(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CUDA, shapes=2)
    a, b, c = torch.ones(1), torch.ones(2), torch.ones(3)
    for x, expected in (
        (a, ["run"]),
        (a, RECORDED),
        (b, ["run"]),
        (a, ["replayed"]),
        (c, ["run"]),
        (a, ["replayed"]),
        (b, ["run"]),
        (c, ["run"]),
        (a, ["run"]),
    ):
        assert torch.equal(function(x), x * 2)
        assert recorder.happened() == expected


def test_weights_may_change_in_place(recorder: Recorder) -> None:
    weight = torch.ones(2)
    function = GraphedFunction(lambda x: recorder.double(weight), CUDA)
    for _ in range(2):
        function(torch.ones(2))
    weight.fill_(5)
    assert torch.equal(function(torch.ones(2)), weight * 2)


def test_where_recording_fails_the_function_runs_and_one_warning_says_why(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CUDA)
    a, b = torch.ones(1), torch.ones(2)
    for _ in range(2):
        function(a)
    function(b)
    recorder.failure = RuntimeError("operation not permitted when stream is capturing")
    with pytest.warns(RuntimeWarning, match="no CUDA graph could be recorded: operation not permitted") as told:
        assert torch.equal(function(b), b * 2)
    assert told[0].filename == __file__
    recorder.failure = None
    recorder.happened()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in (a, b, a, b):
            assert torch.equal(function(x), x * 2)
    assert recorder.happened() == ["run"] * 4


def test_the_functions_own_errors_are_not_hidden(recorder: Recorder) -> None:
    def refuse(x: Tensor) -> Tensor:
        raise ValueError("x must be something else")

    function = GraphedFunction(refuse, CUDA)
    for _ in range(3):
        with pytest.raises(ValueError, match="something else"):
            function(torch.ones(1))


def test_threads_take_turns(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CUDA)
    inputs = [torch.full((1000,), float(value)) for value in range(100)]
    with ThreadPoolExecutor(8) as pool:
        for x, output in zip(inputs, pool.map(function, inputs), strict=True):
            assert torch.equal(output, x * 2)
    assert recorder.happened() == ["run", *RECORDED, *["replayed"] * 98]


def test_on_a_cpu_every_call_runs_the_function(recorder: Recorder) -> None:
    function = GraphedFunction(recorder.double, CPU)
    for _ in range(3):
        assert not function(torch.ones(1, requires_grad=True)).requires_grad
    assert recorder.happened() == ["run"] * 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("autocast", [False, True])
def test_isnet_as_a_graph(autocast: bool) -> None:
    model = fold_batch_norm(create_model("isnet", width=0.125).eval()).cuda()
    function = GraphedFunction(model.predict, CUDA)
    shapes = [(2, 3, 64, 64), (1, 3, 64, 64), (2, 3, 64, 48)]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error")
        kept = []
        for _ in range(4):
            for shape in shapes:
                image = torch.randn(shape, device="cuda")
                with torch.autocast("cuda", torch.bfloat16, autocast):
                    kept.append((function(image), model.predict(image)))
        for actual, expected in kept:
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-2 if autocast else 1e-5)
        for parameter in model.parameters():
            parameter.mul_(0.5)
        torch.testing.assert_close(function(image).float(), model.predict(image).float(), rtol=0, atol=1e-2)
