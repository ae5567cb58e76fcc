from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from boxwright.cli.probe import command
from boxwright.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(4):
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        path = tmp_path / "photos" / f"day{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((120, 90), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "photos"


def test_a_folder_from_end_to_end(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = {"backbone": "efficientnet-lite0", "weights": "none", "taps": "stage2,stage1", "size": 64}
    command([str(folder)], pool="mean,flatten", out=out, **options)
    streams = capsys.readouterr()
    assert f"see {out}" in streams.err
    assert (out / "probe.txt").read_text() == streams.out
    assert [
        line.split()[0]
        for line in streams.out.splitlines()
        if line[:5] in ("pixel", "mean ", "histo", "stage")
    ] == [
        *("pixels", "mean", "histogram"),
        *("stage2", "stage2", "stage1", "stage1"),
    ]
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        f"probe.{end}" for end in ("csv", "json", "png", "txt")
    ]
    command([str(folder)], pool="mean,flatten", out=out, as_json=True, **options)
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((out / "probe.json").read_text())
    assert (said["pictures"], said["size"], said["skipped"]) == (4, 64, [])
    assert all(
        0 <= one["found"] <= 1 and one["low"] <= one["moved"] <= one["high"] for one in said["figures"]
    )


def test_what_cannot_be_read_is_named_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "film.mp4").write_bytes(b"no picture either, and not asked for")
    with pytest.raises(typer.Exit) as stop:
        command(
            [str(folder)],
            "efficientnet-lite0",
            "none",
            "stage1",
            "mean",
            size=64,
            out=tmp_path / "out",
            as_json=True,
        )
    streams = capsys.readouterr()
    assert stop.value.exit_code == 1
    assert f"skipped {folder / 'bad.jpg'}" in streams.err and "film" not in streams.err
    assert len(json.loads(streams.out)["skipped"]) == 1


def test_what_cannot_be_asked_for(folder: Path, tmp_path: Path) -> None:
    asked = [str(folder)]
    with pytest.raises(InputError, match="no weights for vgg16 are installed"):
        command(asked, "vgg16")
    with pytest.raises(InputError, match="has no tap stage9"):
        command(asked, "efficientnet-lite0", "none", "stage9")
    with pytest.raises(InputError, match="no pooling 'median'"):
        command(asked, pool="median")
    with pytest.raises(InputError, match="is a file, not a folder"):
        command(asked, out=next(folder.rglob("*.jpg")))
    with pytest.raises(InputError, match="is too small"):
        command(asked, "efficientnet-lite0", "none", "stage1", size=32)
    with pytest.raises(InputError, match="no images in this folder"):
        (tmp_path / "empty").mkdir()
        command([str(tmp_path / "empty")])
    with pytest.raises(InputError, match="0 of 1 pictures can be read"):
        command([str(tmp_path / "nothing.jpg")], "efficientnet-lite0", "none", "stage1", size=64)


def test_as_a_program(folder: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "boxwright", "probe", str(folder), "--backbone", "vgg61"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.startswith("boxwright: no classifier 'vgg61'; did you mean")
        and done.stderr.count("\n") == 1
    )
    assert not (tmp_path / "runs").exists()
