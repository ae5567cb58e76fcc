"""Data sets that hypothesis makes up, with real image files, and what each format can hold of them."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from PIL import Image

from boxwright.data.formats.conventions import are_corners, are_fractions
from boxwright.data.records import Dataset, Sample

SIZES = ((40, 60), (64, 33), (17, 90))
FORMATS = ("coco", "voc", "yolo", "csv")

_LETTERS = "aBz09-_.éüßñЖ猫データ é\u0301'%&+()"
stems = st.text(_LETTERS, min_size=1, max_size=12).filter(lambda s: s.strip() and not s.startswith("."))
names = st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=10
).filter(lambda name: name == name.strip())
# Tools write thousandths of a pixel; arithmetic gives any float.
coordinates = st.one_of(st.integers(0, 90), st.integers(0, 90_000).map(lambda n: n / 1000), st.floats(0, 90))
words = st.text('abc Ж<&"', min_size=1, max_size=6).filter(lambda word: word == word.strip())
keys = st.sampled_from(["pose", "truncated", "note", "x-y"])
values = st.one_of(
    words, st.integers(-5, 10**6), st.sampled_from([0.5, -1.25]), st.lists(words, min_size=2, max_size=3)
)


@cache
def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("L", size[::-1], 90).save(file, "PNG")
    return file.getvalue()


def folded(stem: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())


@st.composite
def boxes(draw: Any, size: tuple[int, int]) -> list[float]:
    """Mostly inside, sometimes reaching out (by less than the image), never without area or off the image."""
    height, width = size
    left = draw(coordinates.map(lambda v: v % (width - 1)))
    top = draw(coordinates.map(lambda v: v % (height - 1)))
    w = draw(coordinates.map(lambda v: v % width).filter(lambda v: v > 0.01))
    h = draw(coordinates.map(lambda v: v % height).filter(lambda v: v > 0.01))
    return [left - draw(st.sampled_from([0, 0, 0, 0.5 * w])), top, left + w, top + h]


@st.composite
def objects(draw: Any, size: tuple[int, int], classes: int) -> dict[str, Any]:
    return {
        "box": draw(boxes(size)),
        "label": draw(st.integers(0, classes - 1)),
        "crowd": draw(st.booleans()),
        "difficult": draw(st.booleans()),
        "area": draw(st.sampled_from([1, 0.5])),
        "mask": draw(st.none() | st.just([[1, 2, 5.5, 2, 5.5, 9]])),
        "attributes": draw(st.dictionaries(keys, values, max_size=2)),
    }


@st.composite
def plans(draw: Any) -> dict[str, Any]:
    """What is to be in a data set, in splits or in none, as COCO can hold it; each split has an image."""
    splits = draw(st.sampled_from([("",), ("train",), ("train", "val", "test"), ("train", "hold-out")]))
    classes = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    ids = st.lists(st.integers(0, 2**40), min_size=len(classes), max_size=len(classes), unique=True)
    pictures = []
    for number, stem in enumerate(draw(st.lists(stems, min_size=len(splits), max_size=5, unique_by=folded))):
        size = draw(st.sampled_from(SIZES))
        held = draw(st.lists(objects(size, len(classes)), max_size=3))
        extra = draw(st.dictionaries(st.sampled_from(["license", "weather"]), values, max_size=2))
        identity = number + 100 * draw(st.integers(0, 9))
        pictures.append({"stem": stem, "size": size, "objects": held, "extra": extra, "id": identity})
    held = [(o["box"], picture["size"]) for picture in pictures for o in picture["objects"]]
    drawn, sizes = np.array([box for box, _ in held], np.float64).reshape(-1, 4), [size for _, size in held]
    sides = np.concatenate([drawn[:, :2], drawn[:, 2:] - drawn[:, :2]], axis=1)
    # Such boxes are taken for mistakes, and are not kept in silence.
    for each in (slice(None), *(slice(i, i + 1) for i in range(len(held)))):
        assume(not are_fractions(drawn[each], sizes[each]))
        # Three times, for fewer boxes prove nothing: so no split of these pictures may be taken for corners either.
        assume(
            not are_corners(np.repeat(sides[each], 3, axis=0), [one for one in sizes[each] for _ in range(3)])
        )
        assume(not are_fractions(sides[each], sizes[each]))
    return {
        "splits": splits,
        "classes": classes,
        "ids": draw(ids),
        "pictures": pictures,
        "first": draw(st.integers(0, 99)),
    }


def build(plan: dict[str, Any], root: Path) -> list[Dataset]:
    """The planned data set, with image files in `root`."""
    root.mkdir()
    ids = count(plan["first"])
    images = [_sample(picture, root, ids) for picture in plan["pictures"]]
    splits = plan["splits"]
    return [
        Dataset(
            tuple(images[i :: len(splits)]), tuple(plan["classes"]), tuple(plan["ids"]), root, split, "coco"
        )
        for i, split in enumerate(splits)
    ]


def _sample(picture: dict[str, Any], root: Path, ids: Iterator[int]) -> Sample:
    path = root / f"{picture['stem']}.png"
    path.write_bytes(png(picture["size"]))
    objects = picture["objects"]
    drawn = np.array([o["box"] for o in objects], np.float64).reshape(-1, 4)
    own = (drawn[:, 2] - drawn[:, 0]) * (drawn[:, 3] - drawn[:, 1])
    return Sample(
        path=path,
        size=picture["size"],
        boxes=drawn,
        labels=np.array([o["label"] for o in objects], np.int64),
        crowd=np.array([o["crowd"] for o in objects], bool),
        difficult=np.array([o["difficult"] for o in objects], bool),
        areas=own * np.array([o["area"] for o in objects], np.float64),
        masks=tuple(o["mask"] for o in objects) if any(o["mask"] for o in objects) else (),
        object_ids=tuple(next(ids) for _ in objects),
        attributes=tuple(o["attributes"] for o in objects) if any(o["attributes"] for o in objects) else (),
        image_id=picture["id"],
        extra=picture["extra"],
    )


@dataclass(frozen=True)
class Fact:
    """One object, in words that are the same for all formats."""

    name: str
    box: tuple[float, ...]
    crowd: bool
    difficult: bool
    area: float | None
    mask: Any
    object_id: Any
    attributes: Any


@dataclass(frozen=True)
class Picture:
    """One image with its objects."""

    file: str
    image_id: Any
    extra: Any
    objects: tuple[Fact, ...]


Facts = tuple[dict[str, tuple[Picture, ...]], tuple[tuple[str, int], ...]]
"""Pictures by split, and classes with ids."""


def facts(parts: Sequence[Dataset]) -> Facts:
    """What a data set says."""
    pictures = {}
    for part in parts:
        pictures[part.split] = tuple(
            # A depth of 3 is what VOC says of every image.
            Picture(
                s.path.name,
                s.image_id,
                {key: value for key, value in s.extra.items() if key != "depth"},
                tuple(_objects(s, part.classes)),
            )
            for s in part
        )
    return pictures, tuple(zip(parts[0].classes, parts[0].ids, strict=True))


def _objects(sample: Sample, classes: Sequence[str]) -> list[Fact]:
    total = len(sample.labels)
    masks, attributes = sample.masks or (None,) * total, sample.attributes or ({},) * total
    ids = sample.object_ids or (None,) * total
    return [
        Fact(
            classes[sample.labels[i]],
            tuple(sample.boxes[i].tolist()),
            bool(sample.crowd[i]),
            bool(sample.difficult[i]),
            float(sample.areas[i]),
            masks[i],
            ids[i],
            dict(attributes[i]),
        )
        for i in range(total)
    ]


def held(said: Facts, by: str) -> Facts:
    """What is left of it when a format has held it; None where nothing is known any more."""
    pictures, classes = said
    if by == "coco":
        return said
    kept = {}
    for split, images in pictures.items():
        name = "train" if by == "yolo" and not split else split
        kept[name] = tuple(_held_picture(picture, by) for picture in images)
    if by == "voc":
        classes = tuple((listed, position) for position, (listed, _) in enumerate(classes))
    return kept, classes


def _held_picture(picture: Picture, by: str) -> Picture:
    objects = tuple(
        replace(
            fact,
            crowd=by == "csv" and fact.crowd,
            difficult=by != "yolo" and (fact.difficult or (by == "voc" and fact.crowd)),
            area=None,
            mask=None,
            object_id=None,
            attributes=fact.attributes if by == "voc" else {},
        )
        for fact in picture.objects
    )
    return Picture(picture.file, None, picture.extra if by == "voc" else None, objects)


def assert_same(found: Facts, expected: Facts) -> None:
    """Equal in all that is still known; boxes to a hundred-millionth of a pixel."""
    assert found[1] == expected[1]
    assert set(found[0]) == set(expected[0])
    for split, pictures in expected[0].items():
        assert {p.file for p in found[0][split]} == {p.file for p in pictures}
        by_file = {p.file: p for p in found[0][split]}
        for picture in pictures:
            _same_picture(by_file[picture.file], picture)


def _same_picture(found: Picture, expected: Picture) -> None:
    assert expected.image_id is None or found.image_id == expected.image_id
    assert expected.extra is None or found.extra == expected.extra
    assert len(found.objects) == len(expected.objects)
    for one, other in zip(found.objects, expected.objects, strict=True):
        assert np.allclose(one.box, other.box, rtol=0, atol=1e-8)
        width, height = one.box[2] - one.box[0], one.box[3] - one.box[1]
        area = width * height if other.area is None else other.area
        assert np.isclose(one.area, area, rtol=1e-6)
        rest = replace(other, box=one.box, area=one.area)
        if other.object_id is None:
            rest = replace(rest, object_id=one.object_id)
        assert one == rest
