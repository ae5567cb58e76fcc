from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright import lock as folder
from boxwright.errors import InputError
from boxwright.lock import LOCK, locked
from boxwright.outputs import RECORD
from boxwright.training.folder import MARK, claim, is_ours

NAMES = ("metrics.csv", "run.json")


def test_files_of_others_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "tb").mkdir()
    (tmp_path / "tb/mine.txt").write_text("mine")
    (tmp_path / "metrics.csv").write_text("mine")
    with pytest.raises(InputError, match=r"holds metrics\.csv, tb, which no run of boxwright wrote"):
        claim(tmp_path, NAMES, overwrite=False)
    assert (tmp_path / "metrics.csv").read_text() == "mine" and not (tmp_path / MARK).exists()
    claim(tmp_path, NAMES, overwrite=True)
    assert (tmp_path / "tb/mine.txt").read_text() == "mine" and not (tmp_path / "metrics.csv").exists()


def test_a_run_of_ours_is_replaced_but_for_what_a_person_put_there(tmp_path: Path) -> None:
    claim(tmp_path, NAMES, overwrite=False)
    for name in ("metrics.csv", "notes.txt", "tb/events.out.tfevents.1", "tb/mine.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert is_ours(tmp_path)
    claim(tmp_path, NAMES, overwrite=False)
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert left == [RECORD, MARK, "notes.txt", "tb/mine.txt"]


@pytest.mark.parametrize(
    ("content", "ours"),
    [('{"classes": [], "iterations": 3, "train": {}}', True), ("{}", False), ("[1]", False), ("{", False)],
)
def test_runs_of_version_0_1_are_known_by_what_run_json_says(
    content: str, ours: bool, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(content)
    assert is_ours(tmp_path) is ours


HOLD = """
import sys, time
from pathlib import Path
from boxwright.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("locks", [True, False], ids=["flock", "no-flock"])
def test_the_second_process_is_refused_and_a_dead_one_holds_nothing(
    locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not locks:
        monkeypatch.setattr(folder, "fcntl", None)
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=rf"process {first.pid} on \S+ is writing into it"), locked(tmp_path):
        pass
    first.kill()
    first.wait()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()
