"""One launch for many tensors: tuples of arguments, of which a program takes its own; needs Triton.

Addresses travel as arguments of the kernel, so nothing is copied to the GPU and a CUDA graph can hold the launch.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def member(numbers, index):
    """``numbers[index]`` of a tuple of numbers, for an index that is known when the program runs."""
    found = numbers[0]
    for i in tl.static_range(1, len(numbers)):
        found = tl.where(index == i, numbers[i], found)
    return found


@triton.jit
def pointer(pointers, index):
    """``pointers[index]`` of a tuple of pointers to one type, for an index that is known when the program runs."""
    address = pointers[0].to(tl.int64)
    for i in tl.static_range(1, len(pointers)):
        address = tl.where(index == i, pointers[i].to(tl.int64), address)
    return address.to(pointers[0].dtype)
