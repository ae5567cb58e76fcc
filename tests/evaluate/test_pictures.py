from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright.evaluate.examples import Example, Marked
from boxwright.evaluate.pictures import LOST, WRONG, _window, pictures

NAN = float("nan")


def example(kind, image, focus, objects=(), detections=()):
    return Example(kind, image, "title", "reason", "", focus, tuple(objects), tuple(detections))


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB")).astype(int)


def near(colour, image):
    return (np.abs(image - np.array(colour)).sum(axis=2) < 60).sum()


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (600, 400), (128, 128, 128)).save(tmp_path / "grey.png")
    return tmp_path


def test_the_matter_is_drawn_in_its_colour(folder):
    box = (200.0, 150.0, 300.0, 220.0)
    wrong = example("false positive", "grey.png", box, detections=[Marked(box, "cat", 0.9, False)])
    lost = example("missed", "grey.png", box, objects=[Marked(box, "cat", NAN, False)])
    first, second = (pixels(one) for one in pictures(folder, [wrong, lost]))
    assert near(WRONG, first) > 500
    assert near(LOST, second) > 500
    assert near(LOST, first) == 0
    assert near(WRONG, second) == 0


def test_an_image_that_cannot_be_read_has_no_picture(folder):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    chosen = [
        example("typical", "grey.png", (0, 0, 0, 0)),
        example("typical", "broken.jpg", (0, 0, 0, 0)),
        example("typical", "gone.jpg", (0, 0, 0, 0)),
    ]
    made = pictures(folder, chosen)
    assert made[0] is not None
    assert (made[0].width, made[0].height) == pixels(made[0]).shape[1::-1]
    assert made[1:] == [None, None]


@given(
    shape=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=200)
def test_a_crop_lies_in_the_image_and_holds_the_box(shape, corner, size):
    height, width = shape
    left, top = corner[0] * width, corner[1] * height
    right, bottom = left + size[0] * (width - left), top + size[1] * (height - top)
    x1, y1, x2, y2 = _window((height, width, 3), (left, top, right, bottom))
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    assert x1 <= left + 1
    assert y1 <= top + 1
    assert x2 >= right - 1
    assert y2 >= bottom - 1


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_extreme_images_and_boxes_outside_make_pictures(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "odd.png")
    outside = (-50.0, -50.0, 5000.0, 5000.0)
    chosen = [
        example("missed", "odd.png", outside, objects=[Marked(outside, "", NAN, False)]),
        example("typical", "odd.png", (0, 0, 0, 0), detections=[Marked(outside, "a" * 80, 0.5, True)]),
    ]
    assert all(one is not None and one.width > 0 for one in pictures(tmp_path, chosen))
