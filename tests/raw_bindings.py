"""Random calls of ``dislayers._C``: ``python -m tests.raw_bindings SEED COUNT [FIRST]``.

Each has memory of its own, and sizes and strides that stay in it, which a binding cannot know. A call either has one
wrong argument, which must be refused, or must return and write nothing but its outputs. It is printed before it is
made, so that the last line tells of a crash.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dislayers import _C

MARGIN, CANARY = 64, 0xA5
MOST = 2**63 - 1
SIDES = (1, 2, 7, 17, 63, 64, 65, 130)
Arguments = dict[str, Any]


class Memory:
    """Random images of one size, and room for what is made of them, between margins."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.stretches: list[NDArray[np.uint8]] = []
        self.size = random.randint(1, 3), random.choice(SIDES), random.choice(SIDES)
        self.pixels = math.prod(self.size)

    def room(self, count: int) -> int:
        """The address of so many bytes."""
        self.stretches.append(np.full(count + 2 * MARGIN, CANARY, np.uint8))
        return int(self.stretches[-1].ctypes.data) + MARGIN

    def filled(self, content: NDArray[Any]) -> int:
        address = self.room(content.nbytes)
        self.stretches[-1][MARGIN:-MARGIN] = content.reshape(-1).view(np.uint8)
        return address

    def noise(self, floats: int) -> int:
        """The address of so many float32 of any bits."""
        return self.filled(np.random.default_rng(self.random.getrandbits(32)).integers(0, 256, 4 * floats, np.uint8))

    def margins_are_intact(self) -> bool:
        return all((s[:MARGIN] == CANARY).all() and (s[-MARGIN:] == CANARY).all() for s in self.stretches)

    def images(self, name: str, bytes_of_a_value: int = 1, optional: bool = False) -> Arguments:
        """Rows and images apart, or the same for all; now and then from the last row up."""
        if optional and self.coin():
            return {name: 0, f"{name}_strides": (0, 0)}
        batch, height, width = self.size
        row = self.random.choice([width, width + 3, 0])
        image = self.random.choice([(height - 1) * row + width, 0])
        count = ((batch - 1) * image + (height - 1) * row + width) * bytes_of_a_value
        of_seed = np.random.default_rng(self.random.getrandbits(32))
        is_set = of_seed.integers(0, 100, count) < self.random.choice([0, 1, 50, 99, 100])
        start = self.filled(of_seed.integers(1, 256, count, np.uint8) * is_set)
        if self.random.random() < 0.2:
            start, row = start + (height - 1) * row * bytes_of_a_value, -row
        return {name: start, f"{name}_strides": (image, row)}

    def coin(self) -> bool:
        return self.random.random() < 0.5

    def workers(self) -> Arguments:
        sets = len(_C.instruction_sets())
        return {"threads": self.random.choice([1, 2, 5, 10**6, MOST]), "instruction_set": self.random.randrange(sets)}

    def tolerance(self) -> Arguments:
        return {"epsilon": self.random.choice([0.0, 5e-324, 1.5, 1e308, math.inf]), "segment": self.coin()}

    def iterations(self) -> int:
        return self.random.choice([0, 1, 5, 40, 2**40])


def dilate(m: Memory) -> Arguments:
    masks = {**m.images("mask"), **m.images("within", optional=True), "out": m.room(m.pixels), "size": m.size}
    return {**masks, "iterations": m.iterations(), "square": m.coin(), "flip": m.coin(), **m.workers()}


def skeletonize(m: Memory) -> Arguments:
    return {**m.images("mask"), "out": m.room(m.pixels), "size": m.size, **m.workers()}


def connected_components(m: Memory) -> Arguments:
    outputs = {"labels": m.room(4 * m.pixels), "counts": m.room(8 * m.size[0])}
    return {**m.images("mask"), **outputs, "size": m.size, "diagonal": m.coin(), **m.workers()}


def joint_histogram(m: Memory) -> Arguments:
    value, bins = m.random.choice([1, 4, 8]), m.random.choice([1, 2, 256, 65536])
    images = {**m.images("pred", value), "bytes_of_a_value": value, **m.images("gt")}
    return {**images, "counts": m.room(16 * bins * m.size[0]), "size": m.size, "bins": bins, **m.workers()}


