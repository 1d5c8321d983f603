"""What tests of losses over pixels share: their inputs, and the proofs of an op with their shapes and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.launch import triton_missing
from dislosses._pixel_loss.formula import Arguments
from tests.harness import Op, check_op

IGNORED = -1
# The interpreter of Triton takes 50 us an operation, however many numbers it has.
INTERPRETED = not triton_missing("cpu")
SHAPES = ((2, 1, 9, 7), (3, 1, 5, 6), (0, 3, 4, 4), (1, 2, 1, 3))

Loss = Callable[..., Tensor]


def make_pixels(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Logits, and a target with hard labels, soft ones and ignored pixels; every number is one that bfloat16 holds."""
    logits = (torch.randn(shape, generator=generator) * 5).bfloat16()
    target = torch.rand(shape, generator=generator, dtype=torch.float32).bfloat16()
    target = torch.where(target < 0.4, 0, torch.where(target < 0.8, 1, target))
    target[torch.rand(shape, generator=generator) > 0.9] = IGNORED
    return logits.to(dtype), target.to(dtype)


def samples(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Hard labels, hard and soft ones with ignored pixels, and a last sample that is ignored whole."""
    logits, target = make_pixels((3, 2, 5, 4), dtype, torch.Generator().manual_seed(3))
    target[0] = (target[0] > 0.5).to(dtype)
    target[2] = IGNORED
    return logits, target


def numbers(tensor: Tensor) -> list[float]:
    """All elements in double precision."""
    return [float(x) for x in tensor.detach().double().flatten().tolist()]


def proofs(
    function: Loss,
    definition: Loss,
    arguments: Arguments,
    keywords: Mapping[str, Any],
    *,
    gradcheck: Loss | None = None,
    planes: bool = False,
) -> Callable[..., None]:
    """All proofs of an op.

    Args:
        function: what people call.
        definition: the same in plain PyTorch, right in float64.
        arguments: of the formula, that keywords stand for.
        keywords: passed on to both.
        gradcheck: what to differentiate numerically in place of the definition.
        planes: whether the op sees (B * C, H, W).
    """
    name = function.__name__.removesuffix("_loss")

    def seen(logits: Tensor, target: Tensor, **_: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        pixels = (logits.flatten(0, 1), target.flatten(0, 1)) if planes else (logits, target)
        return (*pixels, list(arguments.options), arguments.ignore_label, arguments.probabilities), {}

    def loss(**given: Any) -> Callable[[], Tensor]:
        return lambda: function(**{"logits": torch.zeros(2, 3), "target": torch.zeros(2, 3), **given})

    return check_op(
        Op(
            function=function,
            reference=definition,
            make_inputs=lambda *args: (make_pixels(*args), dict(keywords)),
            overload=getattr(torch.ops.dislosses, name).default,
            overload_arguments=seen,
            dtypes=(torch.float32,) if INTERPRETED else (torch.float32, torch.bfloat16),
            shapes=SHAPES[:3] if INTERPRETED else SHAPES,
            # Half precision arrives rounded in the gradient.
            tolerances={torch.float32: (2e-5, 1e-6), torch.bfloat16: (8e-3, 1e-5)},
            differentiable=[0],
            gradcheck=gradcheck,
            like_first=False,
            errors=[
                (loss(logits=torch.zeros(2, 3, dtype=torch.int64)), TypeError, "logits must be a floating"),
                (loss(target=torch.zeros(2, 3, dtype=torch.complex64)), TypeError, "target must be a bool"),
                (loss(target=torch.zeros(2, 4)), ValueError, r"target must have the shape .*\(2, 4\)"),
                (loss(logits=torch.tensor(0.0), target=torch.tensor(0.0)), ValueError, "batch dimension"),
                (loss(reduction="max"), ValueError, "reduction must be one of mean, sum, none, got 'max'"),
                (loss(input="odds"), ValueError, "input must be one of logits, probabilities, got 'odds'"),
                (loss(sample_weight=torch.ones(3)), ValueError, r"sample_weight must have the shape \(2,\)"),
                (loss(sample_weight=torch.ones(2).int()), TypeError, "sample_weight must be a floating"),
            ],
        )
    )
