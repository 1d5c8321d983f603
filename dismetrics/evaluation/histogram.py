"""Histograms as SVG, to stand in a page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_WIDTH, _HEIGHT, _MARGIN, _BINS = 300, 120, 18, 24


def histogram_svg(title: str, values: Mapping[str, Sequence[float]], digits: int) -> str:
    """Draw one outline a method over common bins; what is not finite is left out.

    Args:
        title: of the histogram.
        values: method -> a value an image.
        digits: of the numbers at the axis.
    """
    finite = {method: [value for value in row if math.isfinite(value)] for method, row in values.items()}
    everything = [value for row in finite.values() for value in row] or [0.0]
    low, high = min(everything), max(everything)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts = {method: np.histogram(row, edges)[0] for method, row in finite.items()}
    top = max(1, *(int(row.max()) for row in counts.values()))
    outlines = "".join(
        f'<path d="{_outline((row / top).tolist())}" fill="{colour}" fill-opacity="0.25" stroke="{colour}">'
        f"<title>{escape(method)}</title></path>"
        for (method, row), colour in zip(counts.items(), _colours(len(counts)), strict=True)
    )
    base = _HEIGHT - _MARGIN
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{outlines}'
        f'<line x1="0" y1="{base}" x2="{_WIDTH}" y2="{base}" stroke="currentColor"/>'
        f'<text x="0" y="{_HEIGHT - 4}">{edges[0]:.{digits}f}</text>'
        f'<text x="{_WIDTH / 2}" y="12" text-anchor="middle">{escape(title)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{edges[-1]:.{digits}f}</text></svg>'
    )


def legend(methods: Sequence[str]) -> str:
    """Names of methods in the colours of their outlines."""
    named = zip(methods, _colours(len(methods)), strict=True)
    return " ".join(f'<span style="color:{colour}">&#9632;</span> {escape(method)}' for method, colour in named)


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _outline(heights: Sequence[float]) -> str:
    """Path of a step function from the base line and back to it."""
    base, step = _HEIGHT - _MARGIN, _WIDTH / len(heights)
    steps = "".join(f"V{base - (base - _MARGIN) * height:.1f}H{step * (i + 1):.1f}" for i, height in enumerate(heights))
    return f"M0 {base}{steps}V{base}Z"
