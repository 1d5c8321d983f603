"""Feature synchronisation: every proof of an op, the official distances, and when a gradient is scaled in place."""

import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dislosses import FeatureSyncLoss, feature_sync_loss
from dislosses.feature_sync import reference
from tests.harness import Op, check_op

DISTANCES = ("l2", "l1", "smooth_l1", "kl")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def reference_loss(
    features: list[Tensor],
    guides: list[Tensor],
    distance: str = "l2",
    reduction: str = "sum",
    *,
    weights: list[float],
    sample_weight: Tensor,
) -> Tensor:
    losses = reference.feature_sync(features, guides, sample_weight, weights, distance)
    return losses if reduction == "none" else losses.sum()


def pairs_of(distance: str, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Any:
    shapes = [shape, (shape[0], 5, 11, 7), (shape[0], 13)]
    features, guides = ([(2 * torch.randn(s, generator=generator)).to(dtype) for s in shapes] for _ in range(2))
    sample_weight = torch.rand(shape[0], generator=generator).bfloat16().to(dtype)
    options = {"reduction": "none", "weights": [1.0, 0.25, -2.0], "sample_weight": sample_weight}
    return (features, guides, distance), options


def overload_arguments(features: Any, guides: Any, distance: str, **options: Any) -> Any:
    return (features, guides, options["sample_weight"], options["weights"], distance, True, False), {}


def described(distance: str) -> Op:
    return Op(
        function=feature_sync_loss,
        reference=reference_loss,
        make_inputs=lambda shape, dtype, generator: pairs_of(distance, shape, dtype, generator),
        overload=torch.ops.dislosses.feature_sync.default,
        overload_arguments=overload_arguments,
        # Gradients of half precision are rounded twice; float16 loses what is below its smallest number.
        tolerances={
            torch.float32: (1e-5, 1e-6),
            torch.bfloat16: (1.6e-2, 1e-5),
            torch.float16: (2e-3, 1e-6),
        },
        differentiable=[0],
        like_first=False,
    )


test_l2 = check_op(described("l2"))
test_l1 = check_op(described("l1"))
test_smooth_l1 = check_op(described("smooth_l1"))
test_kl = check_op(described("kl"))
