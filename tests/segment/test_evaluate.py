from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.segment.scenes import write_pairs

from boxwright.card import Card
from boxwright.segment.data import open_labelled
from boxwright.segment.evaluate import SCAN, judge
from boxwright.segment.model import Segmenter
from boxwright.segment.tiles import Tiling


def reads_red(shift: float = 0.0, classes: tuple[str, ...] = ("rest", "disc")) -> Segmenter:
    """Believes in the second class as the picture is red."""

    def run(batch: np.ndarray) -> np.ndarray:
        odds = 8 * (batch[:, :1] - 0.5 + shift)
        others = [np.full_like(odds, -9.0)] * (len(classes) - 2)
        return np.concatenate([-odds, odds, *others], 1)

    card = Card("segment", {"classes": classes, "values": list(range(len(classes)))})
    return Segmenter(card, run, Tiling(32, 0, 1, cropped=False, fixed=False))


def two_blocks(folder: Path, red: np.ndarray) -> Path:
    """Two true blocks with a gap, and a picture as red as it is said."""
    mask = np.zeros((20, 42), np.uint8)
    mask[:, :20], mask[:, 22:] = 1, 1
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    picture = np.zeros((20, 42, 3), np.uint8)
    picture[..., 0] = red
    Image.fromarray(picture).save(folder / "images/a.png")
    Image.fromarray(mask).save(folder / "masks/a.png")
    return folder


def test_objects_and_pixels_are_judged_apart(tmp_path: Path) -> None:
    red = np.full((20, 42), 255)
    red[1:, 20:22] = 0  # one leak of two pixels joins the blocks
    found = judge(reads_red(), open_labelled(two_blocks(tmp_path, red)))
    (one,) = found.pictures
    assert one.pixel_error == pytest.approx(2 / 840)
    assert one.rand_split == 1 and one.rand_merge == pytest.approx(0.5)
    assert one.rand == pytest.approx(2 / 3)
    # The leak is one join: of its two pixels the warped truth reaches one.
    assert one.warping_error == pytest.approx(1 / 840)
    assert found.whole.iou[1] == pytest.approx(800 / 802)


def test_the_scan_finds_the_threshold_that_closes_a_leak(tmp_path: Path) -> None:
    red = np.full((20, 42), 255)
    red[1:, 20:22], red[0, 20:22] = 0, 150
    found = judge(reads_red(), open_labelled(two_blocks(tmp_path, red)), scan=True)
    assert [at for at, _ in found.scan] == list(SCAN)
    at, rand = found.best()["rand"]
    assert rand == 1 and at > 0.5
    assert "chosen on these very pictures" in found.text()
    json.dumps(found.to_dict(), allow_nan=False)
    strict = judge(reads_red(), open_labelled(tmp_path), threshold=at)
    assert strict.mean.rand == 1 and strict.threshold == at


def test_what_is_ignored_cannot_be_wrong(tmp_path: Path) -> None:
    folder = two_blocks(tmp_path, np.full((20, 42), 255))
    mask = np.array(Image.open(folder / "masks/a.png"))
    mask[:, 20:22] = 255
    mask[0, 20] = 0  # that the class is known
    Image.fromarray(mask).save(folder / "masks/a.png")
    (one,) = judge(reads_red(), open_labelled(folder, classes="0=rest,1=disc")).pictures
    assert one.pixel_error == pytest.approx(1 / 801)
    assert one.rand == 1


def test_a_picture_without_objects_is_left_out_of_their_means(tmp_path: Path) -> None:
    red = np.full((20, 42), 255)
    red[1:, 20:22] = 0
    folder = two_blocks(tmp_path, red)
    Image.new("RGB", (42, 20)).save(folder / "images/b.png")
    Image.new("L", (42, 20)).save(folder / "masks/b.png")
    found = judge(reads_red(), open_labelled(folder, classes="0=rest,1=disc"))
    with_objects, without = found.pictures
    assert np.isnan(without.rand) and without.pixel_error == 0
    assert found.mean.rand == with_objects.rand == pytest.approx(2 / 3)
    assert found.mean.pixel_error == pytest.approx(with_objects.pixel_error / 2)


def test_more_classes_have_no_objects(tmp_path: Path) -> None:
    folder = two_blocks(tmp_path, np.full((20, 42), 255))
    data = open_labelled(folder, classes="0=rest,1=disc,2=third")
    found = judge(reads_red(classes=("rest", "disc", "third")), data, scan=True)
    assert np.isnan(found.mean.rand) and found.scan == ()
    assert found.to_dict()["mean over pictures"]["rand"] is None
    assert "Rand" not in found.text() and "third" in found.text()


def test_pictures_show_what_is_wrong(tmp_path: Path) -> None:
    data = open_labelled(write_pairs(tmp_path / "d", 2, value=1))
    shown = {}
    judge(reads_red(), data, show=shown.__setitem__)
    seen = shown["1"]
    assert seen.shape == (48, 4 * 64 + 12, 3)
    picture, truth, _, wrong = (seen[:, i * 68 : i * 68 + 64] for i in range(4))
    labelled = data.read(1)
    np.testing.assert_array_equal(picture, labelled.picture)
    np.testing.assert_array_equal(truth[..., 0] == 255, labelled.labels == 1)
    missed = reads_red().labels(labelled.picture) != labelled.labels
    np.testing.assert_array_equal((wrong == (213, 94, 0)).all(-1), missed)
