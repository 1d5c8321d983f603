"""Whole models of dichotomous image segmentation: construction, data, training, prediction."""

from dismodels.checkpoints import CheckpointError, load_checkpoint, load_official_state_dict, save_checkpoint
from dismodels.registry import create_model, list_models
from dismodels.side_outputs import SideOutputs

__all__ = [
    "CheckpointError",
    "SideOutputs",
    "create_model",
    "list_models",
    "load_checkpoint",
    "load_official_state_dict",
    "save_checkpoint",
]
