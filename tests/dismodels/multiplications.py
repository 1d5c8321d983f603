"""How many multiplications a model does, as PyTorch counts them, without doing any."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from dismodels.model import Model


def giga_multiplications(model: Model, size: int) -> float:
    """10^9 multiplications of convolutions and matrix products for one image of size x size pixels."""
    image = torch.empty(1, model.in_channels, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta").eval()(image)
    return counter.get_total_flops() / 2e9
