"""How many multiplications a model does, as PyTorch counts them, without doing any."""

from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dislayers.depthwise_gelu import module as mlp
from dislayers.depthwise_gelu import reference as depthwise_gelu
from dislayers.multiscale_conv_attention import reference as multiscale_conv_attention
from dislayers.nmf import reference as nmf
from dislayers.pointwise_gate import reference as pointwise_gate
from dismodels.model import Model


def giga_multiplications(monkeypatch: pytest.MonkeyPatch, model: Model, size: int) -> float:
    """10^9 multiplications of convolutions and matrix products for one image of size x size pixels."""
    attention = "dislayers.multiscale_conv_attention.module"
    # PyTorch cannot look into our ops, so their formulas stand in; tensors without data have no autocast.
    monkeypatch.setattr("dislayers.hamburger.nmf", nmf.nmf)
    monkeypatch.setattr(f"{attention}.multiscale_depthwise", multiscale_conv_attention.multiscale_depthwise)
    monkeypatch.setattr(f"{attention}.pointwise_gate", pointwise_gate.pointwise_gate)
    monkeypatch.setattr(mlp, "depthwise_gelu", depthwise_gelu.depthwise_gelu)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    image = torch.empty(1, model.in_channels, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta").eval()(image)
    return counter.get_total_flops() / 2e9
