from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from boxwright.errors import InputError
from boxwright.evaluate import evaluate_model
from boxwright.manifest import Manifest
from boxwright.predict import Predictor
from boxwright.preprocess import Preprocess

from .cases import dataset, sample

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourEngine:
    """A detector that works: the box around all red, all green, all blue pixels, surer of larger ones."""

    def run(self, images, sizes):
        batch = len(images)
        boxes, scores = np.zeros((batch, 3, 4), np.float32), np.zeros((batch, 3), np.float32)
        for row, image in enumerate(images):
            for label in range(3):
                others = [k for k in range(3) if k != label]
                ys, xs = np.nonzero((image[label] > 0.5) & (image[others] < 0.5).all(axis=0))
                if len(ys):
                    boxes[row, label] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
                    scores[row, label] = 0.5 + len(ys) / (2 * image[0].size)
        labels = np.tile(np.arange(3), (batch, 1))
        order = np.argsort(-scores, axis=1)
        boxes = np.take_along_axis(boxes, order[:, :, None], axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        return boxes, scores, np.take_along_axis(labels, order, axis=1), scores > 0


@dataclass(frozen=True)
class ColourModel:
    manifest: Manifest

    def predictor(self, propose=None):
        return Predictor(ColourEngine(), self.manifest)


MODEL = ColourModel(
    Manifest(
        recipe="colours",
        settings={},
        classes=tuple(COLOURS),
        ids=(10, 20, 30),
        preprocess=Preprocess((100, 120), mean=(0, 0, 0), std=(1, 1, 1)),
        score=0.5,
    )
)


@pytest.fixture
def painted(tmp_path):
    """Rectangles of two colours each, in a data set that lists the classes in another order."""
    rng = np.random.default_rng(0)
    names = ("blue", "red", "green")
    samples = []
    for place in range(7):
        canvas = Image.new("RGB", (240, 200))
        boxes, labels = [], sorted({place % 3, (place + 1) % 3})
        for half, label in enumerate(labels):
            left, top = 10 + 120 * half + int(rng.integers(0, 20)), int(rng.integers(5, 80))
            box = [left, top, left + 80, top + 2 * int(rng.integers(20, 50))]
            ImageDraw.Draw(canvas).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), COLOURS[names[label]])
            boxes.append(box)
        path = tmp_path / f"{place}.png"
        canvas.save(path)
        samples.append(sample(boxes, labels, path=path, size=(200, 240)))
    return replace(dataset(samples, names), root=tmp_path, split="test")


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_a_model_that_is_right_is_found_right_whatever_the_order_of_classes(painted, batch):
    report = evaluate_model(MODEL, painted, batch=batch, facts={"name": "colours by eye"})
    assert [row.name for row in report.classes] == ["red", "green", "blue"]
    assert report.coco.ap50 == pytest.approx(1)
    assert (report.shown.precision, report.shown.recall) == (1, 1)
    assert report.threshold == 0.5  # the model's own, not one that these images chose
    assert report.model == {"recipe": "colours", "name": "colours by eye"}
    assert all(value > 0 for value in report.speed.values())
    assert not report.notes or "chosen" not in report.notes[0]


def test_classes_that_the_model_lacks_are_named(painted):
    misspelt = replace(painted, classes=("blue", "red", "gren"))
    with pytest.raises(InputError, match=r"'gren'.*did you mean green"):
        evaluate_model(MODEL, misspelt)


def test_an_image_that_cannot_be_read_stops_or_is_left_out(painted):
    painted[2].path.write_bytes(b"")
    with pytest.raises(InputError, match=r"2\.png"):
        evaluate_model(MODEL, painted)
    report = evaluate_model(MODEL, painted, policy="skip")
    assert report.images == 6
    assert report.coco.ap50 == pytest.approx(1)
    assert "left out: 1 (2.png)" in report.notes[0]
    for one in painted:
        one.path.write_bytes(b"")
    with pytest.raises(InputError, match="no image could be read"):
        evaluate_model(MODEL, painted, policy="skip")


def test_every_result_is_watched(painted):
    seen = []

    def watch(stream):
        for one in stream:
            seen.append(one)
            yield one

    evaluate_model(MODEL, painted, watch=watch, threshold=0.9)
    assert len(seen) == len(painted)
