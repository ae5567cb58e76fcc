"""What `pip install boxwright` alone gives: the wheel, without torch, outside the source tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from boxwright.data.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def core() -> Path:
    """The interpreter of an environment with the core's dependencies alone (`make test` makes it)."""
    place = os.environ.get("BOXWRIGHT_CORE")
    if not place:
        pytest.skip("BOXWRIGHT_CORE names no environment without torch; `make test` makes one")
    python = Path(place) / "python"
    found = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in found.stderr, "the core environment must not have torch"
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    # No compiler may be needed: one that is asked for fails.
    subprocess.run(command, check=True, env=os.environ | {"CC": "false", "CXX": "false"}, timeout=300)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(core: Path, installed: Path, cwd: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [core, "-m", "boxwright", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_the_wheel_is_pure_and_whole(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "boxwright/py.typed" in names
    assert "boxwright/weights/packaged/blood-cells.onnx" in names
    assert "boxwright/weights/packaged/blood-cells.md" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks")) or name.endswith(".nbi")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_runs_from_outside_the_source_tree(core: Path, installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [core, "-c", "import boxwright; print(boxwright.__file__)"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed))
    assert "Train a detector" in run(core, installed, tmp_path, "--help")


def test_detecting_checking_and_converting_need_no_torch(core: Path, installed: Path, tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", train=2, val=1, test=0)
    picture = next((scenes / "train").glob("*.jpg"))
    line = run(core, installed, tmp_path, "detect", "blood-cells", str(picture), "--json", "--score", "0")
    found = json.loads(line)
    assert {one["name"] for one in found["detections"]} <= {"RBC", "WBC", "Platelets"}
    assert found["detections"]
    assert (tmp_path / "runs/detect").is_dir()
    run(core, installed, tmp_path, "check", str(scenes))
    run(core, installed, tmp_path, "convert", str(scenes), "voc", "--to", "voc")
    assert len(list((tmp_path / "voc/Annotations").glob("*.xml"))) == 3


@pytest.mark.parametrize("verb", [["train", "scenes", "--out", "x"], ["demo"], ["export", "m.safetensors"]])
def test_what_needs_torch_says_so(core: Path, installed: Path, tmp_path: Path, verb: list[str]) -> None:
    write_scenes(tmp_path / "scenes", train=1, val=1, test=0)
    said = run(core, installed, tmp_path, *verb, code=2)
    assert said.count("\n") == 1
    assert 'pip install "boxwright[train]"' in said or "m.safetensors" in said
