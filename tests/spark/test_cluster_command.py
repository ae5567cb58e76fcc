"""`boxwright cluster --spark`: what it leaves is what one machine leaves."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from boxwright.cli import main

from .pictures import photographs

NETWORK = ["--backbone", "efficientnet-lite0", "--tap", "stage2", "--size", "32", "--weights", "none"]


def run(monkeypatch: pytest.MonkeyPatch, *given: str) -> int:
    monkeypatch.setattr(sys, "argv", ["boxwright", "cluster", *given])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_images_and_then_their_table(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, out = photographs(tmp_path / "images", 12), tmp_path / "out"
    code = run(monkeypatch, str(images), "-k", "2", *NETWORK, "-o", str(out), "--spark", "local[2]", "--json")
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "12 of 12 images" in said.err
    assert "12 images in 2 clusters" in said.err
    summary = json.loads(said.out)
    assert sum(summary["counts"]) == summary["images"] == 12
    parts = pd.read_parquet(out / "assignments").sort_values("path", ignore_index=True)
    whole = pd.read_parquet(out / "assignments.parquet")
    pd.testing.assert_frame_equal(parts, whole, check_dtype=False)
    assert sorted(whole.path) == sorted(str(file.relative_to(images)) for file in images.rglob("*.jpg"))
    assert np.bincount(whole.cluster).tolist() == summary["counts"]
    page = (out / "sheet.html").read_text()
    assert page.count("data:image/jpeg") >= 12

    again = tmp_path / "again"
    code = run(
        monkeypatch,
        str(out / "features"),
        "-k",
        "2",
        "--method",
        "bisecting",
        "-o",
        str(again),
        "--spark",
        "local[2]",
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "12 images in 2 clusters" in said.err
    assert json.loads((again / "summary.json").read_text())["settings"]["method"] == "bisecting"

    # Into a store, of which an address of files is one, go tables alone, and nothing is written past Spark.
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    store = f"file://{tmp_path}/store"
    code = run(monkeypatch, str(out / "features"), "-k", "2", "-o", store, "--spark", "local[2]", "--json")
    said = capsys.readouterr()
    assert code == 0, said.err
    assert not list(work.iterdir())
    left = tmp_path / "store"
    assert {path.name for path in left.iterdir() if path.suffix != ".crc"} == {
        "assignments",
        "centres",
        "summary.json",
    }
    summary = json.loads(said.out)
    assert json.loads((left / "summary.json").read_text()) == summary
    centres = pd.read_parquet(left / "centres")
    assert centres.images.tolist() == summary["counts"]
    points = pd.read_parquet(left / "assignments").merge(pd.read_parquet(out / "features"), on="path")
    rows = np.stack(list(points.feature)).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for cluster, centre in zip(centres.cluster, centres.centre, strict=True):
        np.testing.assert_allclose(rows[points.cluster == cluster].mean(0), centre, atol=1e-6)

    # A table alone does not say what its features are.
    (tmp_path / "alone").mkdir()
    shutil.copytree(out / "features", tmp_path / "alone" / "features")
    (tmp_path / "alone" / "settings.json").write_text("{}")
    code = run(
        monkeypatch, str(tmp_path / "alone" / "features"), "-k", "2", "-o", str(work), "--spark", "local[2]"
    )
    said = capsys.readouterr()
    assert code == 2
    assert "has no settings.json beside it that says what its features are" in said.err


def test_what_spark_cannot_do_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, line in (
        (["--engine", "torch", "--split", "val"], "--spark does not take --engine, --split"),
        (["--labels", "none", "--root", "."], "--spark does not take --labels, --root"),
        (["--smallest", "5", "--jobs", "2", "--threads", "1"], "does not take --smallest, --jobs, --threads"),
        (["--pca", "nan"], "--pca nan; give a count"),
        (["--duplicates", "inf"], "--duplicates inf; give a distance"),
        (["--method", "hdbscan"], "Spark has no method 'hdbscan'"),
        (["--spark", "nonsense"], "no Spark master is called 'nonsense'"),
    ):
        code = run(monkeypatch, str(tmp_path / "features.parquet"), "--spark", "local[2]", *more)
        assert code == 2
        said = capsys.readouterr().err
        assert line in said
        assert said.count("\n") == 1
