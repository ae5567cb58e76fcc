from __future__ import annotations

import io
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from boxwright.data.doctor.duplicates import alike, close_pairs, distance, hashes, look_alikes
from boxwright.data.doctor.probe import Probe, probe, probe_all

from ..patients import picture

BITS = st.integers(0, 2**64 - 1)


@st.composite
def related_hashes(draw: st.DrawFn) -> np.ndarray:
    """Some hashes, many of them a few bits from another."""
    values = draw(st.lists(BITS, min_size=1, max_size=6))
    for base, flips in draw(
        st.lists(st.tuples(st.sampled_from(values), st.sets(st.integers(0, 63), max_size=11)))
    ):
        values.append(base ^ sum(1 << bit for bit in flips))
    return np.array(values, np.uint64)


@given(related_hashes(), st.integers(0, 12))
def test_the_search_finds_exactly_the_close_pairs(values: np.ndarray, limit: int) -> None:
    close = {
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(values.tolist()), 2)
        if (a ^ b).bit_count() <= limit
    }
    found = close_pairs(values, limit).tolist()
    assert len(found) == len(set(map(tuple, found)))
    assert set(map(tuple, found)) == close


@given(st.lists(st.tuples(BITS, BITS), min_size=1))
def test_distance_counts_the_bits_that_differ(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, np.uint64).T
    assert distance(first, second).tolist() == [(a ^ b).bit_count() for a, b in pairs]


def thumbnail(image: Image.Image, tmp_path: Path, **options: int) -> np.ndarray:
    path = tmp_path / "image.jpg"
    image.save(path, **options)
    found = probe(path).thumbnail
    assert found is not None
    return found


def test_copies_look_alike_and_strangers_do_not(tmp_path: Path) -> None:
    originals = [picture(seed, (240, 320)) for seed in range(40)]
    thumbnails, expected, cropped = [], set(), set()
    for image in originals:
        first = len(thumbnails)
        copies = [
            image.resize((160, 120)),
            ImageEnhance.Brightness(image).enhance(1.15),
            ImageEnhance.Contrast(image).enhance(0.8),
            image.convert("L").convert("RGB"),
            image.crop((3, 2, 318, 238)),
        ]
        thumbnails += [thumbnail(copy, tmp_path, quality=60) for copy in (image, *copies)]
        expected |= {(first, first + number) for number in range(1, 5)}
        cropped.add((first, first + 5))
    found = set(look_alikes(np.stack(thumbnails), [str(i % 6) for i in range(len(thumbnails))]))
    assert expected <= found
    # A crop moves every edge: a few are missed.
    assert len(cropped & found) >= 36
    assert all(one // 6 == two // 6 for one, two in found), "strangers"


def test_pictures_without_contrast_are_compared_by_their_grey() -> None:
    greys = np.array([0, 3, 120, 255], np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    pairs = np.array(list(combinations(range(4), 2)))
    assert pairs[alike(greys, pairs)].tolist() == [[0, 1]]


def test_a_still_film_is_reported_frame_by_frame_and_quickly() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (3000, 32, 32))
    frames = np.clip(np.asarray(picture(0, (32, 32)).convert("L")) + noise, 0, 255).astype(np.uint8)
    start = time.perf_counter()
    found = list(look_alikes(frames, ["train"] * 1500 + ["val"] * 1500))
    assert time.perf_counter() - start < 10
    inside = {late for early, late in found if (early < 1500) == (late < 1500)}
    leaking = {late for early, late in found if early < 1500 <= late}
    assert inside == set(range(3000)) - {0, 1500}
    assert leaking == set(range(1500, 3000))


def test_no_pictures() -> None:
    assert list(look_alikes(np.zeros((0, 32, 32), np.uint8), [])) == []
    assert hashes(np.zeros((0, 32, 32), np.uint8)).shape == (0,)


def test_a_probe_tells_faults_apart(tmp_path: Path) -> None:
    file = io.BytesIO()
    picture(0).save(file, "PNG")
    contents = {"fine": file.getvalue(), "cut": file.getvalue()[:-400], "empty": b"", "text": b"no picture"}
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    faults = {
        "fine": "",
        "cut": "image-truncated",
        "empty": "image-empty",
        "text": "image-unreadable",
        "none": "image-missing",
        "folder": "image-unreadable",
    }
    for name, fault in faults.items():
        found = probe(tmp_path / f"{name}.png")
        assert (found.fault, bool(found.message)) == (fault, bool(fault))
        assert (found.thumbnail is not None) == (not fault) == bool(found.digest)
    assert probe(tmp_path / "cut.png", decode=False) == Probe(
        tmp_path / "cut.png", size=(48, 64), orientation=1, format="PNG"
    )


def test_an_interrupted_look_does_not_go_on(tmp_path: Path) -> None:
    picture(0, (2000, 2000)).save(tmp_path / "0.png")
    paths = [tmp_path / "0.png"]
    for number in range(1, 60):
        (tmp_path / f"{number}.png").hardlink_to(tmp_path / "0.png")
        paths.append(tmp_path / f"{number}.png")

    def interrupted(items, what, total):
        next(iter(items))
        raise KeyboardInterrupt
        yield

    start = time.perf_counter()
    probe(paths[0])
    one = time.perf_counter() - start
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        probe_all(paths, jobs=1, watch=interrupted)
    assert time.perf_counter() - start < 20 * one + 1, "the queue was worked off"
