"""Laws of augmentation: above all, a box still says where its object is in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data.augment import (
    AUGMENT_LIGHT,
    AUGMENT_NO_FLIP,
    AUGMENT_NONE,
    AUGMENT_SSD,
    Annotated,
    Augment,
    apply,
    choose_window,
    iou_crop,
    mosaic,
    photometric,
    rescale,
    sample_rng,
)
from boxwright.data.geometry import flip_horizontal, flip_vertical, rotate90, view
from boxwright.errors import InputError

GEOMETRY = Augment(
    zoom_out=0.5,
    scale=(0.7, 1.5),
    crop=0.7,
    flip_horizontal=0.5,
    flip_vertical=0.5,
    rotate90=0.7,
    fill=(0, 0, 0),
)
PRESETS = [AUGMENT_NONE, AUGMENT_SSD, AUGMENT_LIGHT, AUGMENT_NO_FLIP, replace(AUGMENT_SSD, rotate90=0.5)]
seeds = st.integers(0, 2**32 - 1)


@st.composite
def painted(draw: st.DrawFn) -> Annotated:
    """A black picture in which object k is a rectangle of full colour in channel k; objects may overlap."""
    height, width = draw(st.integers(16, 90)), draw(st.integers(16, 90))
    image = np.zeros((height, width, 3), np.uint8)
    boxes = []
    for channel in range(draw(st.integers(0, 3))):
        x = draw(st.integers(0, width - 4))
        y = draw(st.integers(0, height - 4))
        right, bottom = draw(st.integers(x + 4, width)), draw(st.integers(y + 4, height))
        image[y:bottom, x:right, channel] = 255
        boxes.append((x, y, right, bottom))
    count = len(boxes)
    ignore = np.array([draw(st.booleans()) for _ in boxes], bool)
    return Annotated(image, np.array(boxes, np.float64).reshape(-1, 4), np.arange(count), ignore)


@st.composite
def annotated_at_random(draw: st.DrawFn) -> Annotated:
    """Any boxes at all: outside the picture, without an area, with fractions of pixels."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    count = draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(seeds))
    corners = rng.uniform(-10, 50, (count, 2))
    boxes = np.concatenate([corners, corners + rng.choice([0, 0.3, 7, 60], (count, 2))], -1)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return Annotated(image, boxes, rng.integers(0, 9, count), rng.random(count) < 0.3)


def assert_boxes_say_where(result: Annotated) -> None:
    """Each object of at least 3 pixels is found by its colour where its box says, within a pixel."""
    for box, channel in zip(result.boxes, result.labels, strict=True):
        if min(box[2:] - box[:2]) < 3:
            continue
        ys, xs = np.nonzero(result.image[:, :, channel] > 127)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        np.testing.assert_allclose(found, box, atol=1.0)


@settings(max_examples=60, deadline=None)
@given(painted(), seeds, st.one_of(st.none(), st.tuples(st.integers(24, 120), st.integers(24, 120))))
def test_a_box_says_where_its_colour_is(picture: Annotated, seed: int, size: tuple[int, int] | None) -> None:
    target = None if size is None else lambda height, width: size
    result = apply(picture, GEOMETRY, sample_rng(seed, 0, 0), target)
    assert size is None or result.size == size
    assert_boxes_say_where(result)


@settings(max_examples=30, deadline=None)
@given(st.lists(painted(), min_size=4, max_size=4), seeds)
def test_a_mosaic_keeps_boxes_on_their_colours(pictures: list[Annotated], seed: int) -> None:
    # One picture at a time holds objects, so that a channel belongs to one object of the mosaic.
    for place, shown in enumerate(pictures):
        empty = Annotated(np.zeros((30, 40, 3), np.uint8), np.zeros((0, 4)), np.arange(0), np.zeros(0, bool))
        parts = [shown if i == place else empty for i in range(4)]
        result = mosaic(parts, (64, 96), sample_rng(seed, 0, place))
        assert result.size == (64, 96)
        assert_boxes_say_where(result)