def patch_threshold(m: Memory) -> Arguments:
    value, sides = m.random.choice([1, 4, 8]), math.gcd(*m.size[1:])
    side = m.random.choice([n for n in range(1, sides + 1) if sides % n == 0])
    images = {**m.images("probability", value), "bytes_of_a_value": value, **m.images("mask")}
    of_patches = {name: m.room(4 * m.pixels // side**2) for name in ("threshold", "iou")}
    options = {name: m.coin() for name in ("nearest_half", "both_classes", "literal")}
    return {
        **images,
        **of_patches,
        "out": m.room(m.pixels),
        "size": m.size,
        "patch_size": side,
        **options,
        **m.workers(),
    }


def moments(m: Memory) -> Arguments:
    return {**m.images("mask"), "sums": m.room(24 * m.size[0]), "size": m.size, **m.workers()}


def distance_transform(m: Memory) -> Arguments:
    outputs = {"distance": m.room(4 * m.pixels), "index": m.room(8 * m.pixels) if m.coin() else 0}
    return {**m.images("mask"), **outputs, "size": m.size, **m.workers()}


def contours(m: Memory) -> Arguments:
    mask, (_, stride_row) = m.images("mask").values()
    return {
        "mask": mask,
        "stride_row": stride_row,
        "size": m.size[1:],
        "instruction_set": m.workers()["instruction_set"],
    }


def approximate_polygons(m: Memory) -> Arguments:
    lengths = np.array([m.random.randint(0, 9) for _ in range(m.random.randint(0, 4))] + [1])
    points = np.array([m.random.randint(-20, 20) for _ in range(2 * lengths.sum())], np.int32)
    curves = {"points": m.filled(points), "lengths": m.filled(lengths), "count": len(lengths)}
    room = {"corners": m.room(points.nbytes), "corner_counts": m.room(lengths.nbytes)}
    return {**curves, **m.tolerance(), "closed": m.coin(), **room}


def human_correction_effort(m: Memory) -> Arguments:
    masks = {**m.images("pred"), **m.images("truth"), **m.images("skeleton", optional=True)}
    options = {"clicks": m.room(32 * m.size[0]), "size": m.size, "relax": m.iterations(), **m.tolerance()}
    return {**masks, **options, **m.workers()}


def weighted_f_measure(m: Memory) -> Arguments:
    value = m.random.choice([1, 4, 8])
    images = {**m.images("pred", value), "bytes_of_a_value": value, **m.images("gt")}
    limits = np.array([m.random.choice([0.0, 1.0, -1.0, 255.0, 1e-310]) for _ in range(2 * m.size[0])])
    beta = m.random.choice([1.0, 0.0, -1.0, math.nan, math.inf])
    outputs = {"range": m.filled(limits), "beta_squared": beta, "scores": m.room(8 * m.size[0])}
    return {**images, **outputs, "size": m.size, **m.workers()}


def _boundary(m: Memory) -> Arguments:
    value = m.random.choice([1, 4])
    images = {**m.images("values", 4), **m.images("target", value), "bytes_of_a_target": value}
    return {**images, "size": m.size, "logits": m.coin(), "absolute": m.coin(), "cross": m.coin(), **m.workers()}


def laplacian_boundary(m: Memory) -> Arguments:
    return {**_boundary(m), "losses": m.room(8 * m.size[0])}


def laplacian_boundary_backward(m: Memory) -> Arguments:
    scales = np.array([m.random.choice([0.0, 1.0, math.inf, math.nan]) for _ in range(m.size[0])], np.float32)
    return {**_boundary(m), "scales": m.filled(scales), "gradient": m.room(4 * m.pixels)}


def _pixels(m: Memory) -> Arguments:
    batch, pixels = m.size[0], m.pixels // m.size[0]
    formula, options = m.random.choice([("bce", 0), ("iou", 0), ("bce_iou", 2), ("focal", 3), ("normalized_focal", 3)])
    strides = [m.random.choice([pixels, pixels + 3, 0]) for _ in range(2)]
    prediction, target = (m.noise((batch - 1) * stride + pixels) for stride in strides)
    bytes_of_a_target = m.random.choice([1, 4])
    return {
        "formula": formula, "probabilities": m.coin(),
        "options": [m.random.choice([0.0, 2.0, -1e30, math.nan]) for _ in range(options)],
        "ignore_label": m.random.choice([math.nan, 1.0, -1.0]), "prediction": prediction,
        "prediction_stride": strides[0], "target": target, "bytes_of_a_target": bytes_of_a_target,
        "target_stride": strides[1], "size": (batch, pixels), **m.workers(),
    }  # fmt: skip


def pixel_loss(m: Memory) -> Arguments:
    called = _pixels(m)
    sums = {"bce": 1, "focal": 1, "bce_iou": 3}.get(called["formula"], 2)
    return {**called, "sums": m.room(8 * m.size[0] * sums)}


def pixel_loss_backward(m: Memory) -> Arguments:
    called = _pixels(m)
    coefficients = {"iou": 2, "bce_iou": 3}.get(called["formula"], 1)
    stride = m.pixels // m.size[0] + m.random.choice([0, 3])
    slopes = m.room(4 * (m.size[0] - 1) * stride + 4 * (m.pixels // m.size[0]))
    return {**called, "coefficients": m.noise(m.size[0] * coefficients), "slopes": slopes, "slopes_stride": stride}


def _side_outputs(m: Memory) -> Arguments:
    sides = [(m.random.choice(SIDES[:6]), m.random.choice(SIDES[:6])) for _ in range(m.random.randint(1, 3))]
    called, bytes_of_a_target = _pixels(m), m.random.choice([1, 4])
    labels = m.filled(np.random.default_rng(0).integers(0, 256, m.pixels * bytes_of_a_target, np.uint8))
    return {
        "logits": [m.noise(m.size[0] * height * width) for height, width in sides], "sides": sides, "target": labels,
        "bytes_of_a_target": bytes_of_a_target, "size": m.size,
        **{name: called[name] for name in ("formula", "options", "ignore_label")}, **m.workers(),
    }  # fmt: skip


def deep_supervision(m: Memory) -> Arguments:
    called = _side_outputs(m)
    sums = {"bce": 1, "focal": 1, "bce_iou": 3}.get(called["formula"], 2)
    return {**called, "sums": m.room(8 * len(called["sides"]) * m.size[0] * sums)}


def deep_supervision_backward(m: Memory) -> Arguments:
    called = _side_outputs(m)
    coefficients = {"iou": 2, "bce_iou": 3}.get(called["formula"], 1)
    gradients = [m.room(4 * m.size[0] * height * width) for height, width in called["sides"]]
    return {**called, "coefficients": m.noise(len(gradients) * m.size[0] * coefficients), "gradients": gradients}


def click_maps(m: Memory) -> Arguments:
    clicks = [m.random.choice([0.0, -1.0, m.random.uniform(-9, 140), math.nan, math.inf]) for _ in range(6 * m.size[0])]
    return {
        "points": m.filled(np.array(clicks, np.float32)), "count": 3, "maps": m.room(4 * m.pixels), "size": m.size,
        "encoding": m.random.choice(["disk", "distance", "gaussian"]),
        "radius": m.random.choice([0.0, 5.0, -1.0, 1e30, math.nan]),
        "squared_reach": m.random.choice([0.0, 25.0, -1.0, 1e30, math.nan, math.inf]), **m.workers(),
    }  # fmt: skip


def _map(
    m: Memory, size: tuple[int, ...], output: bool = False, last: bool | None = None
) -> tuple[int, tuple[int, ...]]:
    """Channels or columns side by side, rows apart or not."""
    _, channels, height, width = size
    last, apart = m.coin() if last is None else last, m.random.choice([0, 3])
    column = channels + apart if last else 1
    row = width * column + apart
    channel, sample = (1, height * row) if last else (height * row, channels * height * row)
    strides = sample, channel, row, column
    held = 1 + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True))
    return (m.room(4 * held) if output else m.noise(held)), strides


def _parameters(kernel_sizes: list[int]) -> int:
    """How many a channel has."""
    return kernel_sizes[0] ** 2 + 1 + sum(2 * (strip + 1) for strip in kernel_sizes[1:])


def multiscale_depthwise(m: Memory) -> Arguments:
    kernel_sizes = [m.random.choice([1, 3, 5, 21, 63]) for _ in range(m.random.randint(1, 4))]
    channels = m.random.choice([1, 3, 16, 17])
    size = (m.size[0], channels, *m.size[1:])
    return {
        "x": _map(m, size), "parameters": m.noise(channels * _parameters(kernel_sizes)), "kernel_sizes": kernel_sizes,
        "out": _map(m, size, output=True), "size": size, **m.workers(),
    }  # fmt: skip


def multiscale_depthwise_backward(m: Memory) -> Arguments:
    called = multiscale_depthwise(m)
    parameters = called["size"][1] * _parameters(called["kernel_sizes"])
    return {**called, "gradient": _map(m, called["size"]), "parameter_gradients": m.room(4 * parameters)}


def depthwise_gelu(m: Memory) -> Arguments:
    channels = m.random.choice([1, 3, 16, 17])
    size = (m.size[0], channels, *m.size[1:])
    return {
        "x": _map(m, size), "weight": m.noise(9 * channels), "bias": m.noise(channels),
        "out": _map(m, size, output=True), "size": size, **m.workers(),
    }  # fmt: skip


def depthwise_gelu_backward(m: Memory) -> Arguments:
    called = depthwise_gelu(m)
    size, d_x = called["size"], called.pop("out")
    return {
        **called, "d_x": d_x, "gradient": _map(m, size),
        "d_weight": m.room(36 * size[1]), "d_bias": m.room(4 * size[1]),
    }  # fmt: skip


def _normalization(m: Memory) -> tuple[Arguments, Callable[..., tuple[int, tuple[int, ...]]]]:
    """Arguments, and what makes other maps in the layout of x."""
    channels, last = m.random.choice([1, 3, 16, 17]), m.coin()
    size = (m.size[0], channels, *m.size[1:])

    def like_x(output: bool = False, pooled: bool = False) -> tuple[int, tuple[int, ...]]:
        sides = [(side + 1) // 2 for side in size[2:]] if pooled else size[2:]
        return _map(m, (*size[:2], *sides), output, last)

    vectors = {name: m.noise(channels) for name in ("weight", "bias", "mean", "variance")}
    residual, eps = like_x() if m.coin() else None, m.random.choice([0.0, 1e-5, math.inf])
    return {"x": like_x(), **vectors, "residual": residual, "eps": eps, "size": size, **m.workers()}, like_x


def batch_norm_relu(m: Memory) -> Arguments:
    called, like_x = _normalization(m)
    pooled = like_x(output=True, pooled=True) if m.coin() else None
    return {**called, "out": like_x(output=True), "pooled": pooled}


def normalize_relu(m: Memory) -> Arguments:
    (called, like_x), pool = _normalization(m), m.coin()
    return {**called, "out": like_x(output=True, pooled=pool), "pool": pool}


def batch_norm_relu_backward(m: Memory) -> Arguments:
    called, like_x = _normalization(m)
    channels, residual = called["size"][1], called["residual"]
    d_pooled = like_x(pooled=True) if residual or m.coin() else None
    return {
        **called, "d_out": like_x() if not d_pooled or m.coin() else None, "d_pooled": d_pooled,
        "d_x": like_x(output=True), "d_weight": m.room(4 * channels), "d_bias": m.room(4 * channels),
        "d_residual": like_x(output=True) if residual else None,
        "dtype": m.random.choice(["float32", "float16", "bfloat16"]),
    }  # fmt: skip


def _low_and_full(m: Memory) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Sizes of a small map and of a result, and whether their channels lie side by side."""
    channels, skip = m.random.choice([1, 3, 16, 17]), m.random.choice([1, 16, 17])
    low = m.size[0], channels, m.random.choice(SIDES), m.random.choice(SIDES)
    return low, (m.size[0], channels + skip, *m.size[1:]), m.coin()


def upsample_concat(m: Memory) -> Arguments:
    low, full, last = _low_and_full(m)
    skip = m.size[0], full[1] - low[1], *m.size[1:]
    return {
        "x": _map(m, low, last=last), "size": low, "skip": _map(m, skip, last=last),
        "out": _map(m, full, True, last), "out_size": full, "channels_last": last, **m.workers(),
    }  # fmt: skip


def upsample_concat_backward(m: Memory) -> Arguments:
    low, full, last = _low_and_full(m)
    return {
        "gradient": _map(m, full, last=last), "gradient_size": full,
        "out": _map(m, low, True, last), "size": low, "channels_last": last, **m.workers(),
    }  # fmt: skip


BINDINGS = (
    *(dilate, skeletonize, connected_components, joint_histogram, moments, distance_transform, contours),
    *(approximate_polygons, human_correction_effort, weighted_f_measure),
    *(laplacian_boundary, laplacian_boundary_backward, pixel_loss, pixel_loss_backward),
    *(deep_supervision, deep_supervision_backward, click_maps, patch_threshold),
    *(multiscale_depthwise, multiscale_depthwise_backward),
    *(batch_norm_relu, normalize_relu, batch_norm_relu_backward),
    *(depthwise_gelu, depthwise_gelu_backward),
    *(upsample_concat, upsample_concat_backward),
)

NO_INTEGERS = (None, "1", 1.5, 2**64)
TOO_LARGE = ((1, 2**60, 1), (1, 1, MOST), (2**41, 1, 1), (MOST, MOST, MOST), (2**32, 2**16, 2**16), (1, 1, 2**63))
WRONG: dict[str, tuple[Any, ...]] = {
    "size": (None, 1, (1, 1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1), (1, -1, -1), *TOO_LARGE),
    "contours size": (None, (1, 1, 1), (0, 1), (1, -1), (2**60, 1), (1, MOST), (MOST, MOST), (2**16, 2**16)),
    **dict.fromkeys(
        ("pixel_loss size", "pixel_loss_backward size"),
        (None, (1,), (1, 1, 1), (0, 1), (1, 0), (-1, 1), (1, -1), (2**41, 1), (1, 2**41), (MOST, MOST), (2**63, 1)),
    ),
    **dict.fromkeys(("logits", "gradients"), (None, 1, [], [0], [1] * 9)),
    "sides": (None, 1, [], [(0, 1)], [(1, -1)], [(1, 1)] * 9, [(MOST, MOST)]),
    **dict.fromkeys(
        (
            *("multiscale_depthwise size", "multiscale_depthwise_backward size", "batch_norm_relu size"),
            *("normalize_relu size", "batch_norm_relu_backward size"),
            *("depthwise_gelu size", "depthwise_gelu_backward size"),
        ),
        (None, 1, (1, 1, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, -1), (MOST,) * 4, (2**21,) * 4),
    ),
    **dict.fromkeys(
        ("batch_norm_relu out", "normalize_relu out", "residual", "pooled", "d_out", "d_pooled", "d_x", "d_residual"),
        (0, (0, (1, 1, 1, 1)), (64, (1, 1, 1)), (64, (8, 2, 4, 2)), (64, (1, 1.5, 1, 1))),
    ),
    **dict.fromkeys(("weight", "bias", "mean", "variance", "d_weight", "d_bias"), (0, -1, *NO_INTEGERS)),
    "pool": ("yes",),
    "eps": (math.nan, -1.0, None, "1"),
    "dtype": (None, 1, "", "float64", "half"),
    **dict.fromkeys(
        ("upsample_concat size", "upsample_concat_backward size", "out_size", "gradient_size"),
        (None, 1, (1, 1, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, -1), (MOST,) * 4, (2**21,) * 4),
    ),
    "channels_last": ("yes",),
    **dict.fromkeys(
        ("x", "skip"), (0, None, (0, (1, 1, 1, 1)), (64, (1, 1, 1)), (64, (8, 2, 4, 2)), (64, (1, 1.5, 1, 1)))
    ),
    "kernel_sizes": (None, 1, [], [0], [2], [-1], [5, 4], [129], [3] * 18, [MOST], ["1"]),
    "threads": (0, -1, -MOST, *NO_INTEGERS),
    "instruction_set": (-1, len(_C.instruction_sets()), 2**31, -(2**31), *NO_INTEGERS),
    "iterations": (-1, 2**41, MOST, *NO_INTEGERS),
    "relax": (-1, 2**41, MOST, *NO_INTEGERS),
    "bins": (0, -1, 65537, 2**58, MOST, *NO_INTEGERS),
    "bytes_of_a_value": (0, -1, 2, 16, MOST, *NO_INTEGERS),
    "bytes_of_a_target": (0, -1, 2, 8, MOST, *NO_INTEGERS),
    "epsilon": (math.nan, -1.0, -math.inf, None, "1"),
    "count": (-1, -MOST, *NO_INTEGERS),
    "stride_row": NO_INTEGERS,
    "beta_squared": (None, "1"),
    **dict.fromkeys(("within", "skeleton", "index"), (-1, *NO_INTEGERS)),
    **dict.fromkeys(("mask", "pred", "gt", "truth", "out", "labels", "counts", "sums"), (0, -1, *NO_INTEGERS)),
    **dict.fromkeys(("distance", "clicks", "range", "scores"), (0, -1, *NO_INTEGERS)),
    **dict.fromkeys(("points", "lengths", "corners", "corner_counts"), (0, -1, *NO_INTEGERS)),
    **{f"{name}_strides": (1, (1,), (1, 1.5)) for name in ("mask", "within", "pred", "gt", "truth", "skeleton")},
    **dict.fromkeys(("square", "flip", "diagonal", "segment", "closed"), ("yes",)),
    **dict.fromkeys(("values", "target", "losses", "scales", "gradient"), (0, -1, *NO_INTEGERS)),
    **dict.fromkeys(("values_strides", "target_strides"), (1, (1,), (1, 1.5))),
    **dict.fromkeys(("logits", "absolute", "cross"), ("yes",)),
    "formula": (None, 1, "", "BCE", "bce\0"),
    "options": (None, 1, [0.0], [0.0] * 4, [None] * 2, ["1"] * 3),
    "ignore_label": (None, "1"),
    **dict.fromkeys(("parameters", "parameter_gradients"), (0, -1, *NO_INTEGERS)),
    **dict.fromkeys(("prediction", "target", "coefficients", "slopes"), (0, -1, *NO_INTEGERS)),
    **dict.fromkeys(("prediction_stride", "target_stride", "slopes_stride"), NO_INTEGERS),
    "probabilities": ("yes",),
    "maps": (0, -1, *NO_INTEGERS),
    "encoding": (None, 1, "", "Disk", "disk\0"),
    **dict.fromkeys(("radius", "squared_reach"), (None, "1")),
    **dict.fromkeys(("probability", "threshold", "iou"), (0, -1, *NO_INTEGERS)),
    "probability_strides": (1, (1,), (1, 1.5)),
    "patch_size": (0, -1, MOST, *NO_INTEGERS),
    **dict.fromkeys(("nearest_half", "both_classes", "literal"), ("yes",)),
}


def write_contours(found: Any, memory: Memory) -> None:
    sizes = 8 * found.points, 8 * found.count, found.count, 8 * found.count
    addresses = [memory.room(size) for size in sizes]
    if found.count:
        missing = memory.random.randrange(4)
        must_refuse(found.write, *(0 if i == missing else address for i, address in enumerate(addresses)))
    found.write(*addresses)


def must_refuse(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError):
        return
    raise AssertionError("a wrong argument was taken")


def run(seed: int, number: int) -> None:
    random = Random(f"{seed} {number}")
    memory, binding = Memory(random), BINDINGS[number % len(BINDINGS)]
    function, arguments = getattr(_C, f"{binding.__name__}_cpu"), binding(memory)
    wrong = random.choice(sorted(arguments)) if memory.coin() else ""
    if wrong:
        arguments[wrong] = random.choice(WRONG.get(f"{binding.__name__} {wrong}", WRONG[wrong]))
    print(number, binding.__name__, arguments, f"wrong: {wrong}", flush=True)
    if wrong:
        must_refuse(function, **arguments)
    else:
        result = function(**arguments)
        if binding is contours:
            write_contours(result, memory)
    assert memory.margins_are_intact(), "written outside an output"


if __name__ == "__main__":
    chosen, count, first = (*map(int, sys.argv[1:]), 0)[:3]
    for case in range(first, first + count):
        run(chosen, case)
