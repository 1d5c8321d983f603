"""Losses of dichotomous image segmentation."""
