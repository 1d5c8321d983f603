"""Histograms of predictions by truth."""

from dislayers.joint_histogram.op import joint_histogram

__all__ = ["joint_histogram"]
