"""What torch.compile would launch on a GPU and move through its memory, counted without one.

Inductor takes the graphs of forward and backward as for CUDA, up to the point where kernels are written: what it has
fused by then is what it launches. Calls of a library (a convolution, a matrix product) count as one kernel each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._dynamo.device_interface import CudaInterface
from torch._functorch import config as autograd_config
from torch._inductor import compile_fx, scheduler
from torch._inductor import config as inductor_config
from torch._inductor.graph import GraphLowering
from torch._inductor.scheduler import NopKernelSchedulerNode
from torch._subclasses import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

from bench.traffic import Arguments, Operation, Traffic, spanned_bytes, storage

# Inductor's inside, which is used here, changes from version to version.
VERSION = "2.13"

CUDA = torch.device("cuda", 0)
H100 = SimpleNamespace(
    name="NVIDIA H100",
    major=9,
    minor=0,
    multi_processor_count=132,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    warp_size=32,
    total_memory=80 << 30,
    L2_cache_size=50 << 20,
    shared_memory_per_block_optin=232448,
)


class _CountedError(Exception):
    """All is known, so nothing more is compiled or run."""


@contextmanager
def _as_on_an_h100() -> Iterator[None]:
    with ExitStack() as stack:
        for place in (torch.cuda, CudaInterface):
            stack.enter_context(patch.object(place, "get_device_properties", lambda _=None: H100))
            stack.enter_context(patch.object(place, "current_device", lambda: CUDA.index))
        stack.enter_context(patch.object(torch.cuda, "get_device_capability", lambda _=None: (H100.major, H100.minor)))
        stack.enter_context(patch.object(scheduler, "has_triton", lambda: True))
        stack.enter_context(inductor_config.patch(fx_graph_cache=False))
        yield


def _on_cuda(graph: GraphModule, inputs: Sequence[Any]) -> list[Any]:
    """The graph's own inputs, and every tensor in it, as fakes on a GPU."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode, torch.no_grad():
        fakes = [
            torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=CUDA)
            if isinstance(given, Tensor)
            else given
            for given in inputs
        ]
        for node in graph.graph.nodes:
            if node.kwargs.get("device") is not None:
                node.update_kwarg("device", CUDA)
        FakeTensorProp(graph, mode).propagate_dont_convert_inputs(*fakes)
    return fakes


def _kept(graph: GraphModule, inputs: list[Any]) -> int:
    """Bytes that a forward graph hands to its backward, beside its inputs; its own result comes first."""
    values = [node.meta["val"] for node in graph.graph.output_node().args[0][1:]]
    tensors = {storage(value): value for value in values if isinstance(value, Tensor)}
    given = {storage(value) for value in inputs if isinstance(value, Tensor)}
    return sum(spanned_bytes(tensor) for place, tensor in tensors.items() if place not in given)


def count_compiled(operation: Operation, arguments: Arguments) -> Traffic:
    """The traffic of an operation forward and backward as torch.compile makes it, as :func:`bench.traffic.count`."""
    traffic = Traffic()

    class OnCuda(GraphLowering):
        """Takes a graph over when all passes have run on it: some of them would ask a GPU's tensors for their GPU."""

        def __init__(self, gm: GraphModule, *, example_inputs: Sequence[Any], **options: Any) -> None:
            self.fakes = _on_cuda(gm, example_inputs)
            super().__init__(gm, example_inputs=self.fakes, **options)

        def run(self, *_: Any) -> Any:
            return super().run(*self.fakes)

        def compile_to_module(self) -> None:
            self._update_scheduler()
            for node in self.scheduler.nodes:
                if not isinstance(node, NopKernelSchedulerNode):
                    traffic.launches["library" if node.is_extern() else "generated"] += 1
                    traffic.moved += node.get_read_write_buffers_sizes()
            raise _CountedError

    def lower(graph: GraphModule, inputs: list[Any], **options: Any) -> Callable[..., Any]:
        if not options.get("is_backward"):
            traffic.kept = _kept(graph, inputs)
        with _as_on_an_h100(), patch.object(compile_fx, "GraphLowering", OnCuda):
            _until_counted(lambda: compile_fx.compile_fx_inner(graph, inputs, **options))
        return _stop

    def backend(graph: GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        return compile_fx.compile_fx(graph, inputs, inner_compile=lower)

    torch.compiler.reset()
    with autograd_config.patch(force_non_lazy_backward_lowering=True):
        compiled = torch.compile(operation, backend=backend, fullgraph=True)
        _until_counted(lambda: compiled(*arguments()))
    return traffic


def _stop(*_: object) -> None:
    raise _CountedError


def _until_counted(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:
        chain = [error, error.__cause__, getattr(error, "inner_exception", None)]
        if not any(isinstance(cause, _CountedError) for cause in chain):
            raise
