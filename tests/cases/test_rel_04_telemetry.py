"""Case rel-04: no command opens a socket of the network or writes outside its folder and the documented cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.patients import coco

from .forbidden import ENDED, possible

GUARDED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from forbidden import forbid_network
forbid_network()
"""
COMMAND = (
    GUARDED
    + """
from boxwright.cli import main
sys.argv = ["boxwright", *sys.argv[1:]]
if __name__ == "__main__":
    main()
"""
)

pytestmark = pytest.mark.skipif(not possible(), reason="watches system calls by Linux's seccomp")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def guarded(code: str, *words: str, work: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """A program with a home of its own, in which ONNX Runtime would keep a device id and a database of events."""
    for folder in (home / "tmp", work):
        folder.mkdir(parents=True, exist_ok=True)
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "TMPDIR": str(home / "tmp")}
    environment = {
        k: v for k, v in os.environ.items() if "TELEMETRY" not in k and k != "DO_NOT_TRACK"
    } | places
    argv = [sys.executable, "-c", code, *words]
    return subprocess.run(argv, cwd=work, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import subprocess as s; sys.exit(s.run([sys.executable, '-c', 'import socket; socket.socket()']).returncode)",
    ],
)
def test_the_guard_ends_who_opens_a_socket(code: str, tmp_path: Path) -> None:
    done = guarded(GUARDED + code, work=tmp_path / "work", home=tmp_path / "home")
    assert done.returncode in (ENDED, 256 + ENDED), done.stderr


@pytest.mark.parametrize(
    ("words", "cache"),
    [
        (["detect", "everyday", "data/train", "--out", "out", "--json"], set()),
        (["eval", "everyday", "data", "--map", "cat=cat", "--classes", "cat", "--out", "out"], set()),
        (["features", "data/train", "-o", "out/features.parquet"], set()),
    ],
    ids=["detect", "eval", "features"],
)
def test_no_socket_and_nothing_outside(words: list[str], cache: set[str], tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    coco(work / "data")
    before = files(work)
    done = guarded(COMMAND, *words, work=work, home=home)
    assert done.returncode == 0, done.stderr
    assert {name.split("/")[0] for name in files(home)} <= cache
    made = files(work) - before
    assert made and all(name.startswith("out/") for name in made)


@pytest.mark.slow
def test_no_socket_and_nothing_outside_by_torch_and_its_workers(tmp_path: Path) -> None:
    """A training with a loader process, and the three verbs on its weights; matplotlib keeps a list of fonts."""
    home, work = tmp_path / "home", tmp_path / "work"
    coco(work / "data")
    before = files(work)
    quick = ["--set", "train.iterations=2", "--batch", "2", "--workers", "1", "--weights", "none"]
    model = "out/run/best.safetensors"
    for words in (
        ["train", "data", "--out", "out/run", *quick],
        ["detect", model, "data/train", "--out", "out/drawn"],
        ["eval", model, "data", "--out", "out/report"],
        ["features", "data/train", "-o", "out/features.parquet", "--engine", "torch"],
    ):
        done = guarded(COMMAND, *words, work=work, home=home)
        assert done.returncode == 0, done.stderr
    assert all(name.startswith(".cache/matplotlib/") for name in files(home))
    assert all(name.startswith("out/") for name in files(work) - before)
