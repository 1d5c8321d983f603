"""Metrics of dichotomous image segmentation, equal to the official values."""
