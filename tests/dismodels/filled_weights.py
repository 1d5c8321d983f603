"""Weights and inputs made from a seed and names alone, to check official outputs without official weights.

Every number is a hash: FNV-1a of the tensor's name seeds a splitmix64 sequence, of which the upper 24 bits count.
"""

import math

import numpy as np
import numpy.typing as npt

_GOLDEN_RATIO = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


def _mixed(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """float32 in [0, 1) of the shape, decided by name and seed."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & _WORD
    start = _mixed(np.array([key ^ (seed * _GOLDEN_RATIO & _WORD)], np.uint64))
    steps = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    words = _mixed(start + steps * np.uint64(_GOLDEN_RATIO))
    return ((words >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)).reshape(shape)


def weight(name: str, shape: tuple[int, ...], seed: int, gain: float) -> npt.NDArray[np.generic]:
    """The filled entry of a state dict."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    signed = np.float32(2) * uniform(name, shape, seed) - np.float32(1)
    if name.endswith("running_var"):
        return np.float32(1) + np.float32(0.5) * signed
    if name.endswith(("running_mean", "bias")):
        return np.float32(0.1) * signed
    if "layer_scale" in name:
        return np.float32(0.2) + np.float32(0.1) * signed
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.25) * signed
    return np.float32(gain * math.sqrt(3 / math.prod(shape[1:]))) * signed


def blob(size: int, seed: int, count: int = 6) -> npt.NDArray[np.uint8]:
    """A (size, size) mask of 0 and 1: ellipses and thin bars."""
    row, column = np.mgrid[:size, :size].astype(np.float64)
    mask = np.zeros((size, size), np.uint8)
    numbers = uniform("blob:blob", (count, 4), seed).astype(np.float64)
    for a, b, c, d in numbers:
        radii = (0.06 + 0.16 * c) * size, (0.06 + 0.16 * d) * size
        mask[((row - a * size) / radii[0]) ** 2 + ((column - b * size) / radii[1]) ** 2 <= 1] = 1
    for a, b, c, d in numbers[: count // 2]:
        top, left = int(b * size), int(a * size)
        mask[top : top + 2, : max(int(c * size), 4)] = 1
        mask[: max(int(d * size), 4), left : left + 2] = 1
    return mask
