from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.model import create

BOXES = [[20, 30, 80, 60], [100, 20, 60, 90]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return create("ssd320-efficientnet-lite0", classes=["cat", "[b]dog"], weights=None).save(
        tmp_path_factory.mktemp("model") / "fresh.safetensors"
    )


def annotations(root: Path, split: str, names=("[b]dog", "cat")) -> None:
    rng = np.random.default_rng(len(split))
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    images, objects = [], []
    for place in range(2):
        name = f"{split}-{place}.png"
        Image.fromarray(rng.integers(0, 255, (160, 200, 3), np.uint8)).save(root / "images" / name)
        images.append({"id": place, "file_name": name, "width": 200, "height": 160})
        for box in BOXES:
            label = 1 + len(objects) % 2
            objects.append({"id": len(objects), "image_id": place, "category_id": label, "bbox": box})
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(names)]
    content = {"images": images, "annotations": objects, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["boxwright", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
            raise SystemExit(0)
        code = stopped.value.code
        return code if isinstance(code, int) else 0, *capsys.readouterr()

    return call


def test_tables_and_a_report(model, run, tmp_path):
    annotations(tmp_path / "data", "test")
    annotations(tmp_path / "data", "train")
    code, out, err = run(model, tmp_path / "data")
    assert code == 0
    assert out.splitlines()[0] == "2 images, 4 objects: data test"
    assert "ARsmall" in out
    assert "[b]dog" in out
    assert "look at runs/eval/report.html" in err
    assert (tmp_path / "runs/eval/report.html").exists()
    assert (tmp_path / "runs/eval/report.json").exists()


def test_json_alone_on_standard_output(model, run, tmp_path):
    annotations(tmp_path / "data", "val")
    code, out, _ = run(model, tmp_path / "data", "--json", "--threshold", "0.25")
    report = json.loads(out)
    assert code == 0
    assert (report["split"], report["images"], report["threshold"]) == ("val", 2, 0.25)
    assert [row["name"] for row in report["classes"]] == ["cat", "[b]dog"]
    assert report["model"]["file"] == str(model)
    assert not (tmp_path / "runs").exists()


def test_bad_input_is_one_line_and_exit_2(model, run, tmp_path):
    annotations(tmp_path / "data", "train")
    other = tmp_path / "other"
    annotations(other, "test", names=("dgo", "cat"))
    broken = tmp_path / "broken"
    annotations(broken, "test")
    (broken / "images" / "test-1.png").write_bytes(b"\x89PNG")
    for arguments, words in (
        ((model, tmp_path / "data"), "choose one by --split: train"),
        ((model, tmp_path / "data", "--split", "tset"), "no split 'tset'"),
        ((model, other), "'dgo'"),
        ((model, broken), "test-1.png"),
        ((model, tmp_path / "nowhere"), "nowhere"),
        ((tmp_path / "gone.safetensors", other), "gone.safetensors"),
    ):
        code, out, err = run(*arguments)
        assert code == 2, err
        assert words in err
        assert len(err.strip().splitlines()) == 1
        assert out == ""
    assert not (tmp_path / "runs").exists()
    code, out, _ = run(model, broken, "--skip")
    assert code == 0
    assert "left out: 1 (test-1.png)" in " ".join(out.split())
