"""What cannot be learned is refused before the first step, whatever is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from boxwright.data import open_dataset
from boxwright.data.classes import with_classes
from boxwright.errors import InputError
from boxwright.perceptual.style_settings import StyleNetSettings, StyleWeights
from boxwright.perceptual.style_train import StyleTask
from boxwright.perceptual.upscale_data import Pairs
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.perceptual.upscale_task import UpscaleTask
from boxwright.perceptual.vae import VaeSettings
from boxwright.perceptual.vae_task import VaeTask
from boxwright.training.gate import learnable
from boxwright.training.lr_finder import find_lr
from boxwright.training.setup import plan
from boxwright.weights.trunk import build_trunk
from data.patients import yolo


@pytest.fixture
def flat(tmp_path: Path) -> list[Path]:
    """Pictures of one colour, the same for all."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        Image.new("RGB", (64, 64), (7, 8, 9)).save(path)
    return paths


def vae(paths: list[Path]) -> VaeTask:
    return VaeTask(VaeSettings(size=32, width=4, latent=4), paths, paths)


def style(paths: list[Path]) -> StyleTask:
    weights = StyleWeights(content_taps=("conv1",), style_taps=("conv1",))
    painting = np.zeros((32, 32, 3), np.uint8)
    trunk = build_trunk("vgg16", ["conv1"])
    return StyleTask(painting, paths, paths, trunk, StyleNetSettings(width=4, crop=32), weights)


def upscale(paths: list[Path]) -> UpscaleTask:
    pairs = Pairs(paths, 2)
    return UpscaleTask(UpscaleSettings(channels=4, blocks=1, patch=16), pairs, pairs)


@pytest.mark.parametrize(
    ("begin", "why"),
    [(vae, "are all alike"), (style, "has one colour alone"), (upscale, "has one colour alone")],
)
def test_pictures_that_show_nothing(
    begin: Callable[[list[Path]], object], why: str, flat: list[Path]
) -> None:
    with pytest.raises(InputError, match=f"nothing to learn: .*4 pictures that were looked at {why}"):
        begin(flat)
    for number, path in enumerate(flat):
        noise = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    begin(flat)


def test_a_picture_without_detail_among_those_that_are_measured(flat: list[Path], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    task = UpscaleTask(
        UpscaleSettings(channels=4, blocks=1, patch=16),
        Pairs([tmp_path / "noise.png"], 2),
        Pairs(flat, 2),
    )
    with torch.inference_mode():
        figures = task.measure(task.net.eval())
    assert all(np.isfinite(value) for value in figures.values())


def test_a_rate_is_not_sought_where_there_is_no_object(tmp_path: Path) -> None:
    source = yolo(tmp_path / "data")
    for label in (source / "labels").rglob("*.txt"):
        label.write_text("")
    images = open_dataset(source, "train")
    todo = plan("ssd320-efficientnet-lite0", images, images, tmp_path / "out", None, None)
    with pytest.raises(InputError, match="nothing to learn: no image has an object"):
        find_lr(todo, iterations=2)


def test_labelled_images_of_one_class(tmp_path: Path) -> None:
    for name in ("rose", "tulip"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / name / "a.png")
    images = open_dataset(tmp_path)
    assert images.labelled and learnable(images, images) == ()
    roses = with_classes(images.subset([0]), images.classes, images.ids)
    with pytest.raises(InputError, match="all 1 training images are of the class rose"):
        learnable(roses, images)
