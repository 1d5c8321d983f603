"""The compiled kernel of all formulas: where it runs, what it leaves to the reference, and threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import dislosses  # noqa: F401  registers every formula
from dislayers._runtime.library import choices
from dislayers._runtime.native import extension
from dislosses._pixel_loss import native, reference
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.op import formulas

pytestmark = pytest.mark.skipif(extension is None, reason="the extension is not there")

OPTIONS = {"bce_iou": (1.0, 0.5), "focal": (2.0, 0.25, 0.75), "normalized_focal": (1.5, 0.5, 0.5)}
# More than one block of copies, more than one task of a thread, and work for three of them.
SHAPE = (3, 1, 365, 367)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def case(name: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Arguments]:
    generator = torch.Generator().manual_seed(0)
    prediction = (4 * torch.randn(SHAPE, generator=generator)).to(dtype)
    return prediction, torch.rand(SHAPE, generator=generator) < 0.5, Arguments(OPTIONS.get(name, ()))


def run(module: object, name: str, prediction: Tensor, target: Tensor, arguments: Arguments) -> list[Tensor]:
    """Losses, coefficients and gradient."""
    results = module.forward(formulas[name], prediction, target, *arguments)  # type: ignore[attr-defined]
    gradient = torch.tensor([1.0, -2.0, 0.5]).to(results[0].dtype)
    slopes = module.backward(formulas[name], gradient, results[1], prediction, target, *arguments)  # type: ignore[attr-defined]
    return [*results, slopes]


@pytest.mark.parametrize("name", formulas)
def test_every_formula_is_compiled(name: str) -> None:
    assert name in extension.pixel_formulas()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", formulas)
def test_runs_on_the_cpu_behind_triton_and_on_no_gpu(name: str) -> None:
    for op in (f"dislosses::{name}", f"dislosses::{name}_backward"):
        assert choices[op]["cpu"].implementation.name in ("native", "triton")
        assert choices[op]["cuda"].implementation.name != "native"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", formulas)
def test_any_number_of_threads_gives_the_same_bits(name: str, dtype: torch.dtype, threads: None) -> None:
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(run(native, name, *case(name, dtype)))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", formulas)
def test_sums_of_many_pixels_lose_no_digits(name: str) -> None:
    prediction, target, arguments = case(name)
    losses, coefficients, _ = run(native, name, prediction, target, arguments)
    exact = run(reference, name, prediction.double(), target, arguments)
    torch.testing.assert_close([losses.double(), coefficients.double()], exact[:2], rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", formulas)
def test_half_precision_is_rounded_once(name: str) -> None:
    prediction, target, arguments = case(name, torch.bfloat16)
    rounded = run(native, name, prediction, target, arguments)
    whole = run(native, name, prediction.float(), target, arguments)
    assert all(torch.equal(a, b.to(a.dtype)) for a, b in zip(rounded, whole, strict=True))


@pytest.mark.parametrize("name", formulas)
def test_other_types_of_targets_give_the_same_bits(name: str) -> None:
    prediction, target, arguments = case(name)
    of_bool = run(native, name, prediction, target, arguments)
    for dtype in (torch.uint8, torch.int64, torch.float16, torch.float32, torch.float64):
        other = run(native, name, prediction, target.to(dtype), arguments)
        assert all(torch.equal(a, b) for a, b in zip(of_bool, other, strict=True)), dtype


@pytest.mark.parametrize("name", formulas)
def test_float64_is_left_to_the_reference(name: str) -> None:
    prediction, target, arguments = case(name, torch.float64)
    for a, b in zip(*(run(module, name, prediction, target, arguments) for module in (native, reference)), strict=True):
        assert a.dtype == torch.float64
        assert torch.equal(a, b)
