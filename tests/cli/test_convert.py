from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from boxwright.cli import app
from boxwright.data import open_dataset
from boxwright.errors import InputError
from data.patients import HEALTHY, change, coco, voc


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("to", HEALTHY)
def test_a_converted_set_opens_and_the_next_step_is_named(to: str, tmp_path: Path) -> None:
    result = convert(voc(tmp_path / "src"), tmp_path / "dst", "--to", to)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[:2] == ["train: 4 images, 8 objects", "val: 3 images, 6 objects"]
    assert lines[-1].endswith(f"boxwright check {tmp_path / 'dst'}")
    assert len(open_dataset(tmp_path / "dst", "val")) == 3


def test_what_the_target_cannot_hold_is_printed_with_its_number(tmp_path: Path) -> None:
    source = coco(tmp_path / "src")
    change(source, lambda c: c["annotations"][0].update(segmentation=[[1, 1, 5, 5, 1, 5]]))
    change(source, lambda c: c["annotations"][1].update(bbox=[5, 5, -1, 5]))
    result = convert(source, tmp_path / "dst", "--to", "csv", "--link")
    assert "csv cannot hold: 1 x masks" in result.stdout
    assert "on reading: 1 x box-swapped" in result.stdout
    assert (tmp_path / "dst/images/a.png").samefile(source / "train/a.png")
    assert "--renumber" in convert(source, tmp_path / "yolo", "--to", "yolo").stdout


def test_json_is_one_object(tmp_path: Path) -> None:
    result = convert(coco(tmp_path / "src"), tmp_path / "dst", "--to", "voc", "--split", "val", "--json")
    said = json.loads(result.stdout)
    assert said["splits"] == {"val": {"images": 3, "objects": 6}}
    assert said["lost"] == {"class ids": 2, "ids of images": 3, "ids of objects": 6}
    assert said["target"] == str(tmp_path / "dst") and said["findings"] == []


def test_zero_based_and_renumbered(tmp_path: Path) -> None:
    source = coco(tmp_path / "src")
    convert(source, tmp_path / "voc", "--to", "voc", "--voc-zero-based")
    convert(tmp_path / "voc", tmp_path / "back", "--to", "coco", "--voc-zero-based")
    assert (open_dataset(tmp_path / "back")[0].boxes == open_dataset(source)[0].boxes).all()
    convert(source, tmp_path / "yolo", "--to", "yolo", "--renumber")
    assert open_dataset(tmp_path / "yolo").ids == (0, 1)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    source = coco(tmp_path / "src")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    change(source, lambda c: c["annotations"][0].update(category_id=1))
    for arguments, said in (
        ((source, tmp_path / "full", "--to", "voc", "--skip-bad"), "not an empty folder"),
        ((source, tmp_path / "dst", "--to", "voc"), "category 1"),
        ((source, tmp_path / "dst", "--to", "vok"), "did you mean voc"),
        ((source, tmp_path / "dst", "--to", "voc", "--split", "tset"), "train, val"),
    ):
        with pytest.raises(InputError, match=said):
            convert(*arguments)
        assert not (tmp_path / "dst").exists()
    assert convert(source, tmp_path / "dst", "--to", "voc", "--skip-bad").exit_code == 0
