"""The op ``dislosses::orthogonality`` with its gradient, the loss, which weights it takes, and the module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dislayers._runtime import check
from dislayers._runtime.launch import in_triton
from dislayers._runtime.layout import dense_samples
from dislayers._runtime.library import register
from dislosses.orthogonality import reference
from dislosses.reduction import SUM_REDUCTIONS, SumReduction

Reading = Literal["paper", "official"]
READINGS: tuple[str, ...] = get_args(Reading)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _fake_forward(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    first, dtype = weights[0], torch.promote_types(weights[0].dtype, torch.float32)
    sign = first.new_empty(reference.sign_starts(w.shape[0] for w in weights)[-1], dtype=torch.int8)
    return first.new_empty(len(weights), dtype=dtype), sign


def _fake_backward(gradient: Tensor, sign: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    return [torch.empty_like(dense_samples(w)) for w in weights]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], *inputs[0])


def _backward(ctx: Any, gradient: Tensor | None, _: None) -> list[Tensor] | list[None]:
    sign, *weights = ctx.saved_tensors
    if gradient is None:
        return [None] * len(weights)
    return _orthogonality_backward(gradient, sign, weights)  # type: ignore[no-any-return]


_orthogonality_backward = register(
    "dislosses::orthogonality_backward(Tensor gradient, Tensor sign, Tensor[] weights) -> Tensor[]",
    reference.backward,
    _fake_backward,
    kernels=[in_triton("dislosses.orthogonality.kernel.launch_backward")],
)
_orthogonality = register(
    "dislosses::orthogonality(Tensor[] weights) -> (Tensor, Tensor)",
    reference.forward,
    _fake_forward,
    kernels=[in_triton("dislosses.orthogonality.kernel.launch_forward")],
    backward=_backward,
    setup_context=_save,
)


def orthogonality_loss(weights: Sequence[Tensor], reduction: SumReduction = "sum") -> Tensor:
    """Distance of weights from orthogonal rows: ``sum |W W^T - I|`` over all elements, W each weight as a matrix.

    Args:
        weights: one or more tensors (O, ...), floating, on one device; W is the weight flattened to (O, K), so a
            vector is a column. :func:`orthogonality_weights` gives those of a model.
        reduction: "sum" over the weights, or "none" (one value a weight).

    Returns:
        A float32 scalar (float64 from float64), or (len(weights),) for "none". The recipe's factor, 1e-8, is not in it.

    Raises:
        TypeError: a weight is not floating.
        ValueError: there is no weight, one has no dimension or lies on another device, or reduction is unknown.

    Numerics:
        Sums in float32 at least, half precision exact in each product; deterministic; no host synchronisation. On a
        GPU products have the precision that ``torch.set_float32_matmul_precision`` sets: TF32 for "high" and "medium",
        for "highest" three TF32 products that give float32's accuracy. Weights of several dtypes are promoted to one.
        The gradient is ``2 S W`` with ``S = sign(W W^T - I)``, 0 where the difference is 0 or not a number. Backward
        keeps the weights and S in 8 bits.

    Source:
        DIS-SAM (Liu et al., 2024), the ORTHO term, as in the official code: absolute values, no squared norm.
    """
    check.one_of("reduction", reduction, SUM_REDUCTIONS)
    check.tensors("weights", weights)
    for i, weight in enumerate(weights):
        check.floating(f"weights[{i}]", weight)
        if weight.ndim == 0:
            raise ValueError(f"weights[{i}] must have the shape (O, ...), got a scalar")
        check.beside(f"weights[{i}]", weight, "weights[0]", weights[0])
    dtype = reduce(torch.promote_types, (w.dtype for w in weights))
    losses: Tensor = _orthogonality([w if w.dtype == dtype else w.to(dtype) for w in weights])[0]
    return losses.sum() if reduction == "sum" else losses


def orthogonality_weights(model: nn.Module, reading: Reading = "paper") -> list[Tensor]:
    """The weights of a model that :func:`orthogonality_loss` counts.

    Args:
        model: any module.
        reading: "paper": the weights of convolutions (transposed ones left out, whose first dimension is the input's);
            "official": every parameter whose name has no "bias", so scales of batch norm too, as columns (C, 1).

    Returns:
        The model's own tensors, in its order.

    Raises:
        ValueError: reading is unknown.

    Numerics:
        With scales near 1 the official reading is little else: ``w w^T - I`` of a column of C ones sums to C² - C. For
        IS-Net with random weights the batch norms are 98 % of it.

    Source:
        DIS-SAM (Liu et al., 2024): the paper's text, and the loop over named parameters in its official code.
    """
    check.one_of("reading", reading, READINGS)
    if reading == "official":
        return [parameter for name, parameter in model.named_parameters() if "bias" not in name]
    return [module.weight for module in model.modules() if isinstance(module, _CONVOLUTIONS)]


class OrthogonalityLoss(nn.Module):
    """:func:`orthogonality_loss` of a model's weights as a module: ``OrthogonalityLoss()(model)``.

    Args:
        reading: which weights count, see :func:`orthogonality_weights`.
        reduction: "sum" or "none".
    """

    def __init__(self, reading: Reading = "paper", reduction: SumReduction = "sum") -> None:
        super().__init__()
        check.one_of("reading", reading, READINGS)
        check.one_of("reduction", reduction, SUM_REDUCTIONS)
        self.reading: Reading = reading
        self.reduction: SumReduction = reduction

    def forward(self, model: nn.Module) -> Tensor:
        """The loss of the weights that model has now."""
        return orthogonality_loss(orthogonality_weights(model, self.reading), self.reduction)
