"""Convolution, batch normalisation, ReLU, and what of it runs in two passes."""

from dislayers.conv_norm_act.module import ConvNormAct
from dislayers.conv_norm_act.op import BatchNormReLU, batch_norm_relu, normalize_relu

__all__ = ["BatchNormReLU", "ConvNormAct", "batch_norm_relu", "normalize_relu"]
