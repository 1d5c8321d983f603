"""Labels are scikit-image's, number for number, however they are computed."""

import numpy as np
import pytest
import skimage.measure
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import component_sizes, connected_components
from dislayers.connected_components import kernel, reference
from tests.harness import SHAPES, Op, check_op

WIDTHS = [1, 2, 3, 20, 63, 64, 65, 127, 128, 129, 513]


def random_mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise, specks and shapes: random pixels in blocks of 1 to 20; sometimes a comb, whose teeth meet late."""
    if random.random() < 0.1:
        teeth = np.arange(width)[None] % 2 == 0
        return teeth | (np.arange(height)[:, None] == height - 1)
    block = random.choice([1, 1, 2, 5, 20])
    coarse = random.random((-(-height // block), -(-width // block))) < random.choice([0, 0.2, 0.5, 0.6, 0.8, 0.97, 1])
    return np.kron(coarse, np.ones((block, block), bool))[:height, :width]


def labelled(mask: np.ndarray, connectivity: int) -> np.ndarray:
    return np.asarray(skimage.measure.label(mask, connectivity=connectivity // 4))


def noise(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(-90, 110, shape, generator=generator).clamp(0).to(torch.uint8).to(dtype)


def check(connectivity: int) -> Op:
    return Op(
        function=connected_components,
        reference=reference.connected_components,
        overload=torch.ops.dislayers.connected_components.default,
        make_inputs=lambda *of: ((noise(*of), connectivity), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        like_first=False,
        errors=[
            (lambda: connected_components(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32"),
            (lambda: connected_components(torch.ones(2) > 0), ValueError, r"mask must have the shape \(..., H, W\)"),
            (lambda: connected_components(torch.ones(2, 2) > 0, 6), ValueError, "connectivity must be 4 or 8, got 6"),
        ],
    )


test_connected_components_4 = check_op(check(4))
test_connected_components_8 = check_op(check(8))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_equals_scikit_image_on_2000_masks(connectivity: int) -> None:
    random = np.random.default_rng(connectivity)
    for i in range(2000):
        mask = random_mask(random, int(random.integers(1, 40)), int(random.choice(WIDTHS)))
        labels, count = connected_components(torch.from_numpy(mask.copy()), connectivity)
        expected = labelled(mask, connectivity)
        assert np.array_equal(labels.numpy(), expected), f"mask {i}, {mask.shape}"
        assert count == expected.max()


@given(st.integers(0, 10**6), st.sampled_from([4, 8]))
@settings(max_examples=40, deadline=None)
def test_the_reference_equals_scikit_image(seed: int, connectivity: int) -> None:
    random = np.random.default_rng(seed)
    mask = random_mask(random, int(random.integers(1, 30)), int(random.integers(1, 30)))
    labels, count = reference.connected_components(torch.from_numpy(mask.copy()), connectivity)
    assert np.array_equal(labels.numpy(), labelled(mask, connectivity))
    assert count == labels.max()


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_spiral_is_one_component(connectivity: int) -> None:
    """Its arms are found as many runs apart, joined only in its middle."""
    size = 201
    mask = np.zeros((size, size), bool)
    for ring in range(0, size // 2, 2):
        mask[ring, max(ring - 2, 0) : size - ring] = mask[ring : size - ring, size - 1 - ring] = True
        mask[size - 1 - ring, ring : size - ring] = mask[ring + 2 : size - ring, ring] = True
    labels, count = connected_components(torch.from_numpy(mask), connectivity)
    assert count == 1
    assert np.array_equal(labels.numpy(), mask)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_every_instruction_set_gives_the_same() -> None:
    assert kernel.extension is not None
    random = np.random.default_rng(2)
    for connectivity in (4, 8):
        for _ in range(50):
            mask = torch.from_numpy(random_mask(random, 70, int(random.integers(1, 1100))).copy())
            expected, expected_count = connected_components(mask, connectivity)
            for index in range(len(kernel.extension.instruction_sets())):
                labels, count = torch.full_like(expected, -1), torch.full_like(expected_count, -1)
                outputs, size = (labels.data_ptr(), count.data_ptr()), (1, *mask.shape)
                kernel.extension.connected_components_cpu(
                    mask.data_ptr(), (0, mask.stride(0)), *outputs, size, connectivity == 8, 1, index
                )
                assert torch.equal(labels, expected)
                assert count == expected_count


@given(st.integers(0, 10**6), st.sampled_from([(), (1,), (3,), (2, 2), (0,)]))
@settings(max_examples=30, deadline=None)
def test_sizes_count_the_pixels_of_every_label(seed: int, leading: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    mask = torch.from_numpy(random.random((*leading, 9, 14)) < random.choice([0, 0.3, 0.9]))
    labels, count = connected_components(mask)
    sizes = component_sizes(labels, count)
    most = int(count.max()) if count.numel() else 0
    assert sizes.shape == (*leading, most + 1)
    for own, image in zip(sizes.view(-1, most + 1), labels.view(-1, 9, 14), strict=True):
        assert own.tolist() == [int((image == label).sum()) for label in range(most + 1)]
