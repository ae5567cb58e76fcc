"""How good enlarged pictures are, by worked numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from boxwright.perceptual.upscale_data import Pairs, enlarge, shrink
from boxwright.perceptual.upscale_measure import (
    BICUBIC,
    Scores,
    compare,
    comparison,
    feature_distance,
    least_side,
    luma,
    psnr,
    score,
    table,
)
from boxwright.weights.trunk import build_trunk


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A part of the astronaut's face."""
    return np.ascontiguousarray(data.astronaut()[40:136, 160:272])


def test_a_difference_of_ten_everywhere(picture: np.ndarray) -> None:
    truth = np.clip(picture, 10, 245)
    wanted = 20 * math.log10(255 / 10)
    found = score(truth + np.uint8(10), truth, 2)
    assert found.psnr == pytest.approx(wanted)
    # Luma spans 219 of 255 steps, so that it differs by less.
    assert found.psnr_y == pytest.approx(wanted + 20 * math.log10(255 / 219), abs=1e-3)
    assert 0.9 < found.ssim < 1
    assert found.distance is None


def test_equal_pictures_and_noise(picture: np.ndarray) -> None:
    same = score(picture, picture, 2)
    assert same == Scores(math.inf, math.inf, 1.0)
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    assert score(noise, picture, 2).ssim < 0.1
    assert psnr(noise, picture) < 11


def test_luma_is_that_of_video_without_its_border() -> None:
    image = np.zeros((9, 8, 3), np.uint8)
    image[2:-2, 2:-2] = 255
    y = luma(image, 2)
    assert y.shape == (5, 4)
    np.testing.assert_allclose(y, 235, atol=1e-3)
    assert luma(image, 0).min() == pytest.approx(16)


def test_the_border_does_not_count(picture: np.ndarray) -> None:
    spoilt = picture.copy()
    spoilt[:2] = 0
    found = score(spoilt, picture, 2)
    assert found.psnr < 30 and found.psnr_y == math.inf


def test_ways_are_compared_on_the_same_pictures(picture: np.ndarray) -> None:
    def nearest(image: np.ndarray) -> np.ndarray:
        return image.repeat(2, 0).repeat(2, 1)

    trunk = build_trunk("vgg16", ["conv1"])
    pairs = [(shrink(one, 2), one) for one in (picture, np.ascontiguousarray(picture[::-1]))]
    ways = {BICUBIC: lambda image: enlarge(image, 2), "nearest": nearest}
    found = compare(iter(pairs), ways, 2, feature_distance(trunk))
    bicubic, worse = found[BICUBIC], found["nearest"]
    assert bicubic.psnr > worse.psnr + 1 and bicubic.ssim > worse.ssim
    assert bicubic.psnr == pytest.approx(np.mean([psnr(enlarge(a, 2), b) for a, b in pairs]))
    assert bicubic.distance is not None and worse.distance is not None
    assert 0 < bicubic.distance < worse.distance
    lines = table(found).splitlines()
    assert len(lines) == 3
    assert f"{worse.psnr - bicubic.psnr:+.2f}" in lines[2]
    assert f"{worse.distance / bicubic.distance - 1:+.1%}" in lines[2]
    assert "distance" not in table(compare(pairs, ways, 2))


def test_the_least_picture_that_can_be_scored() -> None:
    side = least_side(4)
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert 0 < score(image // 2, image, 4).ssim < 1
    with pytest.raises(ValueError, match="win_size"):
        score(image[1:], image[1:], 4)


def test_a_sheet_shows_every_way(tmp_path: Path, picture: np.ndarray) -> None:
    for name, image in (("a", picture), ("b", picture[:20])):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    pairs = Pairs([tmp_path / "a.png", tmp_path / "b.png"], 2)
    ways = {BICUBIC: lambda image: enlarge(image, 2)}
    sheet = comparison(pairs, ways, 2, 32)
    assert sheet is not None
    _, large = pairs.middle(0, 32)
    # Three rows of 64 pixels; the second picture is too small to be shown.
    assert sheet.shape[0] == 3 * 64 + 2 * 2
    assert np.array_equal(sheet[-64:, -64:], large)
    assert comparison(pairs, ways, 2, 60) is None


def test_distance_is_no_distance_of_equal_pictures(picture: np.ndarray) -> None:
    torch.manual_seed(0)
    distance = feature_distance(build_trunk("vgg16", ["conv1", "conv2"]))
    assert distance(picture, picture) == 0
    assert distance(picture, picture[::-1].copy()) > 0
