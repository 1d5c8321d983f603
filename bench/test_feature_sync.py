"""Feature synchronisation over IS-Net's six maps, forward and backward: ours against the published sum of means.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, measure
from dislosses import feature_sync_loss

BATCH = 8 if GPU else 2
# Channels and side of hx1d to hx5d and hx6, of images of 1024x1024.
MAPS = ((64, 512), (64, 256), (128, 128), (256, 64), (512, 32), (512, 16))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7}

Loss = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]


def published_l2(features: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    losses = [F.mse_loss(f.float(), g.float()) for f, g in zip(features, guides, strict=True)]
    return torch.stack(losses).sum()


def published_kl(features: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    losses = [
        F.kl_div(f.float().log_softmax(1), g.float().softmax(1), reduction="none").mean()
        for f, g in zip(features, guides, strict=True)
    ]
    return torch.stack(losses).sum()


def ours_l2(features: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    return feature_sync_loss(features, guides)


def ours_kl(features: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    return feature_sync_loss(features, guides, "kl")


PUBLISHED: dict[str, Loss] = {"l2": published_l2, "kl": published_kl}
IMPLEMENTATIONS: dict[str, Callable[[str], Loss]] = {
    "dislayers": lambda distance: {"l2": ours_l2, "kl": ours_kl}[distance],
    "PyTorch": PUBLISHED.__getitem__,
    "torch.compile": lambda distance: torch.compile(PUBLISHED[distance]),
}


def inputs(dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    shapes = [(BATCH, channels, side, side) for channels, side in MAPS]
    features = [torch.randn(shape, device=DEVICE).to(dtype).requires_grad_() for shape in shapes]
    return features, [torch.randn(shape, device=DEVICE).to(dtype) for shape in shapes]


def kept_for_backward(loss: Loss, features: list[Tensor], guides: list[Tensor]) -> float:
    """MB that one call leaves to its backward, the inputs left out."""
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss(features, guides)
    for given in (*features, *guides):
        kept.pop(given.untyped_storage().data_ptr(), None)
    del result
    return round(sum(kept.values()) / 1e6, 3)


def check(loss: Loss, published: Loss, features: list[Tensor], guides: list[Tensor]) -> None:
    """Loss and gradients are those of the published formula."""
    result, expected = loss(features, guides), published(features, guides)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=0)
    pairs = zip(torch.autograd.grad(result, features), torch.autograd.grad(expected, features), strict=True)
    for gradient, right in pairs:
        error = (gradient.float() - right.float()).abs().max() / right.float().abs().max()
        assert error <= TOLERANCE[gradient.dtype], f"gradient is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", list(DTYPES) if GPU else ["fp32"])
@pytest.mark.parametrize("distance", PUBLISHED)
def test_forward_backward(benchmark: BenchmarkFixture, distance: str, dtype: str, implementation: str) -> None:
    benchmark.group = f"feature synchronisation {distance}, forward and backward, {BATCH}x1024x1024 {dtype}"
    features, guides = inputs(DTYPES[dtype])
    loss = IMPLEMENTATIONS[implementation](distance)
    check(loss, PUBLISHED[distance], features, guides)
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(loss, features, guides)
    measure(benchmark, lambda: torch.autograd.grad(loss(features, guides), features))
