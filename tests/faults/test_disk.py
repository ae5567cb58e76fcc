"""A full disk: one line, exit 2, no part of a file left, nothing lost."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.data.scenes import write_scenes
from boxwright.files import write_text

LIMIT = 12_000
"""Bytes that a file may have; the kernel refuses more with EFBIG, which is as good as a full disk."""


def limited(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "boxwright", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("disk") / "data", train=2, val=1, test=0, size=(320, 320))


@pytest.mark.parametrize("verb", ["convert", "check --fix", "train", "demo"])
def test_a_full_disk(data: Path, tmp_path: Path, verb: str) -> None:
    arguments = {
        "convert": ["convert", str(data), "out", "--to", "voc"],
        "check --fix": ["check", str(data), "--fix", "out"],
        "train": ["train", str(data), "--out", "out", "--epochs", "1", "--workers", "0"],
        "demo": ["demo", "--quick", "--out", "out"],
    }[verb]
    done = limited(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("boxwright: ")]
    assert len(lines) == 1
    assert "the disk is full" in lines[0]
    left = [str(path) for path in tmp_path.rglob("*") if ".part" in path.name]
    assert not left
    if verb in ("convert", "check --fix"):
        assert not (tmp_path / "out").exists()
    if verb == "train":
        assert not list(tmp_path.rglob("*.safetensors"))


def test_the_old_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    script = (
        "import resource, sys; from pathlib import Path; from boxwright.files import write_text;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT})); write_text(Path(sys.argv[1]), 'x' * 99999)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True)
    assert "the disk is full" in done.stderr
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
