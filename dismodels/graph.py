"""A network's kernels launched all at once: a CUDA graph for each shape that comes again."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property

import torch
from torch import Tensor

# As PyTorch's documentation advises: libraries then have chosen their algorithms and taken their memory.
_WARM_UP = 3


class GraphedFunction:
    """A function of tensors, without gradients, that on a GPU is replayed as a CUDA graph.

    The first call with a shape runs the function, the second records its kernels, from then on they are launched
    together. They read and write where they were recorded: weights may change in place, and the next call sees it, but
    must not be moved, cast or replaced. On other devices every call runs the function.

    Args:
        function: maps tensors to a tensor. It neither waits for the GPU nor changes its inputs, and which kernels it
            launches depends on nothing but shapes, dtypes and strides, and on autocast.
        device: where its tensors are.
        shapes: how many shapes to remember, with dtypes, strides and autocast; the one unused for longest is forgotten.
            Their graphs share memory.

    Numerics:
        The function's kernels, so its bits where they are deterministic. Not measured on a GPU.

    Note:
        Threads take turns, and must use the same CUDA stream. If recording fails, a warning says why, once, and every
        call runs the function.
    """

    def __init__(self, function: Callable[..., Tensor], device: torch.device, shapes: int = 4) -> None:
        self._function = function
        self._device = device
        self._shapes = shapes
        self._replays: OrderedDict[Hashable, _Replay | None] = OrderedDict()
        self._failed = False
        self._turn = threading.Lock()

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> Tensor:
        """What function gives; no later call changes it."""
        if self._device.type != "cuda":
            return self._function(*inputs)
        with self._turn, torch.cuda.device(self._device):
            return (self._replay_of(inputs) or self._function)(*inputs)

    def _replay_of(self, inputs: tuple[Tensor, ...]) -> _Replay | None:
        """The replay for such inputs; None where they come for the first time or cannot be recorded."""
        if self._failed:
            return None
        key = _signature(inputs)
        if key not in self._replays:
            if len(self._replays) == self._shapes:
                self._replays.popitem(last=False)
            self._replays[key] = None
        elif self._replays[key] is None:
            self._replays[key] = self._record(inputs)
        self._replays.move_to_end(key)
        return self._replays[key]

    def _record(self, inputs: tuple[Tensor, ...]) -> _Replay | None:
        # The pool of memory lives as long as a graph in it.
        beside = next(filter(None, self._replays.values()), None)
        try:
            return _Replay(self._function, inputs, self._stream, beside)
        # CUDA's errors, lack of memory among them.
        except RuntimeError as error:
            told = f"kernels are launched one by one, no CUDA graph could be recorded: {error}"
            warnings.warn(told, RuntimeWarning, stacklevel=5)
            self._failed = True
            self._replays.clear()
            return None

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        """Where all graphs are recorded, as they must be to share memory."""
        return torch.cuda.Stream()  # type: ignore[no-untyped-call]


class _Replay:
    """A function's kernels for inputs like these, recorded into the memory of the replay beside it."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        inputs: tuple[Tensor, ...],
        stream: torch.cuda.Stream,
        beside: _Replay | None,
    ) -> None:
        pool = beside._graph.pool() if beside else None
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph: torch.cuda.CUDAGraph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        # The outer context restores the stream even where ending a recording fails.
        with torch.cuda.stream(stream), _uncached_autocast():
            for _ in range(_WARM_UP):
                function(*self._inputs)
            # Other threads may go on allocating memory.
            with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                self._output = function(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for recorded, tensor in zip(self._inputs, inputs, strict=True):
            recorded.copy_(tensor)
        self._graph.replay()
        return self._output.clone()


def _signature(inputs: tuple[Tensor, ...]) -> Hashable:
    autocast = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return autocast, *((tensor.shape, tensor.dtype, tensor.stride()) for tensor in inputs)


def _uncached_autocast() -> torch.autocast:
    """The autocast of now, which casts weights in the graph: those that it caches are freed when its context ends."""
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return torch.autocast("cuda", dtype, enabled, cache_enabled=False)
