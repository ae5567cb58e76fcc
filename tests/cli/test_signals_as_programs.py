"""Real programs that get real signals: one line on standard error, exit code 3, and no process that stays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_signals import BEGINS_ANEW
from tests.cli.test_train import TINY, coco


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco(tmp_path_factory.mktemp("data") / "squares", train=6)


def start(*words: object, **more: Any) -> subprocess.Popen[str]:
    """The program, with the handlers that a terminal gives it, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "boxwright", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **more,
    )


def test_detect_as_a_program_while_it_waits_for_names(data: Path, tmp_path: Path) -> None:
    names = sorted(data.glob("*.png"))
    job = start("detect", "blood-cells", "-", "--out", tmp_path / "d", "--json", stdin=subprocess.PIPE)
    assert job.stdin is not None and job.stdout is not None
    # Three are read ahead of the one that is detected on.
    job.stdin.write("".join(f"{name}\n" for name in names))
    job.stdin.flush()
    seen = [json.loads(job.stdout.readline())["path"] for _ in range(2)]
    job.send_signal(signal.SIGINT)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 3
    assert seen == [str(name) for name in names[:2]]
    found = re.fullmatch(
        rf"boxwright: stopped detecting after \d+ images; pictures of (\d+) are in {tmp_path / 'd'}; {BEGINS_ANEW}\n",
        said,
    )
    assert found and len(list((tmp_path / "d").iterdir())) in (int(found[1]), int(found[1]) + 1)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, ["check", "DATA"]),
        (signal.SIGINT, ["features", "DATA", "--weights", "none", "-o", "OUT/f.parquet"]),
    ],
)
def test_as_a_program_at_any_moment(number: int, words: list[str], tmp_path: Path) -> None:
    """Case rel-08."""
    (tmp_path / "data").mkdir()
    Image.fromarray(np.zeros((3000, 4000, 3), np.uint8)).save(tmp_path / "data/0.png")
    for index in range(1, 400):
        os.link(tmp_path / "data/0.png", tmp_path / f"data/{index}.png")
    rows = "".join(f"data/{index}.png,0,0,9,9,a\n" for index in range(400))
    (tmp_path / "boxes.csv").write_text(rows)
    place = {"check": "boxes.csv", "features": "data"}[words[0]]
    filled = [word.replace("DATA", str(tmp_path / place)).replace("OUT", str(tmp_path)) for word in words]
    job = start(*filled)
    time.sleep(4)
    os.killpg(job.pid, number)
    out, said = job.communicate(timeout=60)
    assert job.returncode == 3, (out, said)
    assert re.fullmatch(r"boxwright: stopped[^\n]*; [^\n]*(begins anew|boxwright features [^\n]*)\n", said)


def test_training_with_loaders_when_all_its_processes_are_told_to_end(data: Path, tmp_path: Path) -> None:
    """As `timeout` and batch systems do: the loaders leave the end to the process that trains."""
    words = [word if word != "0" or TINY[i - 1] != "--workers" else "2" for i, word in enumerate(TINY)]
    out = tmp_path / "r"
    job = start("train", data, *words, "--set", "train.iterations=100000", "--weights", "none", "--out", out)
    assert job.stdout is not None
    for line in job.stdout:
        if line.split()[:1] == ["3/100000"]:
            break
    os.killpg(job.pid, signal.SIGTERM)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 3, said
    line = said.splitlines()[-1]
    assert re.match(r"boxwright: stopped (after iteration \d+ of 100000|during a validation); ", line)
    assert f"; what is saved is in {out}; go on with: boxwright train {data} " in line and line.endswith(
        " --resume"
    )
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # Python's own tracker of resources ends a moment later
            os.killpg(job.pid, 0)
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_on_spark(number: int, data: Path, tmp_path: Path) -> None:
    """With its Java, which ends with it."""
    pytest.importorskip("pyspark")
    out = tmp_path / "out"
    job = start("detect", "blood-cells", data, "--spark", "local[1]", "--out", out)
    while not (out / "settings.json").exists():
        assert job.poll() is None
        time.sleep(0.1)
    os.killpg(job.pid, number)
    _, said = job.communicate(timeout=100)
    assert job.returncode == 3
    assert re.fullmatch(
        rf"boxwright: stopped[^\n;]*; waves that were complete are in {out}; go on with: boxwright detect .*\n",
        said,
    )
