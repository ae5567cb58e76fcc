"""Names of classes and files that would command a terminal, a browser or a spreadsheet: shown, and never sent."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.results import Result

CLASSES = ("a\x1b[31m<script>alert(1)</script>", "=cmd|'/c calc'!A1")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for split, seeds in (("train", range(4)), ("val", range(4, 7))):
        images, annotations = [], []
        for number, seed in enumerate(seeds, 1):
            name = f"=p{seed}\x1b]0;X\x07.png"
            (root / split).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / split / name)
            images.append({"id": number, "file_name": name, "width": 64, "height": 64})
            for category in (1, 2):
                box = {"bbox": [5 * category, 6, 20, 20], "area": 400, "iscrowd": 0}
                ids = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                annotations.append(ids | box)
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def test_every_command_that_meets_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = "run/best.safetensors"
    quick = ["--set", "train.iterations=2", "--batch", "2", "--workers", "0", "--weights", "none"]
    for words in (
        ["check", "data"],
        ["anchors", "data"],
        ["train", "data", "--out", "run", *quick],
        ["eval", model, "data", "--split", "val", "--out", "report"],
        ["eval", model, "data", "--split", "val", "--json"],
        [
            "detect",
            model,
            "data/val",
            "--out",
            "drawn",
            "--csv",
            "d.csv",
            "--coco",
            "d.json",
            "--score",
            "0.0",
        ],
        ["detect", model, "data/val", "--no-images", "--json", "--score", "0.0"],
        ["convert", "data", "as-csv", "--to", "csv"],
        ["convert", "data", "as-yolo", "--to", "yolo"],
    ):
        monkeypatch.setattr(sys, "argv", ["boxwright", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code in (0, 1), said.err
        for text in (said.out, said.err):
            assert not CONTROL.search(text), (words, CONTROL.search(text))
            assert "--json" in words or max(map(len, text.splitlines() or [""])) <= 2000
    from boxwright.runtime.sinks import table_file
    from boxwright.runtime.sources import Item

    found = Result(
        np.array([[1, 2, 3, 4]], "f4"),
        np.array([0.5], "f4"),
        np.array([2]),
        np.array([1]),
        (CLASSES[1],),
        (9, 9),
    )
    with table_file(tmp_path / "one.csv") as table:
        table.take(Item(Path("=p.png"), Path("=p.png"), Path("=p.png")), found)
    row = (tmp_path / "one.csv").read_text().splitlines()[1]
    assert row.startswith("'=p.png,") and row.endswith("'=cmd|'/c calc'!A1")
    for page in (tmp_path / "run/report.html", tmp_path / "report/report.html"):
        text = page.read_text("utf-8")
        assert "<script>alert" not in text and "&lt;script&gt;alert" in text
        assert not CONTROL.search(text)
    for table in (tmp_path / "d.csv", tmp_path / "as-csv/annotations.csv", tmp_path / "as-csv/classes.csv"):
        with table.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t")], table
    # And what is written is read again as it was.
    from boxwright.data import open_dataset

    for folder in ("as-csv", "as-yolo"):
        assert open_dataset(tmp_path / folder, "train").classes == CLASSES
