from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from PIL import Image

from boxwright.errors import InputError
from boxwright.segment.masks import (
    IGNORED,
    Classes,
    overlay,
    parse_classes,
    value_colour,
    write_mask,
    write_probability,
)
from boxwright.segment.reading import read_mask


@given(mask=arrays(np.uint8, (5, 7)))
def test_a_written_mask_comes_back_and_shows_its_colours(
    mask: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("m") / "a.png"
    write_mask(path, mask)
    np.testing.assert_array_equal(read_mask(path), mask)
    with Image.open(path) as image:
        assert image.mode == "P"
        seen = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(seen, np.array([value_colour(v) for v in range(256)], np.uint8)[mask])


def test_a_probability_keeps_sixteen_bits(tmp_path: Path) -> None:
    wanted = np.linspace(0, 1, 60, dtype=np.float32).reshape(6, 10)
    write_probability(tmp_path / "p.png", wanted)
    with Image.open(tmp_path / "p.png") as image:
        found = np.asarray(image).astype(np.float64) / 65535
    assert np.abs(found - wanted).max() < 1e-5
    assert found[0, 0] == 0 and found[-1, -1] == 1


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "I;16", "I"])
def test_masks_of_many_kinds_are_read_alike(mode: str, tmp_path: Path) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    image = Image.fromarray(values)
    if mode == "1":
        image = Image.fromarray(values > 0)
    elif mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16))
    elif mode == "P":
        image = Image.fromarray(values, "P")
        image.putpalette([10, 20, 30, 200, 100, 0])
    elif mode != "L":
        image = image.convert(mode)
    path = tmp_path / ("m.tif" if mode == "I" else "m.png")
    image.save(path)
    np.testing.assert_array_equal(read_mask(path), values)


def test_colours_and_large_values_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "c.png")
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / "d.png")
    for name in ("c.png", "d.png"):
        with pytest.raises(InputError, match=rf"{name}: is a mask of kind .*one grey value"):
            read_mask(tmp_path / name)


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8)).save(tmp_path / "m.png")
    whole = (tmp_path / "m.png").read_bytes()
    (tmp_path / "m.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"m\.png: the file is truncated"):
        read_mask(tmp_path / "m.png")
    (tmp_path / "m.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"m\.png: not an image"):
        read_mask(tmp_path / "m.png")
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "none.png")


def test_values_become_labels_and_unknown_ones_are_named() -> None:
    classes = Classes(("ground", "tree", "road"), (0, 7, 3))
    mask = np.array([[0, 7, 3, 255]], np.uint8)
    assert classes.labels(mask, Path("m.png")).tolist() == [[0, 1, 2, IGNORED]]
    with pytest.raises(InputError, match=r"m\.png: has the value 5, 9, which is of no class; .* 0, 7, 3"):
        classes.labels(np.array([[0, 9, 5]], np.uint8), Path("m.png"))
    both = Classes(("membrane", "inside"), (0, 255))
    assert both.labels(np.array([[0, 255]], np.uint8), Path("m.png")).tolist() == [[0, 1]]


def test_classes_are_read_as_they_are_said() -> None:
    assert parse_classes("3 = a b,0=c\n") == (("a b", "c"), (3, 0))
    for bad in ("0=a,b", "x=a", "256=a,0=b"):
        with pytest.raises(InputError, match="VALUE=NAME"):
            parse_classes(bad)
    with pytest.raises(InputError, match="one value each"):
        Classes(("a", "b"), (1, 1))
    with pytest.raises(InputError, match="must be 2 to"):
        Classes(("a",), (1,))


def test_only_classes_beside_the_first_are_laid_over() -> None:
    picture = np.full((1, 2, 3), 100, np.uint8)
    seen = overlay(picture, np.array([[0, 1]], np.uint8), opacity=0.5)
    assert seen[0, 0].tolist() == [100, 100, 100]
    assert seen[0, 1].tolist() == [round((100 + part) / 2) for part in value_colour(1)]
