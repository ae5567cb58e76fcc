"""A trained network in use: the same masks from torch and from the graph, in tiles, at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.segment.scenes import disc_scene

from boxwright import nets
from boxwright.errors import InputError
from boxwright.modelfile import write_model
from boxwright.segment.apply import Wanted, apply_to, jobs
from boxwright.segment.masks import Classes
from boxwright.segment.model import decided, describe, load_segmenter
from boxwright.segment.networks import begin, settled, tiling
from boxwright.segment.reading import read_mask
from boxwright.segment.settings import NetSettings
from boxwright.training.state import arrays

CLASSES = Classes(("rest", "disc"), (0, 255))


def saved(path: Path, model: str, settings: NetSettings, classes: Classes = CLASSES) -> Path:
    torch.manual_seed(0)
    net = begin(model, len(classes.names), settings).eval()
    card = describe(model, classes, settled(net, settings), tiling(net, settings), {})
    write_model(path, arrays(net), card)
    return path


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("unet", NetSettings(width=2, depth=1, tile=36)),
        pytest.param(
            "unet",
            NetSettings(width=2, depth=2, padded=True, norm=True, tile=32),
            marks=pytest.mark.slow,
        ),
        pytest.param("fpn-resnet18", NetSettings(width=32, tile=64), marks=pytest.mark.slow),
        pytest.param("unet-efficientnet-lite0", NetSettings(tile=64), marks=pytest.mark.slow),
    ],
)
def test_the_graph_says_what_the_network_says(model: str, settings: NetSettings, tmp_path: Path) -> None:
    file = saved(tmp_path / "a.safetensors", model, settings)
    graph, difference = nets.export(file, "segment")
    assert difference < 1e-4
    one, two = load_segmenter(file, "cpu"), load_segmenter(graph, threads=1)
    assert one.classes == two.classes == CLASSES
    for size in ((30, 41), (70, 90)):
        picture, _ = disc_scene(1, size)
        found, wanted = two.probabilities(picture), one.probabilities(picture)
        assert found.shape == (2, *size)
        np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_what_is_written_of_a_picture(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.safetensors", "unet", NetSettings(width=2, depth=1, padded=True))
    segmenter = load_segmenter(file, "cpu")
    picture, _ = disc_scene(0)
    (tmp_path / "in/deep").mkdir(parents=True)
    Image.fromarray(picture).save(tmp_path / "in/a.png")
    Image.fromarray(picture).save(tmp_path / "in/deep/b.jpg")
    (tmp_path / "in/deep/c.png").write_bytes(b"spoilt")
    todo = jobs(tmp_path / "in", tmp_path / "out")
    probabilities = segmenter.probabilities(picture)
    middle = float(np.median(probabilities[1]))
    wanted = Wanted(middle, values=True, overlay=True, probabilities=True)
    troubles = [one for one in apply_to(segmenter, todo, wanted) if isinstance(one, InputError)]
    assert [str(trouble.path) for trouble in troubles] == [str(tmp_path / "in/deep/c.png")]
    written = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert written == {f"{name}{kind}.png" for name in ("a", "deep/b") for kind in ("", "_overlay", "_disc")}
    mask = read_mask(tmp_path / "out/a.png")
    np.testing.assert_array_equal(mask == 255, probabilities[1] >= middle)
    assert set(np.unique(mask)) == {0, 255}
    grey = np.asarray(Image.open(tmp_path / "out/a_disc.png")) / 65535
    np.testing.assert_allclose(grey, probabilities[1], atol=1e-5)
    assert list(apply_to(segmenter, todo[:1], Wanted())) == todo[:1]
    np.testing.assert_array_equal(read_mask(tmp_path / "out/a.png"), segmenter.labels(picture))


def test_masks_take_no_picture_s_place(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: would be replaced by a mask; choose another folder"):
        jobs(tmp_path, tmp_path)
    with pytest.raises(InputError, match="would be replaced"):
        jobs(tmp_path / "a.png", tmp_path)
    picture.save(tmp_path / "a.bmp")
    with pytest.raises(InputError, match=r"has the name of a\.bmp"):
        jobs(tmp_path, tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="has no pictures"):
        jobs(tmp_path / "none", tmp_path / "out")


def test_a_threshold_decides_between_two_classes_only() -> None:
    probabilities = np.array([[[0.7, 0.4]], [[0.3, 0.6]]], np.float32)
    assert decided(probabilities).tolist() == [[0, 1]]
    assert decided(probabilities, 0.2).tolist() == [[1, 1]]
    assert decided(probabilities, 0.65).tolist() == [[0, 0]]
    with pytest.raises(InputError, match="a threshold for 3 classes"):
        decided(np.ones((3, 1, 1), np.float32), 0.5)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network for segment"):
        load_segmenter(Path(nets.__file__).parent / "weights/packaged/everyday.onnx")
    with pytest.raises(InputError, match="no network for segment"):
        load_segmenter(Path(nets.__file__).parent / "weights/packaged/everyday.safetensors")
