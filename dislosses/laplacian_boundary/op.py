"""The op ``dislosses::laplacian_boundary`` with its gradient, the loss and the module that people call."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislosses._pixel_loss.loss import INPUTS, Input
from dislosses.laplacian_boundary import native, reference
from dislosses.reduction import REDUCTIONS, Reduction, check_sample_weight, reduced

Edge = Literal["abs", "relu"]
EDGES: tuple[str, ...] = get_args(Edge)

_ARGUMENTS = "Tensor logits, Tensor target, str edge, int kernel, str input"


def _fake_forward(logits: Tensor, *_: object) -> Tensor:
    return logits.new_empty(logits.shape[:1], dtype=torch.promote_types(logits.dtype, torch.float32))


def _fake_backward(gradient: Tensor, logits: Tensor, *_: object) -> Tensor:
    return torch.empty_like(logits)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    logits, target, *ctx.options = inputs
    ctx.save_for_backward(logits, target)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return _laplacian_boundary_backward(gradient, *ctx.saved_tensors, *ctx.options), None, None, None, None


_laplacian_boundary_backward = register(
    f"dislosses::laplacian_boundary_backward(Tensor gradient, {_ARGUMENTS}) -> Tensor",
    reference.backward,
    _fake_backward,
    kernels=[
        in_triton("dislosses.laplacian_boundary.kernel.launch_backward"),
        Implementation("native", native.backward, missing_kernel("laplacian_boundary_backward")),
    ],
)
_laplacian_boundary = register(
    f"dislosses::laplacian_boundary({_ARGUMENTS}) -> Tensor",
    reference.laplacian_boundary,
    _fake_forward,
    kernels=[
        in_triton("dislosses.laplacian_boundary.kernel.launch_forward"),
        Implementation("native", native.forward, missing_kernel("laplacian_boundary")),
    ],
    backward=_backward,
    setup_context=_save,
)


def laplacian_boundary_loss(
    logits: Tensor,
    target: Tensor,
    edge: Edge = "abs",
    kernel: int = 8,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy between the edges of a prediction and those of its target: ``BCE(D(p), D(t))``.

    ``p = sigmoid(logits)`` and ``D(f) = |tanh(K * f)|``, where K is 3x3: 8 amid -1, zeros beyond the image.
    ``D(p)`` is clipped to [1e-7, 1 - 1e-7]. A sample's loss is the mean over its pixels.

    Args:
        logits: (B, ..., H, W), floating; (H, W) is a batch of one.
        target: same shape; bool, integer (0 or 1) or floating in [0, 1] (soft labels). It gets no gradient.
        edge: "abs" (ThreshNet), or "relu" for ``relu(tanh(K * f))`` (PFAN).
        kernel: 8, or 4 for the cross: 4 amid four -1.
        reduction: "mean" or "sum" over the samples, or "none": (B,).
        input: "probabilities" where logits already are ``p``, in [0, 1]; their gradient is then that of ``p``.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or (B,) for "none". The mean over no pixels or samples is NaN.

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has less than two dimensions, or an option is none of those named.
            A target above 1 is refused on CPUs alone.

    Numerics:
        Computed in float32, also from half precision; deterministic, for any number of threads; no host
        synchronisation. Backward keeps the inputs and computes the edges anew. The convolution is a sum of differences,
        exactly 0 where ``p`` is flat. Derivatives are autograd's of the formula: 0 where ``D(p)`` is clipped and where
        the tanh is 0, so a flat prediction gets no gradient. Where it is nearly flat the derivative has a pole, up to
        ``1e7 t``, and float32 has few digits of it. NaN in a sample makes its loss NaN; infinite logits are
        probabilities of 0 and 1.

    Source:
        ThreshNet, section 3, with the kernel of its source, PFAN, whose public code has ``relu``.
    """
    _check_options(edge, kernel, reduction, input)
    check.floating("logits", logits)
    check.prediction("logits", logits)
    check.real("target", target)
    check.matching("target", target, "logits", logits)
    if logits.ndim == 2:
        logits, target = logits[None], target[None]
    check_sample_weight(sample_weight, "logits", logits)
    if left_to_compiler("dislosses::laplacian_boundary", logits.device):
        losses = reference.laplacian_boundary(logits, target.detach(), edge, kernel, input)
    else:
        losses = _laplacian_boundary(logits, target, edge, kernel, input)
    return reduced(losses, reduction, sample_weight)


def _check_options(edge: str, kernel: int, reduction: str, input: str) -> None:
    check.one_of("edge", edge, EDGES)
    check.one_of("reduction", reduction, REDUCTIONS)
    check.one_of("input", input, INPUTS)
    if kernel not in (4, 8):
        raise ValueError(f"kernel must be 4 or 8, got {kernel!r}")


class LaplacianBoundaryLoss(nn.Module):
    """:func:`laplacian_boundary_loss` as a module."""

    def __init__(
        self, edge: Edge = "abs", kernel: int = 8, reduction: Reduction = "mean", *, input: Input = "logits"
    ) -> None:
        super().__init__()
        _check_options(edge, kernel, reduction, input)
        self.edge: Edge = edge
        self.kernel = kernel
        self.reduction: Reduction = reduction
        self.input: Input = input

    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of logits against target, shapes as in :func:`laplacian_boundary_loss`."""
        return laplacian_boundary_loss(
            logits,
            target,
            self.edge,
            self.kernel,
            self.reduction,
            input=self.input,
            sample_weight=sample_weight,
        )
