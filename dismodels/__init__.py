"""Whole models of dichotomous image segmentation: construction, data, training, prediction."""
