"""A mask of 0 and 255 is refused where that can be seen without waiting."""

import pytest
import torch

from dislayers._runtime import native
from dislayers._runtime.library import choices
from dislosses import bce_loss, deep_supervision_loss, iou_loss, laplacian_boundary_loss, normalized_focal_loss
from dislosses.labels import check_labels

pytestmark = pytest.mark.skipif(
    choices["dislosses::bce"]["cpu"].implementation.name == "triton", reason="Triton does not look at the labels"
)

LOSSES = {
    "bce": bce_loss,
    "iou": iou_loss,
    "normalized_focal": normalized_focal_loss,
    "laplacian_boundary": laplacian_boundary_loss,
    "deep_supervision": lambda logits, target: deep_supervision_loss([logits], target),
}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("name", LOSSES)
def test_a_mask_up_to_255_is_refused(name: str, dtype: torch.dtype) -> None:
    if native.missing("cpu") and name == "laplacian_boundary":
        pytest.skip("plain PyTorch does not look at the labels")
    logits, mask = torch.zeros(2, 1, 4, 4), torch.tensor([0, 255]).repeat(2, 1, 4, 2).to(dtype)
    with pytest.raises(ValueError, match=r"target must be in \[0, 1\].*got values up to 255; divide"):
        LOSSES[name](logits, mask)


def test_what_is_ignored_may_be_larger() -> None:
    logits, mask = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1, 255, 1]).repeat(2, 1, 4, 1)
    assert bce_loss(logits, mask, ignore_label=255) < bce_loss(logits, mask.clamp_max(1))
    with pytest.raises(ValueError, match=r"or ignore_label 254"):
        bce_loss(logits, mask, ignore_label=254)


def test_labels_of_no_pixel_and_not_a_number_pass() -> None:
    check_labels(torch.zeros(0, 1, 4, 4))
    check_labels(torch.tensor([0.0, float("nan"), 1.0]))
