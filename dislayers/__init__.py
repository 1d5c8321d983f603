"""Building blocks of dichotomous image segmentation networks."""

from dislayers.conv_norm_act import ConvNormAct
from dislayers.joint_histogram import joint_histogram
from dislayers.moments import moments
from dislayers.distance_transform import distance_transform
from dislayers.morphology import dilate, erode
from dislayers.rsu import RSU, DilatedRSU
from dislayers.skeletonize import skeletonize
from dislayers.upsample import upsample
from dislayers.upsample_concat import upsample_concat

__all__ = [
    "RSU",
    "ConvNormAct",
    "DilatedRSU",
    "dilate",
    "erode",
    "joint_histogram",
    "moments",
    "distance_transform",
    "erode",
    "skeletonize",
    "upsample",
    "upsample_concat",
]
