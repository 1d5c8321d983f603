"""What a model answers, and the model class that answers so."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from dislayers import upsample
from dismodels.model import Model


class SideOutputs(NamedTuple):
    """A model's answer to one batch.

    Attributes:
        logits: (B, 1, h, w) each, at its native resolution, the finest (the answer) first.
        features: (B, C, h, w) each, the maps from which the logits were made, in the same order.
    """

    logits: list[Tensor]
    features: list[Tensor]


class SideOutputModel(Model):
    """A network whose forward gives :class:`SideOutputs`; its finest logits are the answer.

    Attributes:
        num_classes: channels of its logits; with one, the foreground, the answer is a mask.
    """

    num_classes: int = 1

    def predict(self, image: Tensor) -> Tensor:
        """Probability of the foreground at the image's own size.

        Args:
            image: (B, in_channels, H, W), normalised by ``self.normalization``.

        Returns:
            (B, 1, H, W) in [0, 1]: the finest logits, resized bilinearly (``align_corners=False``), through a sigmoid.

        Numerics:
            The same batch gives the same bits on a CPU. Between an image alone and within a batch about 1e-5 may lie:
            libraries choose their algorithms, and share out their sums, by the batch's size.
            :class:`dismodels.predictor.Predictor` gives equal masks.
        """
        outputs: SideOutputs = self(image)
        return upsample(outputs.logits[0], image.shape[-2:]).sigmoid()


def initialize_xavier(model: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every convolution of model (DIS5K paper, supplement 3.1)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
