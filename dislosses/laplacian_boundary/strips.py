"""What a warp sees of an image, in Triton, and what it computes there.

It walks down a strip of columns, the last rows in its registers and the neighbours in its lanes. A strip is 64 columns,
two a lane; the two at each end only help the 60 between, so strips overlap.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.approximate import approximate_log, reciprocal

STRIP, OWN = 64, 60


@triton.jit
def place_of(planes, strips, STRIPS: tl.constexpr):
    """Planes (STRIPS, 1) and even columns (STRIPS, 32) of a program, and which lanes are its own."""
    strip = tl.program_id(0) * STRIPS + tl.arange(0, STRIPS)[:, None]
    lane = tl.arange(0, 32)[None, :]
    column = (strip % strips) * 60 - 2 + 2 * lane
    beyond: tl.constexpr = 1 << 30
    return strip // strips, tl.where(strip < planes * strips, column, beyond), (lane > 0) & (lane < 31)


@triton.jit
def row_of(ptr, column, inside, width, other):
    """Values of a row in float32, (STRIPS, 32, 2); ``other`` outside the image."""
    even = tl.load(ptr, mask=inside & (column >= 0) & (column < width), other=other)
    odd = tl.load(ptr + 1, mask=inside & (column >= 0) & (column + 1 < width), other=other)
    return tl.join(even.to(tl.float32), odd.to(tl.float32))


@triton.jit
def _across(values):
    """``2 f - before - after`` along the columns of a strip; wrong at its ends."""
    even, odd = tl.split(values)
    lane = tl.broadcast_to(tl.arange(0, 32)[None, :], even.shape)
    before = tl.gather(odd, (lane + 31) % 32, axis=1)
    after = tl.gather(even, (lane + 1) % 32, axis=1)
    step = odd - even
    return tl.join((even - before) - step, step + (odd - after))


@triton.jit
def laplacian(above, row, below, KERNEL: tl.constexpr):
    """The convolution, by differences alone: exactly 0 where the values are equal."""
    down = (row - above) + (row - below)
    if KERNEL == 8:
        return 3 * down + _across(above + row + below)
    else:
        return down + _across(row)


@triton.jit
def probability(values, LOGITS: tl.constexpr):
    """``p`` of logits or of probabilities."""
    if LOGITS:
        # The minimum keeps the product out of the differences' multiply-adds, which would not cancel where p is flat.
        return tl.minimum(reciprocal(1 + tl.exp2(-1.4426950408889634 * values)), 1, propagate_nan=tl.PropagateNan.ALL)
    else:
        return values


@triton.jit
def _strength(convolved, EDGE: tl.constexpr):
    """``a`` of an edge ``D = tanh a``."""
    if EDGE == "abs":
        return tl.abs(convolved)
    else:
        return tl.maximum(convolved, 0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _decay(a):
    """``E = exp(-2 a)``, of which ``tanh a = (1 - E) / (1 + E)``."""
    return tl.exp2(-2.8853900817779268 * a)


@triton.jit
def _one_less(a, decay):
    """``1 - E`` without the cancellation of small ``a``."""
    return tl.where(a < 0.04, 2 * a * (1 - a * (1 - a * (0.6666667 - 0.3333333 * a))), 1 - decay)


@triton.jit
def loss(found, wanted, EDGE: tl.constexpr):
    """``-(t log D + (1 - t) log(1 - D))`` with ``t = (1 - F) / (1 + F)``, from the convolutions."""
    # D is in [1e-7, 1 - 1e-7] if its a is between the atanh of these.
    a = tl.clamp(_strength(found, EDGE), 1e-7, 8.405621383, propagate_nan=tl.PropagateNan.ALL)
    e, f = _decay(a), _decay(_strength(wanted, EDGE))
    share = (1 - f) * reciprocal(1 + f)
    shift = 2 * a - 0.6931471805599453
    return (shift + approximate_log(1 + e)) - share * (shift + approximate_log(_one_less(a, e)))


@triton.jit
def slope(found, wanted, EDGE: tl.constexpr):
    """A quarter of the loss's derivative by ``found``, which is ``sign 4 (F - E) / ((1 - E) (1 + E) (1 + F))``."""
    a = _strength(found, EDGE)
    e, f = _decay(a), _decay(_strength(wanted, EDGE))
    by_found = (f - e) * reciprocal(_one_less(a, e) * (1 + e) * (1 + f))
    by_found = tl.where(found < 0, -by_found, by_found)
    return tl.where((a < 1e-7) | (a > 8.405621383), 0, by_found)