@pytest.mark.parametrize("preset", PRESETS, ids=["none", "ssd", "light", "no-flip", "rotate"])
@settings(max_examples=30, deadline=None)
@given(picture=annotated_at_random(), seed=seeds)
def test_boxes_stay_inside_with_an_area(preset: Augment, picture: Annotated, seed: int) -> None:
    result = apply(picture, preset, sample_rng(seed, 1, 2), lambda height, width: (20, 30))
    assert result.image.dtype == np.uint8 and result.image.shape == (20, 30, 3)
    assert result.image.flags.c_contiguous and result.image.flags.writeable
    assert len(result.boxes) == len(result.labels) == len(result.ignore) <= len(picture.boxes)
    assert (result.boxes[:, :2] >= 0).all() and (result.boxes[:, 2:] <= (30, 20)).all()
    assert (result.boxes[:, 2:] > result.boxes[:, :2]).all()


@settings(max_examples=30, deadline=None)
@given(picture=annotated_at_random(), seed=seeds)
def test_the_same_seed_gives_the_same_bytes(picture: Annotated, seed: int) -> None:
    varied = replace(AUGMENT_SSD, rotate90=0.5, channel_shuffle=0.5, scale=(0.5, 2.0))
    first, second = (apply(picture, varied, sample_rng(seed, 4, 11)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.boxes.tobytes() == second.boxes.tobytes()
    assert first.labels.tolist() == second.labels.tolist()


def test_seed_epoch_and_index_each_matter() -> None:
    drawn = {sample_rng(*key).random() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(drawn) == 4


@settings(max_examples=30, deadline=None)
@given(picture=painted(), turns=st.integers(-3, 7))
def test_turning_back_restores_everything(picture: Annotated, turns: int) -> None:
    ways = [lambda a: flip_horizontal(flip_horizontal(a)), lambda a: flip_vertical(flip_vertical(a))]
    ways.append(lambda a: rotate90(rotate90(a, turns), -turns))
    ways.append(lambda a: rotate90(flip_vertical(flip_horizontal(a)), 2))
    for way in ways:
        back = way(picture)
        np.testing.assert_array_equal(back.image, picture.image)
        np.testing.assert_array_equal(back.boxes, picture.boxes)


@settings(max_examples=30, deadline=None)
@given(picture=painted(), turns=st.integers(0, 3))
def test_turned_boxes_say_where_their_colour_is(picture: Annotated, turns: int) -> None:
    for turned in (flip_horizontal(picture), flip_vertical(picture), rotate90(picture, turns)):
        assert_boxes_say_where(turned)


def test_a_quarter_turn_goes_against_the_clock() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, 2)
    picture = Annotated(image, np.array([[2.0, 0, 3, 1]]), np.array([0]), np.array([False]))
    turned = rotate90(picture)
    assert turned.size == (3, 2) and turned.image[0, 0, 0] == 2
    assert turned.boxes.tolist() == [[0, 0, 1, 1]]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Counted in Python, apart from the code under test."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    common = max(across, 0) * max(down, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


@settings(max_examples=60, deadline=None)
@given(
    picture=painted(), seed=seeds, minimum=st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9]), zoom=st.booleans()
)
def test_the_crop_keeps_its_promise(picture: Annotated, seed: int, minimum: float, zoom: bool) -> None:
    rng = sample_rng(seed, 0, 0)
    height, width = picture.size
    canvas = rescale((0, 0, width, height), 3.0, rng) if zoom else (0, 0, width, height)
    patch = iou_crop(picture, canvas, minimum, AUGMENT_SSD, rng)
    objects = picture.boxes[~picture.ignore]
    if patch is None:
        return
    left, top, right, bottom = patch
    assert canvas[0] <= left < right <= canvas[2] and canvas[1] <= top < bottom <= canvas[3]
    # Rounding to whole pixels may move each side by half of one.
    sides = (canvas[2] - canvas[0], canvas[3] - canvas[1])
    parts = [(right - left) / sides[0], (bottom - top) / sides[1]]
    slack = 1 / min(sides)
    assert min(parts) >= 0.3 * 0.5**0.5 - slack and np.prod(parts) >= (0.3 - slack) ** 2
    assert parts[0] / parts[1] <= 2 * (1 + slack / min(parts)) / (1 - slack / min(parts))
    if len(objects):
        assert max(iou(np.array(patch), box) for box in objects) >= minimum
        assert len(view(replace_ignore(picture), patch).boxes) >= 1
    else:
        assert minimum == 0.0


