from __future__ import annotations

import colorsys
import inspect

import numpy as np
import pytest
from skimage.color import rgb2lab

from boxwright.errors import InputError
from boxwright.regions.colours import SPACES, convert


def random_image(height: int = 9, width: int = 11) -> np.ndarray:
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)
    image[0, :4] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [7, 7, 7]]
    return image


@pytest.mark.parametrize("space", SPACES)
def test_all_values_lie_between_0_and_255(space: str) -> None:
    corners = np.stack(np.meshgrid(*[[0, 1, 128, 255]] * 3), -1).reshape(8, 8, 3).astype(np.uint8)
    for image in (random_image(), corners):
        planes = convert(image, space)
        assert planes.dtype == np.float32
        assert planes.shape[1:] == image.shape[:2]
        assert planes.min() >= -1e-3
        assert planes.max() <= 255.001


def test_hsv_equals_the_standard_library() -> None:
    image = random_image()
    expected = [[colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in row] for row in image]
    np.testing.assert_allclose(convert(image, "hsv"), 255 * np.moveaxis(np.array(expected), 2, 0), atol=1e-3)
    np.testing.assert_array_equal(convert(image, "hue")[0], convert(image, "hsv")[0])


def test_lab_equals_scikit_image() -> None:
    image = random_image(40, 40)
    light, a, b = np.moveaxis(rgb2lab(image), 2, 0)
    np.testing.assert_allclose(convert(image, "lab")[0], light * 2.55, atol=0.15)
    np.testing.assert_allclose(convert(image, "lab")[1:], np.stack((a, b)) + 128, atol=0.35)


def test_normalised_planes_do_not_change_with_the_light() -> None:
    image = random_image() // 2
    for space in ("normalised-rgb", "opponent", "hue"):
        np.testing.assert_allclose(convert(2 * image, space), convert(image, space), atol=1e-3)
    assert not np.allclose(convert(2 * image, "rgi"), convert(image, "rgi"))
    red, green, blue = convert(np.array([[[30, 60, 10]]], np.uint8), "normalised-rgb")[:, 0, 0]
    assert [red, green, blue] == pytest.approx([76.5, 153, 25.5])


def test_an_unknown_space_is_named() -> None:
    with pytest.raises(InputError, match="no colour space 'hsb'; did you mean hsv"):
        inspect.unwrap(convert)(random_image(), "hsb")
