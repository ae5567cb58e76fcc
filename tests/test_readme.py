"""Every command and every line of Python in the README runs, in its order, in a folder outside the source tree."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from boxwright import demo
from boxwright.backbones.vgg import VGG
from boxwright.data.scenes import write_scenes
from boxwright.weights import vgg

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
    """The demo itself takes ten minutes; its quick form goes the same way, and neither is cut by a clock."""
    assert not {field.name for field in fields(demo.Scale)} & {"minutes", "seconds"}
    assert ["make", "demo"] in commands()
    if (ROOT / ".venv/.installed").exists():
        run("make", "demo", "QUICK=1", f"OUT={tmp_path / 'demo'}", cwd=ROOT)
    else:  # not in the Makefile's own environment: the command it runs, in this one
        run("boxwright", "demo", "--quick", "--out", str(tmp_path / "demo"), cwd=tmp_path)
    assert (tmp_path / "demo/report.html").read_text().startswith("<!")
    assert (tmp_path / "demo/detections.jpg").stat().st_size > 10_000
    assert (tmp_path / "demo/model/best.safetensors").exists()
    steps = [row["iteration"] for row in csv.DictReader((tmp_path / "demo/model/metrics.csv").open())]
    assert steps[-1] == str(demo.QUICK.epochs * demo.QUICK.train // demo.QUICK.batch)


# One pass over six pictures stands for sixty over a person's own.
BRIEF = {
    "train": ["--epochs", "1", "--batch", "2"],
    "compare": ["--epochs", "1", "--set", "train.batch=2", "--set", "train.workers=0"],
    "probe": ["--size", "64"],
    "upscale train": ["--epochs", "1"],
    "segment train": ["--epochs", "1"],
    "vae train": ["--epochs", "1"],
    "style photo.jpg": ["--iterations", "2", "--size", "48"],
    "style train": ["--epochs", "1", "--set", "train.batch=2"],
}


def write_cells(folder: Path) -> None:
    """Grey pictures with bright discs, and where the discs are."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    y, x = np.mgrid[:96, :96]
    for number in range(6):
        row, column, radius = rng.integers([20, 20, 8], [76, 76, 18])
        mask = ((y - row) ** 2 + (x - column) ** 2 < radius**2).astype(np.uint8)
        pixels = np.repeat((60 + 100 * mask + rng.integers(0, 40, mask.shape))[..., None], 3, 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"images/{number}.png")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")


def write_style(folder: Path) -> None:
    """Two pictures, and a file of the layout of VGG-16's weights: those of ImageNet come by download only."""
    rng = np.random.default_rng(1)
    for name in ("photo", "painting"):
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), np.uint8)).save(folder / f"{name}.jpg")
    net = VGG(16, ("conv5",))
    state = net.state_dict()
    save_file({theirs: state[ours] for theirs, ours in vgg.rename(net).items()}, folder / "vgg16.safetensors")


def test_the_rest_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scenes(tmp_path / "photos", train=6, val=3, test=3, size=(160, 160))
    write_cells(tmp_path / "cells")
    write_style(tmp_path)
    for command in commands():
        if command[0] == "boxwright":
            brief = BRIEF.get(command[1]) or BRIEF.get(" ".join(command[1:3]), [])
            run(*command, *brief, cwd=tmp_path)
    for made in (
        "runs/photos/best.safetensors",
        "runs/photos/report.html",
        "runs/photos/first_batch.png",
        "runs/photos/test/report.html",
        "runs/photos/model.onnx",
        "photos-yolo/data.yaml",
        "runs/both/compare.html",
        "groups/sheet.html",
        "probe/probe.png",
        "masks/0.png",
        "drawn.png",
        "painted.jpg",
    ):
        assert (tmp_path / made).is_file(), made
    for folder in ("runs/photos/pictures", "larger", "painted"):
        assert len([path for path in (tmp_path / folder).rglob("[!.]*.*") if path.is_file()]) == 3, folder

    monkeypatch.chdir(tmp_path)
    (script,) = blocks("python")
    exec(compile(script, "README.md", "exec"), {})
    assert (tmp_path / "found.jpg").is_file()