@settings(max_examples=60, deadline=None)
@given(annotated_at_random(), seeds)
def test_proposals_go_where_objects_go(picture: Annotated, seed: int) -> None:
    """The ignored stay wherever a part of them is seen, and so do proposals: the same boxes as both, the same end."""
    everything = np.ones(len(picture.boxes), bool)
    both = replace(picture, ignore=everything, proposals=picture.boxes)
    varied = Augment(
        zoom_out=0.5, crop=0.5, flip_horizontal=0.5, flip_vertical=0.5, rotate90=0.7, scale=(0.5, 2)
    )
    result = apply(both, varied, sample_rng(seed, 0, 0), lambda h, w: (32, 24))
    np.testing.assert_array_equal(result.proposals, result.boxes)
    parts = mosaic([both] * 4, (30, 30), sample_rng(seed, 0, 1))
    np.testing.assert_array_equal(parts.proposals, parts.boxes)


def replace_ignore(picture: Annotated) -> Annotated:
    """The picture with its ignored objects left out."""
    keep = ~picture.ignore
    return Annotated(picture.image, picture.boxes[keep], picture.labels[keep], picture.ignore[keep])


def test_every_crop_option_is_used() -> None:
    picture = Annotated(
        np.zeros((100, 100, 3), np.uint8), np.array([[0.0, 0, 100, 100]]), np.array([0]), np.array([False])
    )
    overlaps = [
        iou(np.array(choose_window(picture, Augment(crop=1.0), sample_rng(0, 0, i))), picture.boxes[0])
        for i in range(400)
    ]
    whole = sum(
        choose_window(picture, Augment(crop=1.0), sample_rng(0, 0, i)) == (0, 0, 100, 100) for i in range(400)
    )
    # Seven options, each as likely: 57 expected of 400, 7 standard deviation.
    assert 30 < whole < 90
    # Those of at least 0.9 come from that option, from the whole picture, and now and then from the others.
    assert min(overlaps) < 0.3 and 90 < sum(overlap >= 0.9 for overlap in overlaps) < 180


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_zooming_out_holds_the_whole_picture(seed: int) -> None:
    picture = Annotated(
        np.full((20, 30, 3), 200, np.uint8), np.array([[3.0, 4, 9, 10]]), np.array([5]), np.array([False])
    )
    zoomed = apply(picture, Augment(zoom_out=1.0), sample_rng(seed, 0, 0))
    height, width = zoomed.size
    assert 20 <= height <= 80 and 30 <= width <= 120
    assert (zoomed.image == 200).all(-1).sum() == 600
    assert ((zoomed.image == (124, 116, 104)).all(-1)).sum() == height * width - 600
    np.testing.assert_array_equal(zoomed.boxes[0, 2:] - zoomed.boxes[0, :2], [6, 6])


@settings(max_examples=30, deadline=None)
@given(picture=painted(), seed=seeds)
def test_a_picture_with_objects_keeps_one(picture: Annotated, seed: int) -> None:
    varied = replace(AUGMENT_SSD, scale=(0.5, 3.0))
    result = apply(picture, varied, sample_rng(seed, 0, 0), lambda height, width: (64, 64))
    assert (~result.ignore).any() == (~picture.ignore).any()


def test_half_of_the_pictures_are_flipped() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 0] = 255
    picture = Annotated(image, np.zeros((0, 4)), np.arange(0), np.zeros(0, bool))
    flipped = [
        apply(picture, Augment(flip_horizontal=0.5), sample_rng(0, 0, i)).image[0, 3, 0] for i in range(400)
    ]
    assert 160 < np.count_nonzero(flipped) < 240


def test_an_object_whose_centre_left_is_gone_but_a_crowd_stays() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [4, 0, 12, 10]])
    picture = Annotated(np.zeros((10, 20, 3), np.uint8), boxes, np.arange(3), np.array([False, True, False]))
    seen = view(picture, (7, 0, 17, 10))
    assert seen.labels.tolist() == [1, 2] and seen.ignore.tolist() == [True, False]
    assert seen.boxes.tolist() == [[0, 0, 3, 10], [0, 0, 5, 10]]


