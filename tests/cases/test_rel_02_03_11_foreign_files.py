"""Files that once ended in a traceback: numbers of hundreds of digits, damaged checkpoints, names no file can have."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from boxwright.cli import main
from boxwright.errors import InputError
from boxwright.training.folder import is_ours
from boxwright.weights.read import read_state_dict


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["boxwright", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    code = stopped.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 20, 3), 90, np.uint8)).save(path)


@pytest.mark.parametrize("digits", [30, 400, 5000])
@pytest.mark.parametrize("key", ["width", "id", "category_id", "bbox"])
def test_numbers_of_any_length_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, digits: int
) -> None:
    values: dict[str, str] = {"width": "20", "id": "1", "category_id": "7", "bbox": "1"}
    values[key] = "9" * digits
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.json").write_text(
        f'{{"images":[{{"id":{values["id"]},"file_name":"a.png","width":{values["width"]},"height":9}}],'
        f'"annotations":[{{"id":1,"image_id":{values["id"]},"category_id":{values["category_id"]},'
        f'"bbox":[1,1,{values["bbox"]},5]}}],"categories":[{{"id":7,"name":"cat"}}]}}'
    )
    photo(tmp_path / "data/a.png")
    assert run(monkeypatch, "check", tmp_path / "data") in (0, 1, 2)
    assert run(monkeypatch, "anchors", tmp_path / "data") in (0, 2)
    assert run(monkeypatch, "convert", tmp_path / "data", tmp_path / "out", "--to", "voc") in (0, 2)


class Reduced:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("must-not-be-made",)


def circle() -> dict[str, Any]:
    whole: dict[str, Any] = {"a": torch.zeros(2)}
    whole["state_dict"] = whole
    return whole


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(400):
        nested = [nested]
    return nested


@pytest.mark.parametrize("make", [Reduced, circle, deep])
def test_checkpoints_of_any_kind_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(make(), "new.pth")
    torch.save(make(), "old.pth", _use_new_zipfile_serialization=False)
    Path("bare.pth").write_bytes(pickle.dumps(make()))
    for name in ("new.pth", "old.pth", "bare.pth"):
        with pytest.raises(InputError, match=f"{name}: (not a file of plain|holds more than named) tensors"):
            read_state_dict(Path(name))
    assert not Path("must-not-be-made").exists()


def test_a_damaged_checkpoint_is_one_line_or_does_no_harm(tmp_path: Path) -> None:
    file, rng = tmp_path / "a.pth", np.random.default_rng(0)
    for old in (True, False):
        torch.save({"a": torch.zeros(3)}, file, _use_new_zipfile_serialization=not old)
        content = file.read_bytes()
        for _ in range(150):
            damaged = bytearray(content)
            damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
            file.write_bytes(damaged[: rng.choice([len(content), rng.integers(len(content))])])
            try:
                read_state_dict(file)
            except InputError as error:
                assert str(error).startswith(str(file))


def test_names_that_no_file_can_have_are_missing_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "images/train/a.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("0 .5 .5 .2 .2")
    (tmp_path / "data.yaml").write_text(f"train: images/train\nval: {'y' * 5000}\nnames: [cat]")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert run(monkeypatch, "check", tmp_path) in (0, 1)
    for words in (
        ["detect", "x" * 300],
        ["check", "x" * 300],
        ["upscale", "apply", "x" * 300, "a.png", "-o", "b"],
    ):
        capsys.readouterr()
        assert run(monkeypatch, *words) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_record_of_any_kind_is_no_run_of_ours(tmp_path: Path) -> None:
    for content in (b"[" * 100_000, b"\xff", b"1" * 5000, json.dumps([1]).encode(), b""):
        (tmp_path / "run.json").write_bytes(content)
        assert not is_ours(tmp_path)


def test_links_to_nothing_and_round_are_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "voc/JPEGImages/a.jpg")
    (tmp_path / "voc/Annotations").mkdir()
    (tmp_path / "voc/ImageSets/Main").mkdir(parents=True)
    (tmp_path / "voc/ImageSets/Main/train.txt").write_text("a\nb\n")
    (tmp_path / "voc/Annotations/a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
    )
    (tmp_path / "voc/Annotations/b.xml").symlink_to("nothing")
    assert run(monkeypatch, "check", "voc") in (0, 1)
    (tmp_path / "voc/Annotations/b.xml").unlink()
    (tmp_path / "voc/Annotations/b.xml").symlink_to("b.xml")
    assert run(monkeypatch, "check", "voc") in (0, 1)
    for words in (
        ["check"],
        ["convert", "out", "--to", "voc"],
        ["check", "--fix", "fixed"],
        ["detect", "-o", "d"],
    ):
        assert run(monkeypatch, words[0], "voc/Annotations/b.xml", *words[1:]) == 2
