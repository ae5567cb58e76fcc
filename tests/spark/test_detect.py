"""Detection on Spark is `boxwright detect` on one machine, a row an image."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from boxwright.cli import main
from boxwright.runtime.export import export_onnx
from runtime.toys import photograph, pictures, toy_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "toy.onnx"
    export_onnx(toy_model(), path, images=pictures())
    return path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["boxwright", "detect", *given])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0), *capsys.readouterr()


def test_boxes_are_those_of_one_machine(
    spark: SparkSession,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for seed in range(5):
        photograph(tmp_path / "in", seed)
    (tmp_path / "in/bad.jpg").write_bytes(b"none")
    code, _, said = run(
        monkeypatch,
        capsys,
        str(model),
        str(tmp_path / "in"),
        "--spark",
        "local[2]",
        "--out",
        str(tmp_path / "out"),
    )
    assert code == 1
    assert "bad.jpg: not an image" in said
    assert "1 of 6 could not be read" in said
    code, lines, _ = run(monkeypatch, capsys, str(model), str(tmp_path / "in"), "--json", "--no-images")
    alone = {Path(one["path"]).name: one for one in map(json.loads, lines.splitlines())}
    table = pd.read_parquet(tmp_path / "out/detections").set_index("path")
    assert sorted(table.index) == sorted(name for name in alone if name != "bad.jpg")
    assert sum(len(row.scores) for row in table.itertuples()) > 5
    for name, row in table.iterrows():
        found = alone[name]["detections"]
        assert len(found) == len(row.boxes) == len(row.labels)
        np.testing.assert_allclose(np.stack(list(row.boxes)), [one["box"] for one in found], atol=1e-3)
        np.testing.assert_allclose(row.scores, [one["score"] for one in found], atol=1e-4)
        assert list(row.labels) == [one["label"] for one in found]
        assert list(row.names) == [one["name"] for one in found]
        assert [row.height, row.width] == [96, 128]


def test_an_image_without_objects_has_its_row(
    spark: SparkSession,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photograph(tmp_path / "in", 0)
    given = [str(model), str(tmp_path / "in"), "--spark", "local[2]", "--out", str(tmp_path / "out")]
    code, _, said = run(monkeypatch, capsys, *given, "--score", "1")
    assert code == 0
    assert "0 detections on 1 image" in said
    row = pd.read_parquet(tmp_path / "out/detections").iloc[0]
    assert len(row.boxes) == len(row.scores) == len(row["names"]) == 0
    # Boxes of another threshold do not go into the same table.
    code, _, said = run(monkeypatch, capsys, *given, "--score", "0.5")
    assert code == 2
    assert "was made with another score" in said
    assert said.count("\n") == 1


def test_what_a_table_cannot_be_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, line in (
        (["a", "--json"], "makes a table, and no --json"),
        (["a", "b"], "takes one folder"),
        (["-"], "takes one folder"),
    ):
        code, _, said = run(monkeypatch, capsys, str(model), *more, "--spark", "local[2]")
        assert code == 2
        assert line in said
