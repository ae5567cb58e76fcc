from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import boxwright as bw
from boxwright.data.findings import CHECKS
from boxwright.data.open import detect, merged, read_split, splits, unified
from boxwright.data.records import Finding
from boxwright.errors import InputError

from .patients import HEALTHY, change, coco, table, voc

# The file whose text is to be spoilt.
TEXTS = {
    "coco": "annotations/instances_train.json",
    "voc": "Annotations/a.xml",
    "yolo": "data.yaml",
    "csv": "annotations.csv",
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_all_formats_tell_the_same(kind: str, tmp_path: Path) -> None:
    source = HEALTHY[kind](tmp_path)
    found = detect(source)
    assert (found.format.name, found.splits, found.passed_over) == (kind, ("train", "val"), ())
    assert bw.splits(str(source)) == ("train", "val")
    train, val, whole = (bw.open_dataset(source, split) for split in ("train", "val", None))
    assert (len(train), len(val), len(whole)) == (4, 3, 7)
    assert [s.path.name for s in whole] == [f"{name}.png" for name in "abcdefg"]
    assert (train.split, val.split, whole.split) == ("train", "val", "") and whole.format == kind
    for sample in whole:
        assert sample.boxes.tolist() == [[4, 6, 30, 26], [20, 10, 60, 40]]
        assert [whole.classes[label] for label in sample.labels] == ["cat", "dog"]
        assert sample.path.is_absolute() and sample.path.is_relative_to(whole.root)
    assert whole.findings == () and np.array_equal(whole.counts(), [7, 7])


def test_bad_use_says_what_there_is(tmp_path: Path) -> None:
    source = voc(tmp_path / "set")
    with pytest.raises(InputError, match=r"no split 'valid'; splits there: train, val"):
        bw.open_dataset(source, "valid")
    with pytest.raises(InputError, match=r"nowhere: does not exist"):
        bw.open_dataset(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no data set that boxwright knows; it looks for data\.yaml"):
        bw.splits(tmp_path / "empty")
    (tmp_path / "picture.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no data set"):
        bw.open_dataset(tmp_path / "picture.jpg")
    (source / "ImageSets/Main/val.txt").write_text("")
    with pytest.raises(InputError, match="no images in split 'val'"):
        bw.open_dataset(source, "val")


def test_policies(tmp_path: Path) -> None:
    source = coco(tmp_path)
    (source / "train/a.png").unlink()
    change(source, lambda c: c["annotations"][2].update(category_id=99))
    with pytest.raises(InputError) as caught:
        bw.open_dataset(source, "train")
    assert str(source / "annotations/instances_train.json") in str(caught.value)
    assert "image 1" in str(caught.value) and "\n" not in str(caught.value)
    dataset = bw.open_dataset(source, "train", policy="skip")
    assert [f.check for f in dataset.findings] == ["image-missing", "class-unknown"]
    assert [len(s.labels) for s in dataset] == [1, 2, 2]
    change(source, lambda c: c["images"][0].update(file_name="/etc/passwd"))
    with pytest.raises(InputError, match="path-escape"):
        bw.open_dataset(source, "train", policy="skip")


def test_an_image_in_two_splits_comes_once_in_the_whole(tmp_path: Path) -> None:
    source = table(tmp_path)
    file = source / "annotations.csv"
    file.write_text(file.read_text() + "images/a.png,1,1,5,5,cat,val,64,48\n")
    assert len(bw.open_dataset(source, "val")) == 4
    whole = bw.open_dataset(source)
    assert len(whole) == 7 and len(whole[0].labels) == 2


def test_splits_are_merged_by_class_id(tmp_path: Path) -> None:
    source = coco(tmp_path)
    change(source, lambda c: c["categories"].reverse(), "val")
    change(source, lambda c: c["categories"].append({"id": 90, "name": "owl"}), "val")
    train, val = (bw.open_dataset(source, split) for split in ("train", "val"))
    assert val.classes == ("dog", "cat", "owl") and val[0].labels.tolist() == [1, 0]
    whole = merged([train, val])
    assert (whole.classes, whole.ids) == (("cat", "dog", "owl"), (7, 3, 90))
    assert [s.labels.tolist() for s in whole] == [[0, 1]] * 7
    assert [part.split for part in unified([train, val])] == ["train", "val"]
    change(source, lambda c: c["categories"][0].update(name="fox"), "val")
    with pytest.raises(InputError, match="class 3 is 'dog' in one split and 'fox' in another"):
        bw.open_dataset(source)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400)
values = st.recursive(
    scalars | st.sampled_from(["a.png", "../x", 7, 1]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "file_name", "bbox", "name", "image_id", "category_id", "x"]), inner
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A healthy data set of each format, to be copied: drawing pictures takes longer than reading them."""
    return {kind: make(tmp_path_factory.mktemp(kind) / "set") for kind, make in HEALTHY.items()}


def quiet(source: Path) -> None:
    """Opening raises InputError or nothing; looking through it raises nothing at all."""
    found: list[Finding] = []
    for split in splits(source) or ("",):
        read_split(source, split, found.append)
    assert {finding.check for finding in found} <= set(CHECKS)
    for policy in ("error", "skip"):
        try:
            dataset = bw.open_dataset(source, policy=policy)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        for sample in dataset:
            assert np.isfinite(sample.boxes).all() and np.isfinite(sample.areas).all()
            assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_json_with_anything_in_it_raises_nothing_but_input_errors(
    templates: dict[str, Path], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = shutil.copytree(templates["coco"], Path(folder) / "set")
        file = source / TEXTS["coco"]
        content: Any = json.loads(file.read_text())
        for _ in range(data.draw(st.integers(1, 3))):
            spoil(content, data.draw)
        file.write_text(json.dumps(content))
        quiet(source)


def spoil(content: Any, draw: Callable[[Any], Any]) -> None:
    """Put something else in a random place of a JSON value."""
    while True:
        places = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not places:
            return
        place = draw(st.sampled_from(places))
        deeper = isinstance(content[place], (dict, list)) and content[place] and draw(st.integers(0, 3))
        if not deeper:
            content[place] = draw(values)
            return
        content = content[place]


@settings(max_examples=40, deadline=None)
@given(content=values)
def test_any_json_raises_nothing_but_input_errors(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.json").write_text(json.dumps(content))
        quiet(Path(folder) / "a.json")


@pytest.mark.parametrize("kind", ["voc", "yolo", "csv"])
@settings(max_examples=40, deadline=None)
@given(
    edits=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 8),
            st.binary(max_size=4) | st.sampled_from([b"-", b"9e9", b"<a>", b"!!", b"&"]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_spoilt_files_raise_nothing_but_input_errors(
    kind: str, templates: dict[str, Path], edits: list[tuple[float, int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = shutil.copytree(templates[kind], Path(folder) / "set")
        for file in (
            source / TEXTS[kind],
            *source.glob("labels/train/a.txt"),
            *source.glob("ImageSets/Main/train.txt"),
        ):
            content = file.read_bytes()
            for place, length, new in edits:
                start = int(place * len(content))
                content = content[:start] + new + content[start + length :]
            file.write_bytes(content)
        try:
            splits(source)
        except InputError:
            return
        quiet(source)
