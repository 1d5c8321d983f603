"""What every model here is: a network that remembers how it was made and knows its official weights' names."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from dismodels.normalization import Normalization


class Model(nn.Module):
    """A network of :func:`dismodels.create_model`.

    Attributes:
        normalization: how it wants a uint8 image's values.
        in_channels: channels of the images it takes.
        architecture: its name for :func:`dismodels.create_model`.
        options: the options it was created with; together they say how to build it again.
        input_size: side in pixels of the square images it was trained on, or None.
    """

    normalization: ClassVar[Normalization] = Normalization(mean=(0.5,), std=(1.0,))
    architecture: str = ""
    options: dict[str, object]
    input_size: int | None = None

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.options = {}

    @staticmethod
    def official_name(key: str) -> str:
        """The name here of the entry that the official state dict calls key; "" for one of a part that is not here."""
        return key
