from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.cli.data import open_training
from boxwright.data.formats.options import DEFAULT
from boxwright.errors import InputError
from boxwright.loading import load
from boxwright.modelfile import read_model

TINY = [
    "--freeze",
    "8",
    "--batch",
    "2",
    "--workers",
    "0",
    "--set",
    "train.threads=1",
    "--set",
    "train.log_every=1",
]


def coco(root: Path, **splits: int) -> Path:
    """Pictures with one white square each; `splits` says how many."""
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    for split, count in splits.items():
        images, objects = [], []
        for number in range(count):
            name = f"{split}{number}.png"
            pixels = rng.integers(0, 99, (64, 80, 3), np.uint8)
            x, y = int(rng.integers(0, 40)), int(rng.integers(0, 30))
            pixels[y : y + 30, x : x + 30] = 255
            Image.fromarray(pixels).save(root / name)
            images.append({"id": number, "file_name": name, "width": 80, "height": 64})
            box = {"bbox": [x, y, 30, 30], "area": 900, "iscrowd": 0}
            objects.append({"id": number, "image_id": number, "category_id": 7, **box})
        content = {"images": images, "annotations": objects, "categories": [{"id": 7, "name": "square"}]}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["boxwright", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def test_ctrl_c_saves_and_the_command_it_names_goes_on_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(coco(tmp_path / "data", train=5))
    words = ["train", data, *TINY, "--set", "train.iterations=6", "--out"]
    command = [sys.executable, "-m", "boxwright", *words, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if line.split()[:1] == ["1/6"]:
                process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        *_, stopped = process.stderr.read().splitlines()
    assert process.returncode == 3
    assert "1 of 5 images are held out for validation (seed 0)\n" in told
    # The signal comes while some later batch is at work.
    iteration = re.match(r"boxwright: stopped after iteration ([2345]) of 6; what is saved is in ", stopped)
    assert iteration
    resuming = shlex.split(stopped.split("; go on with: ")[1])
    assert resuming[0] == "boxwright"
    assert resuming[-1] == "--resume"

    assert run(monkeypatch, *resuming[1:]) == 0
    assert f"resuming after iteration {iteration[1]} of 6" in capsys.readouterr().out
    assert run(monkeypatch, *words, str(tmp_path / "b")) == 0
    for name in ("last", "best"):
        one, two = (read_model(tmp_path / out / f"{name}.safetensors") for out in ("a", "b"))
        assert one.tensors.keys() == two.tensors.keys()
        for key, value in one.tensors.items():
            np.testing.assert_array_equal(value, two.tensors[key], err_msg=f"{name}: {key}")
    # Both files open as models, and the page is there.
    assert load(tmp_path / "a/last.safetensors").manifest.classes == ("square",)
    assert load(tmp_path / "a/best.safetensors").manifest.ids == (7,)
    assert "<html" in (tmp_path / "a/report.html").read_text()[:200]
    # A second run in the same folder is refused.
    assert run(monkeypatch, *words, str(tmp_path / "a")) == 2
    assert "already holds a run; go on with --resume" in capsys.readouterr().err


def test_which_images_train_and_which_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = coco(tmp_path / "both", train=3, val=2, test=1)
    assert [len(part) for part in open_training(both, {}, "auto", "error", DEFAULT, 0)] == [3, 2]
    assert [len(part) for part in open_training(both, {}, "test", "error", DEFAULT, 0)] == [3, 1]
    assert capsys.readouterr().out == ""
    assert [len(part) for part in open_training(both, {}, "0.34", "error", DEFAULT, 0)] == [2, 1]
    assert "1 of 3 images are held out" in capsys.readouterr().out
    alone = coco(tmp_path / "alone", train=20)
    assert [len(part) for part in open_training(alone, {}, "auto", "error", DEFAULT, 0)] == [17, 3]
    with pytest.raises(InputError, match="no split 'vall' to validate with; there: val, test"):
        open_training(both, {}, "vall", "error", DEFAULT, 0)
    with pytest.raises(InputError, match="no split 'train' among val, test"):
        open_training(coco(tmp_path / "none", val=2, test=2), {}, "auto", "error", DEFAULT, 0)
