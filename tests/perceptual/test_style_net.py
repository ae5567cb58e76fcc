"""The network of one style: any size, no picture of a batch sees another, and its graph and its file are itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.modelfile import write_model
from boxwright.perceptual.style_apply import Painter
from boxwright.perceptual.style_net import StyleNet, build, trace
from boxwright.perceptual.style_settings import StyleNetSettings
from boxwright.runtime.export_net import export_net
from boxwright.training.state import arrays

SETTINGS = asdict(StyleNetSettings(width=4, blocks=1))
CARD = Card("style", SETTINGS, {"style": "test.png"})


def bold() -> StyleNet:
    """A network of fresh weights, the same each time, that contrasts strongly."""
    torch.manual_seed(0)
    net = build(SETTINGS).eval()
    torch.nn.init.normal_(net.last[1].weight, std=0.05)  # type: ignore[arg-type]
    return net


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("net")
    write_model(folder / "a.safetensors", arrays(bold()), CARD)
    assert export_net(bold(), CARD, folder / "a.onnx", trace(SETTINGS)) < 1e-4
    return folder / "a.safetensors", folder / "a.onnx"


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@torch.inference_mode()
def test_no_picture_of_a_batch_sees_another() -> None:
    pictures = torch.rand(3, 3, 24, 32)
    together = bold()(pictures)
    for one, painted in zip(pictures, together, strict=True):
        torch.testing.assert_close(bold()(one[None])[0], painted, rtol=1e-4, atol=1e-5)


def test_both_files_paint_alike_at_every_size(files: tuple[Path, Path]) -> None:
    images = [image(21, 34, 1), image(21, 34, 2), image(3, 50, 3), image(64, 16, 4)]
    eager, graph = (Painter.open(file, threads=1, device="cpu") for file in files)
    assert eager.card == graph.card == CARD
    for one, two, given in zip(eager(images), graph(images), images, strict=True):
        assert one.shape == two.shape == given.shape
        assert np.abs(one.astype(int) - two).max() <= 1
        assert (one != given).any()
        np.testing.assert_array_equal(graph([given])[0], two)
    assert graph([]) == []


def test_large_pictures_are_shrunk_when_asked(files: tuple[Path, Path]) -> None:
    painter = Painter.open(files[1], size=32, threads=1)
    assert [found.shape for found in painter([image(20, 64), image(20, 30)])] == [(10, 32, 3), (20, 30, 3)]


def test_memory_that_does_not_suffice_is_said() -> None:
    def exhausted(_: np.ndarray) -> np.ndarray:
        raise MemoryError("Unable to allocate 9 GiB")

    def broken(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("a defect")

    with pytest.raises(
        InputError, match="a picture of 9 x 8 is too large for this machine's memory; give --size"
    ):
        Painter(exhausted, CARD)([image(8, 9)])
    with pytest.raises(RuntimeError, match="a defect"):
        Painter(broken, CARD)([image(8, 9)])


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    write_model(file, arrays(bold()), Card("style", SETTINGS | {"width": 5}))
    with pytest.raises(InputError, match=r"a\.safetensors: not weights of this network"):
        Painter.open(file)
    write_model(file, arrays(bold()), Card("upscale", SETTINGS))
    with pytest.raises(InputError, match="is a network for upscale, not for style"):
        Painter.open(file)
    with pytest.raises(InputError, match=r"b\.onnx: "):
        Painter.open(tmp_path / "b.onnx")
