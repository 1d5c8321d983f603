"""What an operation launches on a GPU and moves through its memory, counted without one and without computing.

The operation runs forward and backward on meta tensors, which have no data; every op below autograd is seen.

- A kernel is an op that ATen implements itself: composite ones are taken apart, views and allocations cost nothing,
  and an op that launches twice (a large reduction, a split convolution) counts as one, so the count is a lower bound.
- An op reads each of its tensors once and writes its results once; what ``expand`` repeats is there once.
- An op of ours runs what it would on a GPU: each launch of a Triton kernel is noted, with every tensor it is given
  once (twice where one is given to be read and to be written), and nothing is launched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._ops import OpOverload
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dislayers._runtime.library import DEVICES, choices

Operation = Callable[..., Tensor]
Arguments = Callable[[], tuple[Any, ...]]

# What these do depends on the device, so their parts on a CPU say nothing.
_WHOLE = {"aten::convolution", "aten::convolution_backward", "aten::copy_", "aten::log_sigmoid"}
_NO_KERNEL = {"aten::empty", "aten::empty_strided", "aten::lift_fresh"}
_OVERWRITES = {"aten::copy_", "aten::fill_", "aten::zero_"}


@dataclass
class Traffic:
    """Kernels by name, bytes read and written, and bytes kept for backward beside the inputs."""

    launches: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    kept: int = 0

    @property
    def kernels(self) -> int:
        return self.launches.total()

    def launch(self, name: str, tensors: Iterable[Tensor]) -> None:
        self.launches[name] += 1
        self.moved += sum(map(spanned_bytes, tensors))


class _Counting(TorchDispatchMode):
    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self.traffic = traffic

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.name() in choices:
            with self:
                return choices[func.name()]["cuda"].implementation.run(*args, **kwargs)
        if composition := _composition(func):
            with self:
                return func._op_dk(composition, *args, **kwargs)
        result = func(*args, **kwargs)
        read, written = _moved(func, args, kwargs, result)
        if written and func._schema.name not in _NO_KERNEL:
            self.traffic.launch(func._schema.name, [*read, *written])
        return result


def _composition(func: OpOverload) -> DispatchKey | None:
    """How an op calls others instead of launching anything itself; None if it is no such op."""
    if func.namespace != "aten" or func._schema.name in _WHOLE or func.has_kernel_for_dispatch_key(DispatchKey.CPU):
        return None
    if func.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd):
        return DispatchKey.CompositeImplicitAutograd
    explicit = DispatchKey.CompositeExplicitAutograd
    return explicit if func.has_kernel_for_dispatch_key(explicit) and not func.is_view else None


def _moved(
    func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> tuple[list[Tensor], list[Tensor]]:
    """The distinct tensors an op reads, and those it writes: what its schema says it changes, or what is new."""
    arguments = func._schema.arguments
    given = dict(zip((argument.name for argument in arguments), args, strict=False)) | kwargs
    changed = {argument.name for argument in arguments if argument.is_write} & given.keys()
    overwritten = changed if func._schema.name in _OVERWRITES else {"out"}
    read = {id(tensor): tensor for name in given.keys() - overwritten for tensor in _tensors(given[name])}
    if changed:
        return list(read.values()), _tensors([given[name] for name in changed])
    known = {storage(tensor) for tensor in _tensors(given)}
    return list(read.values()), [tensor for tensor in _tensors(result) if storage(tensor) not in known]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def spanned_bytes(tensor: Tensor) -> int:
    """Of the elements that differ in their place."""
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride or size == 0 else 1
    return elements * tensor.element_size()


@contextmanager
def _as_on_a_gpu(traffic: Traffic, idle: Mapping[str, str]) -> Iterator[None]:
    """Ops take the implementation and the blocks of an H100; Triton kernels are noted, not launched."""

    def note(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        name = kernel.fn.__name__
        traffic.launch(name, () if kwargs.get(idle.get(name, "")) else _tensors((args, kwargs)))

    with ExitStack() as stack:
        on_gpu = {name: dict.fromkeys(("meta", *DEVICES), choice["cuda"]) for name, choice in choices.items()}
        stack.enter_context(patch.dict(choices, on_gpu))
        stack.enter_context(patch("dislayers._runtime.launch.architecture", lambda _: "sm_90"))
        if find_spec("triton"):
            stack.enter_context(patch("triton.runtime.jit.JITFunction.run", note))
        yield


@contextmanager
def _kept(traffic: Traffic, inputs: list[Tensor]) -> Iterator[None]:
    """Storages that autograd keeps and that are none of the inputs'."""
    given = set(map(storage, inputs))
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield
    traffic.kept = sum(size for place, size in kept.items() if place not in given)


def count(operation: Operation, arguments: Arguments, idle: Mapping[str, str] | None = None) -> Traffic:
    """The traffic of an operation forward and backward, the gradient of its result being given: 1.

    Args:
        operation: gives one tensor; plain PyTorch, or with ops of ours.
        arguments: makes what the operation takes; tensors that require a gradient get one. Without any, only the way
            forward is counted.
        idle: Triton kernels that find nothing to do for a gradient of 1 if the constant named beside them is set.
    """
    traffic = Traffic()
    with ExitStack() as stack:
        enter: Callable[[AbstractContextManager[Any]], Any] = stack.enter_context
        enter(torch.device("meta"))
        given = arguments()
        enter(_as_on_a_gpu(traffic, idle or {}))
        with _kept(traffic, _tensors(given)), _Counting(traffic):
            result = operation(*given)
        gradient = torch.empty_like(result)
        differentiable = [tensor for tensor in _tensors(given) if tensor.requires_grad]
        if differentiable:
            with _Counting(traffic):
                torch.autograd.grad(result, differentiable, gradient)
    return traffic
