"""What an object is made of: its inks' colours and its texture."""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dismodels.data.synthetic import patterns
from dismodels.data.synthetic.patterns import Grey
from dismodels.data.synthetic.sketch import COLOURS, TONES

Colour = npt.NDArray[np.float32]
Texture = Callable[[np.random.Generator, int, int], Grey]


@dataclass(frozen=True)
class Material:
    """Ranges of hue, saturation and value, and a texture of some strength."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    texture: Texture
    strength: float


def _speckle(rng: np.random.Generator, height: int, width: int) -> Grey:
    return patterns.clouds(rng, height, width, 24.0, 2)


def _patches(rng: np.random.Generator, height: int, width: int) -> Grey:
    return patterns.clouds(rng, height, width, 5.0, 4)


def _glints(rng: np.random.Generator, height: int, width: int) -> Grey:
    """The bands of light that a bright metal mirrors."""
    phase = patterns.ramp(rng, height, width) + np.float32(0.15) * patterns.clouds(rng, height, width, 3.0, 1)
    return np.asarray(0.5 + 0.5 * np.sin(phase * np.float32(rng.uniform(10.0, 24.0))), dtype=np.float32)


PAINT = Material((0.0, 1.0), (0.65, 1.0), (0.55, 1.0), patterns.ramp, 0.35)
LACQUER = Material((0.0, 1.0), (0.75, 1.0), (0.7, 1.0), _glints, 0.25)
CLOTH = Material((0.0, 1.0), (0.5, 0.9), (0.5, 0.95), patterns.checks, 0.3)
WOOD = Material((0.05, 0.1), (0.55, 0.85), (0.4, 0.8), patterns.streaks, 0.4)
RUST = Material((0.02, 0.07), (0.6, 0.95), (0.35, 0.65), _patches, 0.55)
IRON = Material((0.0, 1.0), (0.0, 0.15), (0.04, 0.16), _speckle, 0.4)
CHROME = Material((0.5, 0.65), (0.0, 0.15), (0.85, 1.0), _glints, 0.55)
PLASTER = Material((0.08, 0.14), (0.02, 0.2), (0.9, 1.0), _speckle, 0.2)
GREENERY = Material((0.22, 0.38), (0.6, 0.95), (0.35, 0.75), _speckle, 0.4)

MATERIALS = (PAINT, PAINT, LACQUER, CLOTH, WOOD, RUST, IRON, CHROME, PLASTER)
ORGANIC = (WOOD, RUST, GREENERY, GREENERY, PAINT, IRON, PLASTER)


def draw_material(rng: np.random.Generator, behind: Colour, contrast: float, organic: bool) -> tuple[Material, Colour]:
    """Draw a material and the colours (4, 3) of its inks, RGB in [0, 1].

    Args:
        rng: source of the draw.
        behind: mean colour (3,) of the background under the object.
        contrast: in [0, 1]; of 2 + 5 * contrast candidates the two farthest from `behind` are taken; at 0, any two.
        organic: grown rather than made.
    """
    choice = ORGANIC if organic else MATERIALS
    drawn = [choice[rng.integers(len(choice))] for _ in range(2 + round(5 * contrast))]
    candidates = [(material, _colour(rng, material)) for material in drawn]
    candidates.sort(key=lambda pair: -contrast * float(((pair[1] - behind) ** 2).sum()))
    (material, main), (_, second) = candidates[:2]
    related = [np.clip(main * rng.uniform(0.75, 1.2), 0.0, 1.0) for _ in range(COLOURS - 2)]
    accent = second if rng.random() < 0.6 else main
    return material, np.stack([main, related[0], accent, related[1]]).astype(np.float32)


def ink_table(colours: Colour) -> npt.NDArray[np.uint8]:
    """The colour of every ink, uint8 (1, 256, 3) for `cv2.LUT`; ink 0, no object, is black."""
    table = np.zeros((1, 256, 3), np.uint8)
    tone = np.linspace(0.25, 1.0, TONES, dtype=np.float32)[:, None]
    table[0, 1 : 1 + COLOURS * TONES] = np.rint(255.0 * colours[:, None] * tone).reshape(-1, 3)
    return table


def shading(rng: np.random.Generator, material: Material, height: int, width: int) -> Grey:
    """What the texture multiplies the colours with, about 1, float32 (H, W)."""
    texture = material.texture(rng, height, width)
    light = patterns.ramp(rng, height, width)
    return np.asarray((1.0 + material.strength * (texture - 0.6)) * (0.75 + 0.4 * light), dtype=np.float32)


def _colour(rng: np.random.Generator, material: Material) -> Colour:
    hue, saturation, value = (rng.uniform(*span) for span in (material.hue, material.saturation, material.value))
    return np.array(colorsys.hsv_to_rgb(math.fmod(hue, 1.0), saturation, value), np.float32)
