"""Feature synchronisation: every proof of an op, the official distances, and when a gradient is scaled in place."""

import math
import weakref
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dislayers._runtime.launch import Blocks, triton_missing
from dislosses import FeatureSyncLoss, feature_sync_loss
from dislosses.feature_sync import reference
from tests.harness import Op, check_op

DISTANCES = ("l2", "l1", "smooth_l1", "kl")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# The interpreter of Triton takes 50 us an operation of a program.
INTERPRETED = not triton_missing("cpu")
SHAPES = ((2, 3, 5, 7), (3, 2, 9, 8), (0, 3, 8, 8), (1, 1, 1, 1), (2, 2, 65, 63))


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
    shapes = [shape, (shape[0], 13)]
    features, guides = ([(2 * torch.randn(s, generator=generator)).to(dtype) for s in shapes] for _ in range(2))
    sample_weight = torch.rand(shape[0], generator=generator).bfloat16().to(dtype)
    options = {"reduction": "none", "weights": [1.0, -2.0], "sample_weight": sample_weight}
    return (features, guides, distance), options


def overload_arguments(features: Any, guides: Any, distance: str, **options: Any) -> Any:
    return (features, guides, options["sample_weight"], options["weights"], distance, True, False), {}


def loss_of(**arguments: Any) -> Tensor:
    maps = [torch.zeros(2, 3, 4, 4)]
    return feature_sync_loss(**{"features": maps, "guides": maps, **arguments})


def described(distance: str, dtypes: Sequence[torch.dtype], **more: Any) -> Op:
    return Op(
        function=feature_sync_loss,
        reference=reference_loss,
        make_inputs=partial(pairs_of, distance),
        overload=torch.ops.dislosses.feature_sync.default,
        overload_arguments=overload_arguments,
        dtypes=dtypes,
        shapes=SHAPES[:3] if INTERPRETED else SHAPES,
        # Gradients of half precision are rounded twice; float16 loses what is below its smallest number.
        tolerances={torch.float32: (1e-5, 1e-6), torch.bfloat16: (1.6e-2, 1e-5), torch.float16: (2e-3, 1e-6)},
        differentiable=[0],
        like_first=False,
        **more,
    )


test_l2 = check_op(
    described(
        "l2",
        [torch.float32] if INTERPRETED else [torch.float32, torch.float16, torch.float64],
        errors=[
            (lambda: loss_of(distance="l3"), ValueError, "distance must be one of l2, l1, smooth_l1, kl, got 'l3'"),
            (lambda: loss_of(reduction="mean"), ValueError, "reduction must be one of sum, none, got 'mean'"),
            (lambda: FeatureSyncLoss("l3"), ValueError, "distance must be one of l2, l1, smooth_l1, kl, got 'l3'"),
            (lambda: FeatureSyncLoss(reduction="mean"), ValueError, "reduction must be one of sum, none, got 'mean'"),
            (lambda: loss_of(guides=[]), ValueError, "guides must hold at least one tensor, got none"),
            (
                lambda: loss_of(features=torch.zeros(1, 2, 3, 3)),
                TypeError,
                "features must be a list or tuple of tensors",
            ),
            (
                lambda: loss_of(guides=[torch.zeros(2, 3, 4, 5)]),
                ValueError,
                r"guides\[0\] must have the shape .* \(2, 3, 4, 5\)",
            ),
            (
                lambda: loss_of(features=[torch.zeros(2, 3, 4, 4, dtype=torch.int64)]),
                TypeError,
                r"features\[0\] must be a floating",
            ),
            (
                lambda: loss_of(guides=[torch.zeros(2, 3, 4, 4, dtype=torch.bool)]),
                TypeError,
                r"guides\[0\] must be a floating",
            ),
            (lambda: loss_of(weights=[1.0, 2.0]), ValueError, "weights must be one a pair: expected 1, got 2"),
            (lambda: loss_of(sample_weight=torch.ones(3)), ValueError, r"sample_weight must have the shape \(2,\)"),
            (lambda: loss_of(sample_weight=torch.ones(2, dtype=torch.int64)), TypeError, "sample_weight must be a fl"),
            (
                lambda: feature_sync_loss([torch.zeros(2)], [torch.zeros(2)], "kl"),
                ValueError,
                r"features\[0\] must have 2 dimensions or more, got \(2,\)",
            ),
        ],
    )
)
test_l1 = check_op(described("l1", [torch.float64]))
test_smooth_l1 = check_op(described("smooth_l1", [torch.bfloat16]))
test_kl = check_op(described("kl", [torch.float32]))


def maps(seed: int, dtype: torch.dtype = torch.float64, device: str = DEVICE) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 8, 6, 5), (2, 4, 3, 3), (2, 16, 2, 1))
    return [(2 * torch.randn(shape, generator=generator)).to(device, dtype).requires_grad_() for shape in shapes]


