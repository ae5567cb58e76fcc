from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from boxwright.data.augment import AUGMENT_SSD, Augment, sample_rng
from boxwright.data.prepare import Broken, Job, Prepared, Preparer, decoded_bytes
from boxwright.data.records import Sample
from boxwright.preprocess import Preprocess

PREPROCESS = Preprocess((32, 64))


def made(folder: Path, boxes: list[list[float]]) -> Sample:
    path = folder / "picture.png"
    pixels = np.zeros((50, 200, 3), np.uint8)
    for left, top, right, bottom in np.clip(boxes, 0, 200).astype(int):
        pixels[top:bottom, left:right] = 255
    Image.fromarray(pixels).save(path)
    count = len(boxes)
    no = np.zeros(count, np.bool_)
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Sample(path, (50, 200), array, np.arange(count), no, no, np.ones(count))


def test_boxes_go_with_the_picture_to_the_networks_input(tmp_path: Path) -> None:
    sample = made(tmp_path, [[100, 25, 200, 50]])
    got = Preparer(PREPROCESS, Augment())(Job(3, (sample,)))
    assert isinstance(got, Prepared)
    assert (got.size, got.index, got.image.shape) == ((50, 200), 3, (3, 32, 64))
    np.testing.assert_allclose(got.boxes, [[32, 16, 64, 32]])
    white = got.image[0] > got.image[0].mean()
    assert white[17:, 33:].all()
    assert not white[:15].any()


def test_boxes_are_cut_at_the_edge_and_dropped_without_area(tmp_path: Path) -> None:
    sample = made(tmp_path, [[-20, -20, 100, 25], [300, 0, 400, 50], [0, 0, 200, 50]])
    got = Preparer(PREPROCESS, Augment())(Job(0, (sample,)))
    assert isinstance(got, Prepared)
    assert got.labels.tolist() == [0, 2]
    np.testing.assert_allclose(got.boxes, [[0, 0, 32, 16], [0, 0, 64, 32]])


def test_the_generator_alone_decides(tmp_path: Path) -> None:
    sample = made(tmp_path, [[50, 10, 150, 40]])

    def once(epoch: int, cache: bool = False) -> Prepared:
        got = Preparer(PREPROCESS, AUGMENT_SSD, cache=cache)(Job(0, (sample,), sample_rng(0, epoch, 0)))
        assert isinstance(got, Prepared)
        return got

    np.testing.assert_array_equal(once(1).image, once(1).image)
    np.testing.assert_array_equal(once(1).image, once(1, cache=True).image)
    assert not np.array_equal(once(1).image, once(2).image)


def test_a_cached_image_is_not_read_again_and_is_left_as_it_was(tmp_path: Path) -> None:
    sample = made(tmp_path, [[50, 10, 150, 40]])
    preparer = Preparer(PREPROCESS, replace(AUGMENT_SSD, distort=1.0), cache=True)
    plain = preparer(Job(0, (sample,)))
    preparer(Job(0, (sample,), sample_rng(0, 0, 0)))
    sample.path.unlink()
    again = preparer(Job(0, (sample,)))
    assert isinstance(plain, Prepared)
    assert isinstance(again, Prepared)
    np.testing.assert_array_equal(plain.image, again.image)
    assert isinstance(Preparer(PREPROCESS, Augment())(Job(0, (sample,))), Broken)


def test_a_mosaic_shows_four(tmp_path: Path) -> None:
    samples = []
    for level in (0, 80, 160, 240):
        (tmp_path / str(level)).mkdir()
        samples.append(made(tmp_path / str(level), []))
        Image.new("RGB", (200, 50), (level,) * 3).save(samples[-1].path)
    got = Preparer(PREPROCESS, Augment())(Job(2, tuple(samples), sample_rng(0, 0, 2)))
    assert isinstance(got, Prepared)
    assert got.index == 2
    corners = got.image[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners * 0.229 + 0.485, np.array([0, 80, 160, 240]) / 255, atol=1e-5)


def test_an_unreadable_image_comes_back_by_name(tmp_path: Path) -> None:
    sample = made(tmp_path, [])
    sample.path.write_bytes(sample.path.read_bytes()[:60])
    got = Preparer(PREPROCESS, Augment())(Job(0, (sample,)))
    assert isinstance(got, Broken)
    assert got.path == str(sample.path)
    assert got.reason


def test_memory_is_known_only_where_all_sizes_are(tmp_path: Path) -> None:
    sample = made(tmp_path, [])
    assert decoded_bytes([sample, sample]) == 2 * 3 * 50 * 200
    assert decoded_bytes([sample, replace(sample, size=None)]) == float("inf")
