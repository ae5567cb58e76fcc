"""Several processes train the network that one trains: each shipped trainer, with its own norms, dropout and draws."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from data.patients import SPLITS, coco
from segment.scenes import write_pairs

from .processes import together

STEPS = str(Path(__file__).with_name("steps.py"))
TASK_STEPS = str(Path(__file__).with_name("task_steps.py"))
PARTS = (
    "loss",
    "gradient",
    "classification",
    "localisation",
    "objectness",
    "proposal_localisation",
    "positives",
)


def steps(argv: list[str], out: Path, processes: int) -> dict:
    """What the program says in one process, or what the first of several says."""
    out.mkdir()
    argv = [sys.executable, *(str(out) if word == "OUT" else word for word in argv)]
    running = together(argv, processes)
    outputs = [process.communicate(timeout=900) for process in running]
    assert [process.returncode for process in running] == [0] * processes, outputs
    return json.loads(outputs[0][0].splitlines()[-1])


def assert_equal_losses(one: dict, two: dict) -> None:
    assert len(one["losses"]) == len(two["losses"])
    for number, (row, other) in enumerate(zip(one["losses"], two["losses"], strict=True)):
        for name in row:
            np.testing.assert_allclose(other[name], row[name], rtol=1e-4, err_msg=f"{name} of step {number}")


SLOW = pytest.mark.slow
RECIPES = [
    pytest.param("ssd320-efficientnet-lite0", 2, 4, {}, "synchronised"),
    pytest.param("faster-rcnn-efficientnet-lite0-fpn", 2, 4, {}, "synchronised"),
    pytest.param("ssd320-efficientnet-lite0", 10, 4, {}, "synchronised", marks=SLOW),
    pytest.param("ssdlite320-mobilenet-v3-large", 10, 4, {}, "synchronised", marks=SLOW),
    pytest.param("retinanet-efficientnet-lite0-fpn", 10, 4, {}, "synchronised", marks=SLOW),
    # Images of several sizes, padded; norms frozen, as published.
    pytest.param("retinanet-resnet18-fpn", 10, 4, {"size": 120, "longest": 200}, "frozen", marks=SLOW),
    pytest.param("faster-rcnn-efficientnet-lite0-fpn", 10, 4, {}, "synchronised", marks=SLOW),
    # Dropout, and regions of an image one by one.
    pytest.param(
        "faster-rcnn-vgg16",
        10,
        2,
        {"size": 120, "longest": 200, "width": 64, "sides": [[24.0, 48.0, 72.0]]},
        "none",
        marks=SLOW,
    ),
    pytest.param("fast-rcnn-efficientnet-lite0", 10, 4, {}, "synchronised", marks=SLOW),
    pytest.param("rcnn-efficientnet-lite0", 10, 4, {}, "synchronised", marks=SLOW),
    pytest.param("sliding-window-efficientnet-lite0", 10, 4, {}, "synchronised", marks=SLOW),
]


@pytest.mark.parametrize(("recipe", "count", "batch", "settings", "norms"), RECIPES)
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken-image"])
def test_two_processes_train_a_shipped_recipe_as_one_does(
    recipe: str,
    count: int,
    batch: int,
    settings: Mapping[str, object],
    norms: str,
    broken: bool,
    tmp_path: Path,
) -> None:
    """With its own norms, dropout and draws; with a broken image the shares are uneven, or one has none at all."""
    data = coco(tmp_path / "data")
    if broken:
        for name in SPLITS["train"][:2]:
            (data / "train" / f"{name}.png").write_bytes(b"no image")
    argv = [STEPS, recipe, str(data), "OUT", str(count), str(batch), "double", json.dumps(settings)]
    one, two = (steps(argv, tmp_path / str(number), number) for number in (1, 2))
    assert two["norms"] == norms and one["norms"] == ("own" if norms == "synchronised" else norms)
    assert_equal_losses(one, two)


@pytest.mark.parametrize("task", ["segment", "vae"])
def test_two_processes_train_a_task_as_one_does(task: str, tmp_path: Path) -> None:
    """Segmentation with batch norms, dropout and Dice; an auto-encoder with batch norms and free bits."""
    data = write_pairs(tmp_path / "data", 6)
    argv = [TASK_STEPS, task, str(data), "OUT", "10", "4"]
    one, two = (steps(argv, tmp_path / str(number), number) for number in (1, 2))
    assert (one["norms"], two["norms"]) == ("own", "synchronised")
    assert_equal_losses(one, two)


def train(data: Path, out: Path, *more: str) -> list[str]:
    options = ["--batch", "4", "--workers", "0", "--weights", "none", *more]
    return [sys.executable, "-m", "boxwright", "train", str(data), "--out", str(out), *options]


def lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("boxwright:")]


def test_an_unreadable_image_ends_all_by_one_line(tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    names = SPLITS["train"]
    (data / "train" / f"{names[-1]}.png").write_bytes(b"no image")
    running = together(train(data, tmp_path / "run", "--set", "train.iterations=50"))
    said = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [2, 2], said
    assert "Traceback" not in "".join(said)
    (line,) = [line for one in said for line in lines(one)]
    assert names[-1] in line and "bad_images=skip" in line


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others_by_one_line(victim: int, tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    out = tmp_path / "run"
    running = together(train(data, out, "--set", "train.iterations=10000"))
    deadline = time.monotonic() + 120
    while not (out / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    running[victim].send_signal(signal.SIGKILL)
    other = running[1 - victim]
    _, said = other.communicate(timeout=120)
    running[victim].communicate()
    assert other.returncode == 2, said
    assert "Traceback" not in said
    (line,) = lines(said)
    assert "another one has ended" in line


def test_the_stages_of_rcnn_need_no_disk_in_common(tmp_path: Path) -> None:
    """Only the first process keeps files: features that the second computes too, regions and judges that it needs."""
    data = coco(tmp_path / "data")
    small = ["crop=32", "context=2", "regions_sampled=8", "proposals=60"]
    more = [word for one in small for word in ("--set", f"model.{one}")]
    command = train(
        data, tmp_path / "run{rank}", "--model", "rcnn-efficientnet-lite0", "--epochs", "1", *more
    )
    running = together(command)
    said = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    kept = {path.relative_to(tmp_path / "run0").parts[0] for path in (tmp_path / "run0").rglob("*.*z*")}
    assert kept >= {"proposals.npz", "features", "svm.npz", "ridge.npz"}
    assert len([*(tmp_path / "run0" / "features").glob("*.npz")]) == len(SPLITS["train"])
    assert not [path for path in (tmp_path / "run1").rglob("*") if path.is_file()]
    assert said[1] == ("", "")


def test_a_run_that_is_gone_on_with_is_read_from_the_first_disk(tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    for number, more in ((6, []), (6, ["--resume"])):
        command = train(data, tmp_path / "run{rank}", "--set", f"train.iterations={number}", *more)
        running = together(command)
        said = [process.communicate(timeout=300) for process in running]
        assert [process.returncode for process in running] == [0, 0], said
    assert not [path for path in (tmp_path / "run1").rglob("*") if path.is_file()]


def test_another_number_of_processes_cannot_go_on(tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    command = train(data, tmp_path / "run", "--set", "train.iterations=2")
    for process in together(command):
        assert process.wait(300) == 0
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 2 and "processes was 2 in this run and is 1 now" in done.stderr
