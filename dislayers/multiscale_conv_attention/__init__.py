"""Multi-scale convolutional attention: the depthwise op and the module."""

from dislayers.multiscale_conv_attention.module import MultiScaleConvAttention
from dislayers.multiscale_conv_attention.op import multiscale_depthwise

__all__ = ["MultiScaleConvAttention", "multiscale_depthwise"]
