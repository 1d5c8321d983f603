"""Building blocks of dichotomous image segmentation networks."""

from dislayers.click_maps import click_maps
from dislayers.connected_components import component_sizes, connected_components
from dislayers.contours import approximate_polygon, approximate_polygons, contours
from dislayers.conv_norm_act import ConvNormAct, batch_norm_relu
from dislayers.depthwise_gelu import DepthwiseGELU, depthwise_gelu
from dislayers.distance_transform import distance_transform
from dislayers.fold_batch_norm import fold_batch_norm
from dislayers.hamburger import Hamburger
from dislayers.joint_histogram import joint_histogram
from dislayers.mix_ffn import MixFFN
from dislayers.moments import moments
from dislayers.morphology import dilate, erode
from dislayers.multiscale_conv_attention import MultiScaleConvAttention, multiscale_depthwise
from dislayers.nmf import nmf
from dislayers.patch_local import PatchLocalAttention, merge_patches, patch_local, split_patches
from dislayers.patch_threshold import PatchThreshold, patch_threshold
from dislayers.pointwise import Pointwise, pointwise
from dislayers.pointwise_gate import pointwise_gate
from dislayers.rsu import RSU, DilatedRSU
from dislayers.skeletonize import skeletonize
from dislayers.upsample import upsample
from dislayers.upsample_concat import upsample_concat

__all__ = [
    "RSU",
    "ConvNormAct",
    "DepthwiseGELU",
    "DilatedRSU",
    "Hamburger",
    "MixFFN",
    "MultiScaleConvAttention",
    "PatchLocalAttention",
    "PatchThreshold",
    "Pointwise",
    "approximate_polygon",
    "approximate_polygons",
    "batch_norm_relu",
    "click_maps",
    "component_sizes",
    "connected_components",
    "contours",
    "depthwise_gelu",
    "dilate",
    "distance_transform",
    "erode",
    "fold_batch_norm",
    "joint_histogram",
    "merge_patches",
    "moments",
    "multiscale_depthwise",
    "nmf",
    "patch_local",
    "patch_threshold",
    "pointwise",
    "pointwise_gate",
    "skeletonize",
    "split_patches",
    "upsample",
    "upsample_concat",
]
