"""Drawing: lines stand where boxes are, labels are legible, files are pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright.draw import (
    class_colour,
    draw_boxes,
    draw_priors,
    encode_picture,
    grid,
    name_colour,
    shrink,
    write_picture,
)
from boxwright.errors import InputError


def luminance(colour: np.ndarray | tuple[int, ...]) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.asarray(colour) / 255]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: np.ndarray | tuple[int, ...], b: np.ndarray | tuple[int, ...]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.lists(st.tuples(*[st.floats(-30, 100) for _ in range(4)], st.floats(0, 1)), max_size=6),
    st.sampled_from(["7", "", "red blood cell", "ſß漢字", "x" * 80]),
)
def test_any_box_can_be_drawn_and_the_source_stays(
    height: int, width: int, rows: list[tuple[float, ...]], name: str
) -> None:
    image = np.full((height, width, 3), 99, np.uint8)
    values = np.array(rows, np.float64).reshape(-1, 5)
    drawn = draw_boxes(image, values[:, :4], [name] * len(rows), values[:, 4])
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 99).all()
    if not rows:
        assert (drawn == 99).all()


def test_the_line_is_where_the_box_is() -> None:
    colour = (10, 200, 30)
    drawn = draw_boxes(
        np.zeros((100, 120, 3), np.uint8), np.array([[20.0, 30, 80, 70]]), [""], colours=[colour], width=2
    )
    ys, xs = np.nonzero((drawn == colour).all(-1))
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (20, 30, 80, 70)
    assert (drawn[32:68, 22:78] == colour).all(-1).sum() == 0
    assert len(xs) == 60 * 40 - 56 * 36


def test_the_best_score_lies_on_top() -> None:
    boxes = np.array([[10.0, 10, 60, 60], [10, 10, 60, 60]])
    colours = [(255, 0, 0), (0, 255, 0)]
    for scores, expected in [((0.9, 0.2), colours[0]), ((0.2, 0.9), colours[1])]:
        drawn = draw_boxes(np.zeros((80, 80, 3), np.uint8), boxes, ["", ""], np.array(scores), colours)
        assert tuple(drawn[40, 10]) == expected


@pytest.mark.parametrize("index", range(21))
def test_labels_and_lines_stand_out_on_any_background(index: int) -> None:
    colour = class_colour(index)
    for shade in (0, 90, 128, 170, 255):
        image = np.full((120, 160, 3), shade, np.uint8)
        drawn = draw_boxes(image, np.array([[40.0, 50, 140, 110]]), ["cat"], colours=[colour])
        ys, xs = np.nonzero((drawn[:48] == colour).all(-1))
        plate = drawn[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].reshape(-1, 3)
        assert max(contrast(pixel, colour) for pixel in np.unique(plate, axis=0)) >= 4.5, "letters drown"
        # Whatever lies behind it, the line holds two colours that stand out against each other.
        line = drawn[80, 39:43]
        assert max(contrast(line[0], inner) for inner in line[1:]) >= 4.5


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    boxes = np.array([[60.0, 60, 120, 100], [62, 60, 122, 100], [64, 60, 124, 100]])
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    blank = np.full((160, 200, 3), 128, np.uint8)
    drawn = draw_boxes(blank, boxes, ["aaaa"] * 3, np.array([0.9, 0.8, 0.7]), colours)
    alone = draw_boxes(blank, boxes[:1], ["aaaa"], np.array([0.9]), colours[:1])
    plate = (alone == colours[0]).all(-1).sum()
    for colour in colours[1:]:
        assert (drawn == colour).all(-1).sum() > 0.55 * plate
    assert (drawn[40:59] == colours[0]).all(-1).sum() == (alone[40:59] == colours[0]).all(-1).sum()


def test_a_crowd_keeps_the_labels_that_have_room() -> None:
    count = 30
    boxes = np.tile([[60.0, 60, 120, 100]], (count, 1))
    colours = [(255, i, 0) for i in range(count)]
    scores = np.linspace(0.9, 0.1, count)
    drawn = draw_boxes(np.zeros((160, 200, 3), np.uint8), boxes, ["aaaa"] * count, scores, colours)
    plates = [(drawn == colour).all(-1).sum() for colour in colours]
    assert sum(plate > 200 for plate in plates) >= 4, "places are left unused"
    assert plates[0] > 200 and sum(plate == 0 for plate in plates) > 15


def test_colours_are_stable_and_differ() -> None:
    assert len({class_colour(i) for i in range(21)}) == 21
    assert class_colour(21) == class_colour(0)
    assert name_colour("cat") == name_colour("cat")


def test_letters_grow_with_the_picture() -> None:
    sizes = []
    for side in (200, 2000):
        box = np.array([[0.2, 0.5, 0.8, 0.9]]) * side
        drawn = draw_boxes(np.zeros((side, side, 3), np.uint8), box, ["cat"], colours=[(0, 255, 0)])
        rows = np.flatnonzero((drawn[: side // 2 - 3] == (0, 255, 0)).all(-1).any(-1))
        sizes.append(len(rows))
    assert 10 <= sizes[0] <= 20 and 3 * sizes[0] < sizes[1] <= 70


def test_priors_wear_the_colour_of_their_object() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[10.0, 10, 40, 40], [60, 60, 90, 90]])
    priors = np.array([[50.0, 5, 58, 13], [-20, 70, 30, 95], [70, 2, 80, 12]])
    drawn = draw_priors(image, priors, boxes, np.array([1, 0, -1])).astype(int)
    first, second = (np.array(class_colour(i)) for i in (0, 1))
    # A translucent line: the object's hue at two thirds of its strength.
    np.testing.assert_allclose(drawn[5, 54], second * 170 / 255, atol=2)
    np.testing.assert_allclose(drawn[80, 29], first * 170 / 255, atol=2)
    assert tuple(drawn[25, 10]) == class_colour(0) and tuple(drawn[75, 60]) == class_colour(1)
    assert (drawn[2:12, 70:80] == 0).all(), "an unmatched prior was drawn"


def test_no_objects_and_no_priors_draw_nothing() -> None:
    image = np.full((20, 20, 3), 7, np.uint8)
    drawn = draw_priors(image, np.zeros((3, 4)), np.zeros((0, 4)), np.array([-1, -1, -1]))
    np.testing.assert_array_equal(drawn, image)


def test_a_contact_sheet_holds_every_picture() -> None:
    shades = [10, 60, 110]
    images = [np.full((10 + 4 * i, 20, 3), shade, np.uint8) for i, shade in enumerate(shades)]
    sheet = grid(images, 2, gap=2)
    assert sheet.shape == (18 * 2 + 2, 42, 3)
    for image, shade in zip(images, shades, strict=True):
        assert (sheet[:, :, 0] == shade).sum() == image.shape[0] * 20
    assert grid(images, 5, cell=(5, 5)).shape == (5, 5 * 3 + 4 * 2, 3)


def test_shrinking_keeps_the_aspect_and_never_enlarges() -> None:
    assert shrink(np.zeros((100, 200, 3), np.uint8), (50, 50)).shape == (25, 50, 3)
    small = np.zeros((10, 20, 3), np.uint8)
    assert shrink(small, (50, 50)) is small


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".webp", ".tif"])
def test_files_are_pictures_of_their_kind(tmp_path: Path, suffix: str) -> None:
    image = np.full((8, 9, 3), (200, 100, 50), np.uint8)
    path = tmp_path / f"a{suffix}"
    write_picture(path, image)
    with Image.open(path) as read:
        assert read.size == (9, 8)
        assert abs(np.asarray(read.convert("RGB")).astype(int) - image).max() <= 4
    assert path.read_bytes() == encode_picture(image, suffix)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gif"])
def test_a_name_that_is_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"no name for a picture; use one of \.jpg"):
        write_picture(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
