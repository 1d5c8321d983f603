"""What maps photographs to masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dislayers import fold_batch_norm, upsample
from dismodels.data.images import Pixels
from dismodels.data.transforms import resize_image
from dismodels.graph import GraphedFunction
from dismodels.layout import choose_layout
from dismodels.model import Model
from dismodels.side_outputs import SideOutputModel

_DEFAULT_SIZE = 1024


class Predictor:
    """A model that maps a photograph to its mask, at the photograph's own size.

    The photograph is resized to a square, the probability map back to the photograph (both bilinearly), or nothing is
    resized; the map is stretched to the whole range and truncated to 8 bits. Batch norms are folded into convolutions
    (:func:`dislayers.fold_batch_norm`), and on CUDA the network runs as one graph (:mod:`dismodels.graph`) from the
    second batch of a size on.

    Args:
        model: what predicts, on the device where it shall run; put into evaluation mode. Its weights are copied: make
            another Predictor after they change.
        size: side of the square in pixels; "native" has the network see a photograph in one pass at its own size, which
            takes memory in proportion to its pixels; None takes the size the model was trained at, or else 1024.
        stretch: map each image's lowest probability to 0 and its highest to 255.

    Raises:
        ValueError: size is none of these, or the model does not take the three channels of a photograph, gives no masks
            or has several classes.

    Numerics:
        On a CPU an image's mask is the same to the bit whenever it is made, alone and anywhere in a batch, unless the
        model itself draws random numbers (``bases="random"``).

    Source:
        The official IS-Net inference script, which has no way to leave out the stretch. It gives NaN where a map is
        constant; here such a map is left as it is.
    """

    def __init__(self, model: Model, size: int | Literal["native"] | None = None, stretch: bool = True) -> None:
        if not isinstance(model, SideOutputModel):
            raise ValueError(f"{model.architecture} gives features, no masks")
        if model.in_channels != 3:
            raise ValueError(f"{model.architecture} takes {model.in_channels} channels, a photograph has 3")
        if model.num_classes != 1:
            raise ValueError(f"{model.architecture} has num_classes={model.num_classes}, a mask needs 1")
        if size is None:
            size = model.input_size or _DEFAULT_SIZE
        if size != "native" and (isinstance(size, str) or size < 1):
            raise ValueError(f"size must be at least 1 or 'native', got {size!r}")
        self._device = next(model.parameters()).device
        folded = fold_batch_norm(model.eval())
        choose_layout(folded, self._device)
        self._probabilities = GraphedFunction(partial(_probabilities, folded), self._device)
        self.size = size
        self.stretch = stretch

    def __call__(self, image: Pixels) -> Pixels:
        """The mask (H, W) uint8 of image, (H, W, 3) uint8 RGB."""
        return self.masks(self.prepare(image).unsqueeze(0), [image.shape[:2]])[0]

    def prepare(self, image: Pixels) -> Tensor:
        """What the network sees of image, (H, W, 3) uint8 RGB: (3, size, size) uint8, or (3, H, W) at its own size."""
        if self.size == "native":
            return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return resize_image(image, self.size)

    @torch.inference_mode()
    def masks(self, prepared: Tensor, sizes: Sequence[tuple[int, ...]]) -> list[Pixels]:
        """Masks of a batch.

        Args:
            prepared: (B, 3, h, w) uint8, images as :meth:`prepare` gives them.
            sizes: height and width of each mask wanted.

        Returns:
            B masks, (H, W) uint8.
        """
        # Batches do not pay on a CPU, and an image's last bits would depend on how many are beside it.
        parts = torch.split(prepared, 1) if self._device.type == "cpu" else [prepared]
        maps = [probability for part in parts for probability in self._probabilities(part.to(self._device))]
        return [self._mask(probability, size) for probability, size in zip(maps, sizes, strict=True)]

    def _mask(self, probability: Tensor, size: tuple[int, ...]) -> Pixels:
        probability = upsample(probability.unsqueeze(0), size)[0, 0]
        low, high = probability.aminmax()
        if self.stretch and high > low:
            probability = (probability - low) / (high - low)
        return (probability * 255).to(torch.uint8).cpu().numpy()


def _probabilities(model: SideOutputModel, prepared: Tensor) -> Tensor:
    return model.predict(model.normalization(prepared))
