"""The whole list of proofs for one op, from one description: ``test_erode = check_op(Op(...))``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from dislayers._runtime.launch import triton_missing
from tests.layouts import INCOMING, LAYOUTS, Inputs

# Triton's interpreter is slow: what an op is registered as needs no more than one case there.
INTERPRETED = not triton_missing("cpu")
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
SHAPES = (
    *((2, 3, 17, 19), (3, 2, 65, 63), (1, 1, 64, 64), (1, 1, 1, 1)),
    *((1, 1, 1, 65), (1, 1, 63, 1), (3, 1, 5, 130), (0, 3, 8, 8)),
)


@dataclass(frozen=True)
class Op:
    """What an op promises.

    Args:
        function: what people call.
        reference: its definition in plain PyTorch, same arguments; called on the CPU with floating tensors in float64.
        make_inputs: (shape, dtype, CPU generator) to (args, kwargs) on the CPU; each case lays them out and moves them.
        overload: the registered op, for opcheck.
        overload_arguments: the overload's (args, kwargs) from the function's arguments; the same ones by default.
        dtypes: passed on to make_inputs.
        shapes: passed on to make_inputs. torch.compile sees the first two: as many dimensions in both, no size of 0,
            and 1 only where both have it.
        tolerances: (rtol, atol) by dtype of the inputs; torch.testing's for the outputs' dtype where there are none.
        differentiable: positions of the arguments that get a gradient: tensors, or lists of them.
        gradcheck: what to differentiate numerically in place of the reference, or the reason why nothing is.
        second_derivative: whether differentiating twice is right or raises RuntimeError.
        like_first: the first output has the strides that torch.empty_like gives for the first argument.
        errors: (call, exception, regular expression of its text).
    """

    function: Callable[..., Any]
    reference: Callable[..., Any]
    make_inputs: Callable[[tuple[int, ...], torch.dtype, torch.Generator], tuple[tuple[Any, ...], dict[str, Any]]]
    overload: Any
    overload_arguments: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] = lambda *args, **kwargs: (args, kwargs)
    dtypes: Sequence[torch.dtype] = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
    shapes: Sequence[tuple[int, ...]] = SHAPES
    tolerances: Mapping[torch.dtype, tuple[float, float]] = field(default_factory=dict)
    differentiable: Sequence[int] = ()
    gradcheck: Callable[..., Any] | str | None = None
    second_derivative: Literal["right", "raises"] = "raises"
    like_first: bool = True
    errors: Sequence[tuple[Callable[[], Any], type[Exception], str]] = ()


@dataclass(frozen=True)
class Case:
    """An op on one device, with one dtype, in one layout."""

    op: Op
    device: str
    dtype: torch.dtype
    layout: str

    def inputs(self, shape: tuple[int, ...], seed: int = 0) -> Inputs:
        made = Inputs(*self.op.make_inputs(shape, self.dtype, torch.Generator().manual_seed(seed)))
        ways = list(LAYOUTS[self.layout])

        def laid_out(x: Tensor) -> Tensor:
            way = ways.pop(0) if len(ways) > 1 else ways[0]
            return way(x.to(self.device)) if x.ndim > 1 else x.to(self.device)

        return made.map(laid_out)

    def run(self, function: Callable[..., Any], inputs: Inputs, incoming: str = "dense") -> list[Any]:
        """The outputs, then the gradients."""
        _, outputs, gradients = self.differentiate(function, inputs, incoming)
        return [x.detach() if isinstance(x, Tensor) else x for x in (*outputs, *gradients)]

    def differentiate(
        self, function: Callable[..., Any], inputs: Inputs, incoming: str = "dense", create_graph: bool = False
    ) -> tuple[list[Tensor], list[Any], Sequence[Tensor]]:
        """What can be differentiated a second time (leaves and incoming gradients), the outputs, the gradients."""
        inputs = inputs.with_leaves(self.op.differentiable)
        leaves, outputs = tree_leaves([inputs.args[i] for i in self.op.differentiable]), inputs.call(function)
        if not leaves:
            return leaves, outputs, []
        ends, generator = [x for x in outputs if x.requires_grad], torch.Generator().manual_seed(1)
        # Numbers that bfloat16 holds are the same in every dtype.
        weights = [torch.randn(x.shape, generator=generator).bfloat16().to(x) for x in ends]
        weights = [INCOMING[incoming](x).requires_grad_(create_graph) for x in weights]
        gradients = torch.autograd.grad(ends, leaves, weights, create_graph=create_graph)
        return [*leaves, *weights], outputs, gradients

    def assert_close(self, actual: Sequence[Any], expected: Sequence[Any], where: object) -> None:
        rtol, atol = self.op.tolerances.get(self.dtype, (None, None))
        _assert_close(actual, expected, where, rtol, atol)


def _assert_close(
    actual: Sequence[Any], expected: Sequence[Any], where: object, rtol: float | None = 0, atol: float | None = 0
) -> None:
    torch.testing.assert_close(
        list(actual), list(expected), rtol=rtol, atol=atol, equal_nan=True, check_device=False, check_dtype=False,
        msg=lambda text: f"{where}: {text}",
    )  # fmt: skip


def _strides(x: Tensor) -> list[int]:
    """Those that mean something."""
    return [stride for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1 and x.numel()]


def values(case: Case) -> None:
    for shape in case.op.shapes:
        inputs = case.inputs(shape)
        before, outputs = inputs.map(torch.clone), inputs.call(case.op.function)
        case.assert_close(outputs, inputs.exact().call(case.op.reference), shape)
        _assert_close(inputs.tensors(), before.tensors(), f"{shape}, inputs after the call")
        owned = {x.untyped_storage().data_ptr() for x in inputs.tensors() if x.numel()}
        assert not any(x.untyped_storage().data_ptr() in owned for x in outputs), f"{shape}: an output is an input"
        if case.op.like_first:
            assert _strides(outputs[0]) == _strides(torch.empty_like(inputs.args[0])), f"{shape}: layout"


def _described(outputs: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    return [(x.shape, x.dtype, x.device, _strides(x)) for x in outputs]


def fake(case: Case) -> None:
    for shape in case.op.shapes:
        inputs = case.inputs(shape)
        with FakeTensorMode() as mode:
            pretended = inputs.map(mode.from_tensor).call(case.op.function)
        assert _described(pretended) == _described(inputs.call(case.op.function)), shape


def fake_gradients(case: Case) -> None:
    for shape, incoming in product(case.op.shapes, INCOMING):
        inputs = case.inputs(shape)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            _, _, pretended = case.differentiate(case.op.function, inputs.map(mode.from_tensor), incoming)
        _, _, actual = case.differentiate(case.op.function, inputs, incoming)
        assert _described(pretended) == _described(actual), f"{shape}, {incoming} gradient"


def opcheck(case: Case) -> None:
    inputs = case.inputs(case.op.shapes[0]).with_leaves(case.op.differentiable)
    torch.library.opcheck(case.op.overload, *case.op.overload_arguments(*inputs.args, **inputs.kwargs))


def gradients(case: Case) -> None:
    for shape, incoming in product(case.op.shapes, INCOMING):
        inputs = case.inputs(shape)
        expected = case.run(case.op.reference, inputs.exact(), incoming)
        case.assert_close(case.run(case.op.function, inputs, incoming), expected, f"{shape}, {incoming} gradient")


def gradcheck(case: Case) -> None:
    if isinstance(case.op.gradcheck, str):
        pytest.skip(case.op.gradcheck)
    function = case.op.gradcheck or case.op.reference
    args, kwargs = case.inputs(case.op.shapes[0]).exact().with_leaves(case.op.differentiable)
    flat, structure = tree_flatten(args)
    assert torch.autograd.gradcheck(
        lambda *leaves: function(*tree_unflatten(leaves, structure), **kwargs), tuple(flat), fast_mode=True
    )


def second_derivative(case: Case) -> None:
    def twice(function: Callable[..., Any], inputs: Inputs) -> Sequence[Tensor]:
        sources, _, first = case.differentiate(function, inputs, create_graph=True)
        ends = [x.square().sum() for x in first]
        return torch.autograd.grad(ends, sources, allow_unused=True, materialize_grads=True)

    inputs = case.inputs(case.op.shapes[0])
    if case.op.second_derivative == "right":
        case.assert_close(
            twice(case.op.function, inputs), twice(case.op.reference, inputs.exact()), "second derivative"
        )
    else:
        with pytest.raises(RuntimeError):
            twice(case.op.function, inputs)


def compiled(case: Case) -> None:
    torch.compiler.reset()
    function = torch.compile(case.op.function, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape, stance in zip(case.op.shapes, ("default", "fail_on_recompile"), strict=False):
        inputs = case.inputs(shape)
        with torch.compiler.set_stance(stance):
            actual = case.run(function, inputs)
        case.assert_close(actual, case.run(case.op.function, inputs), shape)


def exported(case: Case) -> None:
    class Around(torch.nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return case.op.function(*args, **kwargs)

    first, other = (case.inputs(case.op.shapes[0], seed) for seed in (0, 1))
    program = torch.export.export(Around(), *first).module()
    case.assert_close(other.call(program), other.call(case.op.function), case.op.shapes[0])


def _same_under(case: Case, context: Callable[[], AbstractContextManager[Any]]) -> None:
    for shape in case.op.shapes:
        inputs = case.inputs(shape)
        expected = case.run(case.op.function, inputs)
        with context():
            actual = case.run(case.op.function, inputs)
        _assert_close(actual, expected, shape)


def deterministic(case: Case) -> None:
    _same_under(case, nullcontext)


@contextmanager
def _poison() -> Iterator[None]:
    """Deterministic algorithms, and torch.empty gives NaN, the largest integer and True."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def poisoned_memory(case: Case) -> None:
    _same_under(case, _poison)


