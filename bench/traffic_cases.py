"""The operations whose traffic is counted: ours against the published formula in PyTorch, eager and compiled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from rich.box import MARKDOWN
from rich.table import Table
from torch import Tensor

import dislayers
import dislosses
from bench import (
    test_click_maps,
    test_conv_norm_act,
    test_deep_supervision,
    test_depthwise_gelu,
    test_feature_sync,
    test_laplacian_boundary,
    test_nmf,
    test_orthogonality,
    test_patch_local,
    test_pixel_losses,
)
from bench.traffic import Arguments, Operation, Traffic, count
from bench.traffic_compiled import VERSION, count_compiled
from dismodels import create_model

BATCH, SIZE = 8, 1024


@dataclass(frozen=True)
class Case:
    """An operation, ours and as published, and what both take; ``idle`` as :func:`bench.traffic.count`."""

    operation: str
    ours: Operation
    published: Operation
    arguments: Arguments
    idle: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What one implementation of an operation costs, forward and backward."""

    operation: str
    implementation: str
    traffic: Traffic

    def row(self) -> dict[str, object]:
        """For JSON; sizes in bytes."""
        traffic = self.traffic
        return {
            "operation": self.operation,
            "implementation": self.implementation,
            "kernels": traffic.kernels,
            "moved": traffic.moved,
            "kept_for_backward": traffic.kept,
            "launches": dict(sorted(traffic.launches.items())),
        }


def logits_and_target() -> tuple[Tensor, Tensor]:
    return _differentiable([(BATCH, 1, SIZE, SIZE)])[0], torch.empty(BATCH, 1, SIZE, SIZE)


def side_outputs_and_target() -> tuple[list[Tensor], Tensor]:
    """IS-Net's six logits at their own resolutions."""
    return _differentiable(_shapes_of_isnet()[0]), torch.empty(BATCH, 1, SIZE, SIZE)


def features_and_guides() -> tuple[list[Tensor], list[Tensor]]:
    """IS-Net's six maps that follow those of its ground-truth encoder."""
    shapes = _shapes_of_isnet()[1]
    return _differentiable(shapes), [torch.empty(shape) for shape in shapes]


def features_and_bases() -> tuple[Tensor, Tensor]:
    """Of a hamburger of 512 channels that sees a map of 256x256."""
    return torch.empty(1, 512, 256 * 256, requires_grad=True), torch.empty(1, 512, test_nmf.RANK)


def hidden_map() -> tuple[Tensor, Tensor, Tensor]:
    """Of the first MLP of SegNeXt-B for an image of 512x512, and a depthwise convolution's weight and bias."""
    x, weight, bias = _differentiable([torch.Size((1, 512, 128, 128)), torch.Size((512, 1, 3, 3)), torch.Size((512,))])
    return x, weight, bias


def output_of_a_convolution() -> tuple[Tensor, Tensor, Tensor]:
    """Of 64 channels at 512x512, with the weight and the bias of what normalises it."""
    x, weight, bias = _differentiable([torch.Size((1, 64, 512, 512)), torch.Size((64,)), torch.Size((64,))])
    return x, weight, bias


def weights() -> tuple[list[Tensor]]:
    """Of IS-Net's convolutions."""
    return (dislosses.orthogonality_weights(create_model("isnet")),)


def clicks() -> tuple[Tensor, tuple[int, int], float, str]:
    """Of one image, as disks."""
    points = torch.empty(1, 2 * test_click_maps.CLICKS, 3)
    return points, test_click_maps.SIZE, test_click_maps.RADIUS["disk"], "disk"


def _differentiable(shapes: list[torch.Size]) -> list[Tensor]:
    return [torch.empty(shape, requires_grad=True) for shape in shapes]


@cache
def _shapes_of_isnet() -> tuple[list[torch.Size], list[torch.Size]]:
    """Of its logits and of its features."""
    with torch.device("meta"):
        outputs = create_model("isnet")(torch.empty(BATCH, 3, SIZE, SIZE))
    return [x.shape for x in outputs.logits], [x.shape for x in outputs.features]


CASES = [
    *(Case(name, *losses, logits_and_target) for name, losses in test_pixel_losses.LOSSES.items()),
    Case("laplacian_boundary", dislosses.laplacian_boundary_loss, test_laplacian_boundary.published, logits_and_target),
    Case(
        "deep_supervision of six outputs",
        dislosses.deep_supervision_loss,
        test_deep_supervision.published,
        side_outputs_and_target,
    ),
    Case(
        "feature_sync of six maps",
        dislosses.feature_sync_loss,
        test_feature_sync.published_l2,
        features_and_guides,
        idle={"scale_blocks": "IN_PLACE"},
    ),
    Case("orthogonality of 119 weights", dislosses.orthogonality_loss, test_orthogonality.published, weights),
    Case("click_maps of 24 + 24 clicks, forward, B1", dislayers.click_maps, test_click_maps.published, clicks),
    Case(
        "NMF of 512x256x256, rank 64, 6 steps",
        dislayers.nmf,
        partial(test_nmf.published, steps=6),
        features_and_bases,
    ),
    *(
        Case(f"batch norm, ReLU{what} of 64x512x512", *functions, output_of_a_convolution)
        for what, functions in test_conv_norm_act.LAST_OUTPUT.items()
    ),
    Case("depthwise_gelu of 512x128x128", dislayers.depthwise_gelu, test_depthwise_gelu.published, hidden_map),
    Case(
        "patch_local of 64 + 32 channels at 512x512, B4, in 8x8 patches",
        dislayers.patch_local,
        test_patch_local.published,
        partial(test_patch_local.level, 4, 256),
    ),
]


def not_countable(triton: bool) -> dict[str, str]:
    """Why the traffic of an implementation cannot be counted here, with Triton to be launched or without."""
    missing = {} if triton else {"dislayers": "as Triton is"}
    if not torch.__version__.startswith(f"{VERSION}."):
        missing["torch.compile"] = f"PyTorch is {torch.__version__}, expected {VERSION}"
    return missing


def count_cases(cases: list[Case], left_out: Collection[str] = ()) -> Iterator[Counted]:
    """Every implementation of every case, but those left out."""
    for case in cases:
        counters = {
            "dislayers": lambda case=case: count(case.ours, case.arguments, case.idle),
            "PyTorch": lambda case=case: count(case.published, case.arguments),
            "torch.compile": lambda case=case: count_compiled(case.published, case.arguments),
        }
        for implementation, counter in counters.items():
            if implementation not in left_out:
                yield Counted(case.operation, implementation, counter())


def traffic_table(counted: list[Counted]) -> Table:
    """One row an operation, as Markdown; the figures of a cell are for the implementations in order."""
    result = Table(box=MARKDOWN)
    implementations = dict.fromkeys(row.implementation for row in counted)
    result.add_column(f"forward and backward by {' / '.join(implementations)}", no_wrap=True)
    for heading in ("kernels", "GB moved", "MB kept for backward"):
        result.add_column(heading, justify="right")
    for operation in dict.fromkeys(row.operation for row in counted):
        traffics = [row.traffic for row in counted if row.operation == operation]
        result.add_row(
            operation,
            " / ".join(f"{traffic.kernels}" for traffic in traffics),
            " / ".join(f"{traffic.moved / 1e9:.2f}" for traffic in traffics),
            " / ".join(f"{traffic.kept / 1e6:.1f}" for traffic in traffics),
        )
    return result
