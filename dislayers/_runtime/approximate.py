"""Functions of a GPU's special function unit, for Triton kernels; needs Triton.

Absolute error of ``approximate_log`` about 2e-7 near 1, relative elsewhere; one instruction where ``tl.log`` takes 25.
The interpreter, which has no such unit, takes the exact function.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.launch import triton_missing

if triton_missing("cpu"):
    from triton.language.extra.cuda.libdevice import fast_logf as approximate_log
else:

    @triton.jit
    def approximate_log(x):
        """``log x``."""
        return tl.log(x)


@triton.jit
def reciprocal(x):
    """``1 / x`` of a positive number in 2 instructions; a division takes 8."""
    root = tl.rsqrt(x)
    return root * root


__all__ = ["approximate_log", "reciprocal"]
