"""Every command and every line of Python in the README runs, in its order, in a folder outside the source tree."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from boxwright.data.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line) for block in blocks("sh") for line in block.splitlines() if line.strip()]


def run(*command: str, cwd: Path) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_commands_are_the_ones_this_page_can_run() -> None:
    assert {command[0] for command in commands()} == {"make", "pip", "boxwright"}
    assert len(commands()) >= 9


def test_extras_that_the_readme_names_exist() -> None:
    offered = set(metadata("boxwright").get_all("Provides-Extra") or ())
    named = {
        extra
        for command in commands()
        if command[0] == "pip"
        for extra in re.findall(r"\[(.+?)\]", command[-1])
    }
    assert named <= offered
    assert {"train", "export", "video", "fast", "all"} <= offered


def test_make_demo(tmp_path: Path) -> None:
    """The demo itself takes ten minutes; its quick form goes the same way."""
    assert ["make", "demo"] in commands()
    if (ROOT / ".venv/.installed").exists():
        run("make", "demo", "QUICK=1", f"OUT={tmp_path / 'demo'}", cwd=ROOT)
    else:  # not in the Makefile's own environment: the command it runs, in this one
        run("boxwright", "demo", "--quick", "--out", str(tmp_path / "demo"), cwd=tmp_path)
    assert (tmp_path / "demo/report.html").read_text().startswith("<!")
    assert (tmp_path / "demo/detections.jpg").stat().st_size > 10_000
    assert (tmp_path / "demo/model/best.safetensors").exists()


def test_the_rest_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scenes(tmp_path / "photos", train=6, val=3, test=3, size=(160, 160))
    for command in commands():
        if command[0] != "boxwright":
            continue
        # One pass over six pictures stands for sixty over a person's own.
        brief = {
            "train": ["--epochs", "1", "--batch", "2"],
            "compare": ["--epochs", "1", "--set", "train.batch=2", "--set", "train.workers=0"],
        }.get(command[1], [])
        run(*command, *brief, cwd=tmp_path)
    for made in (
        "runs/photos/best.safetensors",
        "runs/photos/report.html",
        "runs/photos/first_batch.png",
        "runs/photos/test/report.html",
        "runs/photos/model.onnx",
        "photos-yolo/data.yaml",
        "runs/both/compare.html",
    ):
        assert (tmp_path / made).is_file(), made
    assert len(list((tmp_path / "runs/photos/pictures").rglob("*.jpg"))) == 3

    monkeypatch.chdir(tmp_path)
    (script,) = blocks("python")
    exec(compile(script, "README.md", "exec"), {})
    assert (tmp_path / "found.jpg").is_file()
