"""Human correction effort (HCE)."""

from dismetrics.human_correction_effort.op import (
    HumanCorrectionEffort,
    human_correction_effort,
    human_correction_effort_of,
)

__all__ = ["HumanCorrectionEffort", "human_correction_effort", "human_correction_effort_of"]
