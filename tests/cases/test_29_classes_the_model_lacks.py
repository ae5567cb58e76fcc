"""Case 29: a data set with a class that the model lacks is evaluated on the classes that both have, on request."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.model import create


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A YOLO data set with Cat, unicorn and traffic_light: two images, five objects."""
    for folder in ("images/val", "labels/val"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for name, classes in (("a", (0, 1, 2)), ("b", (1, 1))):
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / f"data/images/val/{name}.png")
        lines = "".join(f"{c} 0.5 0.5 0.{place + 2} 0.3\n" for place, c in enumerate(classes))
        (tmp_path / f"data/labels/val/{name}.txt").write_text(lines)
    (tmp_path / "data/data.yaml").write_text("val: images/val\nnames: [Cat, unicorn, traffic_light]\n")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fresh = create("ssd320-efficientnet-lite0", classes=["traffic light", "cat", "dog"], weights=None)
    return fresh.save(tmp_path_factory.mktemp("model") / "fresh.safetensors")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["boxwright", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
        raise SystemExit(0)
    return int(stopped.value.code or 0)


def test_it_names_the_ways_out(model, data, monkeypatch, capsys):
    assert run(monkeypatch, "eval", model, data, "--split", "val") == 2
    line = capsys.readouterr().err.strip()
    assert "3 objects have a class that the model lacks: unicorn 3" in line
    assert "--map 'unicorn'=" in line
    assert "--classes shared" in line
    assert "\n" not in line


def test_the_classes_that_both_have(model, data, monkeypatch, capsys):
    assert run(monkeypatch, "eval", model, data, "--split", "val", "--classes", "shared", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["objects"]) for row in report["classes"]] == [("traffic light", 1), ("cat", 1)]
    said = " ".join(report["notes"])
    assert "3 of 5 objects are left out (unicorn 3); 1 of 2 images have no object any more" in said
    assert "traffic_light (traffic light)" in said


def test_another_name_and_some_classes(model, data, monkeypatch, capsys):
    given = ("--split", "val", "--map", "unicorn=dog", "--classes", "dog,cat", "--json")
    assert run(monkeypatch, "eval", model, data, *given) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["objects"]) for row in report["classes"]] == [("cat", 1), ("dog", 3)]


def test_convert_takes_the_same_options(data, tmp_path, monkeypatch, capsys):
    given = ("--to", "coco", "--map", "unicorn=horse", "--classes", "horse")
    assert run(monkeypatch, "convert", data, tmp_path / "new", *given) == 0
    assert "2 of 5 objects are left out (Cat 1, traffic_light 1)" in capsys.readouterr().out
    content = json.loads((tmp_path / "new/annotations/instances_val.json").read_text())
    assert [row["name"] for row in content["categories"]] == ["horse"]
    assert len(content["annotations"]) == 3