def autocast(case: Case) -> None:
    _same_under(case, partial(torch.autocast, case.device, dtype=torch.bfloat16))


def raises(call: Callable[[], Any], exception: type[Exception], text: str) -> None:
    with pytest.raises(exception, match=text):
        call()


def _proofs(op: Op) -> Iterator[Any]:
    anywhere = [values, fake, opcheck, deterministic, poisoned_memory]
    once = [compiled, exported, autocast]
    if op.differentiable:
        anywhere += [gradients, fake_gradients]
        once += [second_derivative]
    if INTERPRETED:
        once += [proof for proof in anywhere if proof not in (values, gradients)]
        anywhere = [proof for proof in anywhere if proof in (values, gradients)]
    for device, dtype in product(DEVICES, op.dtypes):
        of_one_dtype = once if not INTERPRETED or dtype == op.dtypes[0] else []
        for proof, layout in (*product(anywhere, LAYOUTS), *product(of_one_dtype, ["contiguous"])):
            names = [proof.__name__, str(dtype).removeprefix("torch."), layout, *[device][device == "cpu" :]]
            yield pytest.param(partial(proof, Case(op, device, dtype, layout)), id="-".join(names))
    if op.differentiable:
        yield pytest.param(partial(gradcheck, Case(op, "cpu", torch.float64, "contiguous")), id="gradcheck")
    for i, error in enumerate(op.errors):
        yield pytest.param(partial(raises, *error), id=f"raises-{i}")


def check_op(op: Op) -> Callable[..., None]:
    """A test that pytest runs once for every proof: ``test_erode[values-bool-channels_last]`` and so on."""

    @pytest.mark.parametrize("proof", list(_proofs(op)))
    def test(proof: Callable[[], None]) -> None:
        proof()

    return test
