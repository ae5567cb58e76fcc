from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from boxwright.cli.cluster import command
from boxwright.cli.features import command as features
from boxwright.errors import InputError
from boxwright.outputs import RECORD

SMALL = {
    "backbone": "vgg11",
    "tap": "conv1",
    "size": 16,
    "weights": "none",
    "pool": "grid",
    "engine": "torch",
}
COLOURS = {"red": (200, 30, 30), "green": (20, 160, 60), "blue": (30, 40, 190)}
FILES = {
    "assignments.csv",
    "assignments.parquet",
    "centres.npz",
    "duplicates.csv",
    "nearest.csv",
    "sheet.html",
    "summary.json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three colours, of which one comes twice."""
    root = tmp_path_factory.mktemp("cluster") / "pictures"
    rng = np.random.default_rng(0)
    for kind, colour in COLOURS.items():
        (root / kind).mkdir(parents=True)
        for number in range(6):
            noise = rng.integers(-25, 26, (24, 24, 3))
            Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(
                root / kind / f"{number}.png"
            )
    (root / "red/copy.png").write_bytes((root / "red/0.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def table(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table") / "a.parquet"
    features(folder, out=out, **SMALL)
    return out


def test_a_table(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(table, k="3", out=tmp_path / "out", duplicates="1e-6", as_json=True)
    streams = capsys.readouterr()
    said = json.loads(streams.out)
    assert said == json.loads((tmp_path / "out/summary.json").read_text())
    assert said["counts"] == [7, 6, 6]
    assert said["labels"]["nmi"] == pytest.approx(1)
    assert said["duplicates"] == 1
    assert "19 images in 3 clusters, 1 pair nearly alike; with the folders NMI 1.000" in streams.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, RECORD}
    with (tmp_path / "out/assignments.csv").open() as file:
        kinds = {(line["path"].split("/")[0], line["cluster"]) for line in csv.DictReader(file)}
    assert len(kinds) == 3
    assert "red/copy.png" in (tmp_path / "out/duplicates.csv").read_text()


def test_pictures_and_a_number_that_is_chosen(folder: Path, tmp_path: Path) -> None:
    command(folder, out=tmp_path / "out", labels="none", most=6, **SMALL)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["clusters"] == 3
    assert summary["labels"] is None
    assert summary["features"]["pool"] == "grid"
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert names == FILES | {"choice.svg", "features.parquet"}
    before = (tmp_path / "out/features.parquet").stat().st_mtime_ns
    # Another clustering of the same pictures takes the features there are.
    command(folder, k="2", out=tmp_path / "out", method="mini-batch", pca="2", whiten=True, **SMALL)
    assert (tmp_path / "out/features.parquet").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "out/summary.json").read_text())["components"] == 2


def test_the_same_command_gives_the_same_files(table: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        command(table, k="3", out=tmp_path / name, pca=".9", seed=3)
    for name in FILES - {"centres.npz"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_bad_picture_is_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for kind in COLOURS:
        (few / f"{kind}.png").write_bytes((folder / kind / "0.png").read_bytes())
    (few / "bad.png").write_bytes(b"")
    with pytest.raises(typer.Exit) as stop:
        command(few, k="2", out=tmp_path / "out", **SMALL)
    assert stop.value.exit_code == 1
    assert json.loads((tmp_path / "out/summary.json").read_text())["images"] == 3
    assert "the file is empty" in (tmp_path / "out/features.skipped.csv").read_text()


def test_pictures_that_were_moved(table: Path, folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    folder.rename(moved)
    try:
        command(table, k="3", out=tmp_path / "lost")
        command(table, k="3", out=tmp_path / "found", root=moved)
    finally:
        moved.rename(folder)
    assert "are no longer where they were" in (tmp_path / "lost/sheet.html").read_text()
    assert "are no longer where they were" not in (tmp_path / "found/sheet.html").read_text()


def test_what_cannot_be_asked_for(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="-k three; give a number of clusters, or auto"):
        command(table, k="three", out=out)
    with pytest.raises(InputError, match="--pca most; give a count"):
        command(table, pca="most", out=out)
    with pytest.raises(InputError, match="--duplicates few; give a distance"):
        command(table, duplicates="few", out=out)
    with pytest.raises(InputError, match="no labels 'folder'; did you mean folders"):
        command(table, labels="folder", out=out)
    with pytest.raises(InputError, match="40 clusters of 19 images"):
        command(table, k="40", out=out)
    with pytest.raises(InputError, match=r"none\.parquet: does not exist"):
        command(tmp_path / "none.parquet", out=out)
    assert not out.exists()


def test_as_a_program(table: Path, tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "boxwright",
        "cluster",
        str(table),
        "--method",
        "hdbscan",
        "--smallest",
        "3",
    ]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (tmp_path / "clusters/sheet.html").exists()
    done = subprocess.run([*line, "-k", "3"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "boxwright: 3 clusters by hdbscan; leave -k out\n")
