"""A 1x1 convolution that gates a feature map, as one op."""

from dislayers.pointwise_gate.op import pointwise_gate

__all__ = ["pointwise_gate"]
