"""A depthwise convolution and the GELU after it: the op and the module."""

from dislayers.depthwise_gelu.module import DepthwiseGELU
from dislayers.depthwise_gelu.op import depthwise_gelu

__all__ = ["DepthwiseGELU", "depthwise_gelu"]
