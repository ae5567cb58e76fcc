from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from boxwright.cli.features import command
from boxwright.cluster.table import read_table
from boxwright.data.scenes import write_scenes
from boxwright.errors import InputError

# torch, where the engine is not the point: making a graph takes longer than running it.
SMALL = {"backbone": "vgg11", "tap": "conv1", "size": 16, "weights": "none", "engine": "torch"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / f"pictures/kind{number % 2}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    return tmp_path / "pictures"


def test_a_folder_twice(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.parquet"
    command(folder, out=out, as_json=True, **SMALL)
    streams = capsys.readouterr()
    said = json.loads(streams.out)
    assert (said["images"], said["computed"], said["skipped"]) == (6, 6, [])
    assert said["settings"]["tap"] == "conv1"
    assert f"64 features of 6 images in {out}, 6 of them new" in streams.err
    content = out.read_bytes()
    command(folder, out=out, **SMALL)
    assert "0 of them new" in capsys.readouterr().err
    assert out.read_bytes() == content


def test_onnx_and_torch_give_the_same_features(folder: Path, tmp_path: Path) -> None:
    command(folder, out=tmp_path / "onnx.parquet", **{**SMALL, "engine": "onnx"})
    command(folder, out=tmp_path / "torch.parquet", **SMALL)
    one, other = read_table(tmp_path / "onnx.parquet"), read_table(tmp_path / "torch.parquet")
    assert one.described == other.described
    assert one.paths == other.paths
    np.testing.assert_allclose(one.features, other.features, rtol=1e-3, atol=1e-5)


def test_the_last_tap_is_taken_by_default(folder: Path, tmp_path: Path) -> None:
    command(folder, out=tmp_path / "a.parquet", **{**SMALL, "tap": None, "size": 32, "pool": "flatten"})
    table = read_table(tmp_path / "a.parquet")
    assert table.described.settings["tap"] == "conv5"
    assert table.features.shape == (6, 512 * 2 * 2)


def test_a_data_set_s_split(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "data", train=2, val=1, test=0, size=(160, 160))
    command(data, out=tmp_path / "a.parquet", split="train", **SMALL)
    assert len(read_table(tmp_path / "a.parquet").paths) == 2


def test_what_cannot_be_read_is_said_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(typer.Exit) as stop:
        command(folder, out=tmp_path / "a.parquet", as_json=True, **SMALL)
    assert stop.value.exit_code == 1
    streams = capsys.readouterr()
    assert json.loads(streams.out)["skipped"] == ["bad.jpg"]
    assert "boxwright: skipped bad.jpg: not an image" in streams.err
    assert (tmp_path / "a.skipped.csv").read_text().startswith("path,reason\nbad.jpg,")
    assert len(read_table(tmp_path / "a.parquet").paths) == 6


def test_what_cannot_be_asked_for(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv: features go into a \.parquet file"):
        command(folder, out=tmp_path / "a.csv")
    with pytest.raises(InputError, match="no engine 'onx'; did you mean onnx"):
        command(folder, out=tmp_path / "a.parquet", engine="onx")
    with pytest.raises(InputError, match=r"no weights for vgg16 are installed; .*efficientnet-lite0"):
        command(folder, out=tmp_path / "a.parquet", backbone="vgg16")
    with pytest.raises(InputError, match="does not exist"):
        command(tmp_path / "nothing", out=tmp_path / "a.parquet")
    assert not list(tmp_path.glob("a.*"))


def test_as_a_program_on_a_full_disk(folder: Path, tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "boxwright",
        "features",
        str(folder),
        "-o",
        "a.parquet",
        "--backbone",
        "vgg11",
    ]
    line += ["--tap", "conv2", "--size", "16", "--weights", "none", "--engine", "torch"]
    limited = subprocess.run(
        line,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert limited.returncode == 2, limited.stderr
    assert "Traceback" not in limited.stderr
    assert limited.stderr.strip().endswith("the disk is full; free some space or choose another folder")
    assert not [path for path in tmp_path.rglob("*") if "parquet" in path.name and path.is_file()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "a.parquet").features.shape == (6, 128)
