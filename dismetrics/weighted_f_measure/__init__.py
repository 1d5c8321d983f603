"""Weighted F-measure (F_beta^w)."""

from dismetrics.weighted_f_measure.op import weighted_f_measure, weighted_f_measure_of

__all__ = ["weighted_f_measure", "weighted_f_measure_of"]