# "kl" is that of the official `fea_loss(F.log_softmax(x, 1), F.softmax(y, 1))`, the others its `fea_loss(x, y)`.
OFFICIAL = {
    "l2": torch.nn.MSELoss(),
    "l1": torch.nn.L1Loss(),
    "smooth_l1": torch.nn.SmoothL1Loss(),
    "kl": lambda x, y: torch.nn.KLDivLoss(reduction="mean")(F.log_softmax(x, dim=1), F.softmax(y, dim=1)),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("distance", DISTANCES)
def test_official_loss_and_gradient(distance: str) -> None:
    features, expected_features, guides = maps(0, torch.float32), maps(0), maps(1)
    expected = torch.stack([OFFICIAL[distance](f, g) for f, g in zip(expected_features, guides, strict=True)])
    expected.sum().backward()
    rounded = [guide.detach().float() for guide in guides]
    losses = feature_sync_loss(features, rounded, distance, "none")
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-6)
    feature_sync_loss(features, rounded, distance).backward()
    for feature, other in zip(features, expected_features, strict=True):
        assert feature.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(feature.grad.double(), other.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_values_of_the_loop(distance: str) -> None:
    """Element by element, in Python."""
    feature, guide = maps(0)[1].tolist(), maps(1)[1].tolist()
    weights, total = (0.25, 3.0), 0.0
    for b, c, h, w in product(*map(range, (2, 4, 3, 3))):
        f, g = feature[b][c][h][w], guide[b][c][h][w]
        if distance == "kl":
            p, q = (math.exp(x[b][c][h][w]) / sum(math.exp(x[b][i][h][w]) for i in range(4)) for x in (feature, guide))
            term = q * math.log(q / p)
        else:
            d = abs(f - g)
            term = {"l2": d * d, "l1": d, "smooth_l1": d * d / 2 if d < 1 else d - 0.5}[distance]
        total += weights[b] * term / 72
    found = FeatureSyncLoss(distance, weights=[-2.0])(
        maps(0)[1:2], maps(1)[1:2], torch.tensor(weights, dtype=torch.float64, device=DEVICE)
    )
    assert found.item() == pytest.approx(-2 * total, rel=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
def test_only_features_get_a_gradient(distance: str) -> None:
    features, guides, sample_weight = maps(0), maps(1), torch.ones(2, device=DEVICE, requires_grad=True)
    feature_sync_loss(features, guides, distance, sample_weight=sample_weight).backward()
    assert all(feature.grad is not None and feature.grad.abs().sum() > 0 for feature in features)
    assert all(other.grad is None for other in (*guides, sample_weight))


def test_without_a_gradient_none_is_written() -> None:
    with torch.no_grad():
        assert not feature_sync_loss(maps(0), maps(1)).requires_grad
    losses, _ = torch.ops.dislosses.feature_sync(maps(0), maps(1), None, [1.0] * 3, "l2", False, False)
    with pytest.raises(NotImplementedError, match="no gradient"):
        losses.sum().backward()


def test_pairs_of_several_dtypes_and_more_than_one_launch_takes() -> None:
    dtypes = [torch.float32, torch.bfloat16, torch.float16] * 7
    features = [torch.randn(2, 3, 4, i + 1, device=DEVICE).to(x).requires_grad_() for i, x in enumerate(dtypes)]
    guides = [torch.randn(x.shape, device=DEVICE).to(dtypes[i // 2]) for i, x in enumerate(features)]
    losses = feature_sync_loss(features, guides, reduction="none")
    expected = torch.stack([F.mse_loss(f.float(), g.float()) for f, g in zip(features, guides, strict=True)])
    torch.testing.assert_close(losses, expected)
    weights = torch.arange(1.0, 22, device=DEVICE)
    found = torch.autograd.grad(losses, features, weights)
    for gradient, other in zip(found, torch.autograd.grad(expected, features, weights), strict=True):
        assert gradient.dtype == other.dtype
        torch.testing.assert_close(gradient.float(), other.float(), rtol=1.6e-2, atol=1e-6)


def gradients_of(features: list[Tensor], losses: Tensor, **options: Any) -> list[Tensor]:
    return [gradient.clone() for gradient in torch.autograd.grad(losses, features, **options)]


@pytest.mark.parametrize(
    ("distance", "factors"),
    [("kl", (3.0, 1.0)), *product(["l2"], [(1.0, 1.0), (3.0, 1.0), (1.0, 3.0), (0.5, 2.0)])],
)
def test_a_retained_graph_gives_the_right_gradient_every_time(distance: str, factors: tuple[float, float]) -> None:
    for dtype in (torch.float32, torch.float16):
        features, guides = maps(0, dtype), maps(1, dtype)
        loss = feature_sync_loss(features, guides, distance)
        once = gradients_of(features, feature_sync_loss(features, guides, distance))
        for factor, retain in zip((*factors, 1.0), (True, True, False), strict=True):
            upstream = torch.tensor(factor, device=DEVICE)
            for found, right in zip(
                gradients_of(features, loss, grad_outputs=upstream, retain_graph=retain), once, strict=True
            ):
                torch.testing.assert_close(found, right * factor, rtol=2e-3, atol=1e-6)


def test_only_the_last_backward_pass_writes_over_what_is_saved() -> None:
    features = maps(0, torch.float32)
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = feature_sync_loss(features, maps(1, torch.float32))
    before = [x.clone() for x in kept]
    assert [x.shape for x in kept] == [x.shape for x in features], "backward keeps the gradients and nothing else"
    retained = torch.autograd.grad(loss, features, torch.tensor(3.0, device=DEVICE), retain_graph=True)
    assert all(torch.equal(x, y) for x, y in zip(kept, before, strict=True))
    last = torch.autograd.grad(loss, features, torch.tensor(3.0, device=DEVICE))
    assert [x.data_ptr() for x in last] == [x.data_ptr() for x in kept]
    assert all(torch.equal(x, y) for x, y in zip(last, retained, strict=True))


def test_a_map_used_twice_gets_the_sum() -> None:
    feature, guides = maps(0)[0], [maps(1)[0], maps(2)[0]]
    feature_sync_loss([feature, feature], guides).backward()
    (expected,) = torch.autograd.grad(sum(F.mse_loss(feature, guide) for guide in guides), feature)
    assert feature.grad is not None
    torch.testing.assert_close(feature.grad, expected)


def test_gradients_of_checkpointed_and_offloaded_layers() -> None:
    features, guides = maps(0), maps(1)
    expected = [3 * x for x in gradients_of(features, feature_sync_loss(features, guides))]
    recomputed = checkpoint(lambda *f: feature_sync_loss(f, guides), *features, use_reentrant=False)
    with torch.autograd.graph.save_on_cpu():
        offloaded = feature_sync_loss(features, guides)
    for loss in (recomputed, offloaded):
        torch.testing.assert_close(gradients_of(features, 3 * loss), expected)


def test_what_is_saved_goes_with_the_graph() -> None:
    features = maps(0)
    loss = feature_sync_loss(features, maps(1))
    gradient = weakref.ref(torch.autograd.grad(loss, features)[0])
    del loss
    assert gradient() is None


def test_small_gradients_of_float16_are_saved_by_a_loss_scale() -> None:
    feature = torch.zeros(1, 64, 64, 64, dtype=torch.float16, device=DEVICE, requires_grad=True)
    guide = torch.full_like(feature, -(2.0**-7)).requires_grad_(False)
    (gradient,) = torch.autograd.grad(2.0**16 * feature_sync_loss([feature], [guide]), feature)
    assert torch.equal(gradient, torch.full_like(gradient, 2.0**16 * 2 * 2.0**-7 / 2**18))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_map_that_is_not_a_number_makes_its_loss_none(distance: str) -> None:
    features = [x.detach() for x in maps(0, torch.float32)]
    features[1][0, 0, 0, 0] = float("nan")
    losses = feature_sync_loss(features, maps(1, torch.float32), distance, "none")
    assert losses.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("distance", DISTANCES)
def test_large_values_are_as_in_float64(distance: str) -> None:
    features, guides = ([1e4 * x.detach() for x in maps(seed, torch.float32)] for seed in (0, 1))
    exact = feature_sync_loss([x.double() for x in features], [x.double() for x in guides], distance)
    assert feature_sync_loss(features, guides, distance).item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("with_sample_weight", [False, True])
@pytest.mark.parametrize("distance", ["smooth_l1", "kl"])
def test_several_blocks_a_sample(distance: str, with_sample_weight: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_BLOCK", 100)
    if not triton_missing(DEVICE):
        from dislosses.feature_sync import divergence, kernel

        monkeypatch.setattr(kernel, "BLOCKS", {"default": [(1 << 62, Blocks(64, 1))]})
        monkeypatch.setattr(divergence, "BLOCKS", {"default": [(1 << 62, Blocks(32 * 16, 1))]})
    sample_weight = torch.tensor([0.5, 2.0], device=DEVICE) if with_sample_weight else None
    features, guides = maps(0, torch.float32), maps(1, torch.float32)
    losses = feature_sync_loss(features, guides, distance, "none", sample_weight=sample_weight)
    expected = reference.feature_sync(features, guides, sample_weight, [1.0] * 3, distance)
    torch.testing.assert_close(losses, expected)
    factors = torch.tensor([1.0, -2.0, 0.5], device=DEVICE)
    gradients = torch.autograd.grad(losses, features, factors)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, features, factors))


def test_module_is_the_function() -> None:
    features, guides = maps(0), maps(1)
    module = FeatureSyncLoss("smooth_l1", "none", weights=[1.0, 2.0, 3.0])
    expected = feature_sync_loss(features, guides, "smooth_l1", "none", weights=[1.0, 2.0, 3.0])
    assert torch.equal(module(features, guides), expected)
