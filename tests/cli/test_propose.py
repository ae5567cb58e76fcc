from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from boxwright.cli.propose import command
from boxwright.data import open_dataset
from boxwright.data.scenes import write_scenes
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.regions.proposals import Proposals
from boxwright.regions.source import SelectiveSearch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("propose") / "data", train=3, val=2, test=0, size=(160, 180))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.full((60, 90, 3), 30, np.uint8)
    image[10:50, 20:60] = (200, 60, 60)
    Image.fromarray(image).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_s_boxes_as_json_and_drawn(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(picture, out=tmp_path / "boxes.json", side=90)
    written = json.loads((tmp_path / "boxes.json").read_text())
    assert written["size"] == [60, 90]
    assert [20, 10, 60, 50] in written["boxes"]
    command(picture, out=tmp_path / "drawn.png", side=90, as_json=True)
    streams = capsys.readouterr()
    assert json.loads(streams.out) == written
    assert "regions; see" in streams.err
    drawn = read_image(tmp_path / "drawn.png")
    assert drawn.shape == (60, 90, 3)
    assert (drawn != read_image(picture)).any()
    command(picture)
    assert "-o boxes.png draws them" in capsys.readouterr().err


def test_a_data_set(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.npz"
    command(data, out=out, split="val", side=180, count=300, recall=True)
    streams = capsys.readouterr()
    assert "MABO" in streams.out
    assert "of 2 images in" in streams.err
    command(data, out=out, side=180, count=300, recall=True, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["images"] == 5
    assert said["skipped"] == []
    assert said["recall"]["objects"] == sum(open_dataset(data).counts())
    assert 0.3 < said["recall"]["recall"] <= 1
    found = Proposals.open(out)
    sample = open_dataset(data, "train")[0]
    expected = SelectiveSearch(count=300, side=180)(read_image(sample.path))
    np.testing.assert_array_equal(found.boxes(sample.path), expected)


def test_skipped_images_are_said_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_scenes(tmp_path / "data", train=2, val=0, test=0, size=(160, 160))
    path = open_dataset(data)[0].path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(typer.Exit) as stop:
        command(data, out=tmp_path / "p.npz", side=40)
    assert stop.value.exit_code == 1
    assert f"skipped {path}" in capsys.readouterr().err
    assert len(Proposals.open(tmp_path / "p.npz")) == 1


def test_what_cannot_be_asked_for(data: Path, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a picture has no --split"):
        command(picture, recall=True)
    with pytest.raises(InputError, match=r"boxes\.png: a data set's proposals go into an \.npz file"):
        command(data, out=tmp_path / "boxes.png")
    with pytest.raises(InputError, match=r"this is no name for a picture"):
        command(picture, out=tmp_path / "boxes.xyz")
    with pytest.raises(InputError, match="does not exist"):
        command(tmp_path / "nothing", out=tmp_path / "p.npz")


def test_as_a_program(picture: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "boxwright", "propose", *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    done = run("a.png", "--strategy", "quick")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("boxwright: no strategy 'quick'")
    done = run("a.png", "--strategy", "single", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["boxes"]