def test_a_window_beside_the_picture_is_refused() -> None:
    picture = Annotated(np.zeros((10, 20, 3), np.uint8), np.zeros((0, 4)), np.arange(0), np.zeros(0, bool))
    with pytest.raises(ValueError, match="beside the picture"):
        view(picture, (20, 0, 30, 10))


@settings(max_examples=30, deadline=None)
@given(picture=painted(), seed=seeds)
def test_colours_never_move_boxes_and_commute_with_a_crop(picture: Annotated, seed: int) -> None:
    vivid = Augment(distort=0.8, channel_shuffle=0.5)
    noise = np.random.default_rng(seed).integers(0, 256, picture.image.shape, np.uint8)
    result = apply(replace(picture, image=noise), vivid, sample_rng(seed, 0, 0))
    np.testing.assert_array_equal(result.boxes, picture.boxes)
    whole = photometric(noise, vivid, sample_rng(seed, 0, 0))
    part = photometric(noise[3:12, 5:14], vivid, sample_rng(seed, 0, 0))
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(part, whole[3:12, 5:14])


def test_distortions_in_numbers() -> None:
    one = Augment(distort=1.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    image = np.array([[[255, 0, 0], [200, 150, 100], [90, 90, 90]]], np.uint8)

    def varied(settings: Augment) -> np.ndarray:
        return np.stack([photometric(image, settings, sample_rng(0, 0, i)) for i in range(200)]).astype(int)

    assert abs(varied(one) - image).max() <= 2  # 8-bit HSV and back
    shift = varied(replace(one, brightness=30.0))[:, 0, 2, 0] - 90
    assert shift.min() in (-30, -29, -28) and shift.max() in (28, 29, 30)
    factor = varied(replace(one, contrast=0.5))[:, 0, 2, 0] / 90
    assert 0.49 < factor.min() < 0.55 and 1.45 < factor.max() < 1.51
    # Saturation keeps the brightest channel and moves the others; hue keeps grey.
    colourful = varied(replace(one, saturation=1.0))
    assert abs(colourful[:, 0, 1].max(-1) - 200).max() <= 1
    assert colourful[:, 0, 1].min(-1).max() > 190 and colourful[:, 0, 1].min(-1).min() < 10
    assert abs(varied(replace(one, hue=180.0, saturation=1.0))[:, 0, 2] - 90).max() <= 1
    # Within a sixth of the wheel red keeps its brightest channel and reaches yellow; a third makes it green.
    sixth = varied(replace(one, hue=60.0))[:, 0, 0]
    assert sixth[:, 0].min() >= 250 and sixth[:, 1].max() > 220 and sixth[:, 2].max() > 220
    turned = varied(replace(one, hue=120.0))[:, 0, 0]
    assert turned[:, 1].max() > 240 and turned[:, 2].max() > 240


def test_shuffled_channels_are_the_same_values() -> None:
    image = np.array([[[1, 2, 3]]], np.uint8)
    seen = {
        tuple(photometric(image, Augment(channel_shuffle=1.0), sample_rng(0, 0, i))[0, 0]) for i in range(60)
    }
    assert len(seen) == 6 and {tuple(sorted(s)) for s in seen} == {(1, 2, 3)}


def test_no_setting_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    picture = Annotated(image, np.array([[1.0, 2, 3, 4]]), np.array([1]), np.array([False]))
    same = apply(picture, AUGMENT_NONE, sample_rng(0, 0, 0))
    np.testing.assert_array_equal(same.image, image)
    np.testing.assert_array_equal(same.boxes, picture.boxes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 1.5},
        {"flip_vertical": -0.1},
        {"scale": (2.0, 1.0)},
        {"crop_scale": (0.3, 1.2)},
        {"contrast": 2.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="augmentation: "):
        Augment(**wrong)  # type: ignore[arg-type]


def test_a_mosaic_is_of_four() -> None:
    picture = Annotated(np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4)), np.arange(0), np.zeros(0, bool))
    with pytest.raises(ValueError, match="4 pictures"):
        mosaic([picture] * 3, (8, 8), sample_rng(0, 0, 0))
