"""A case in a process of its own, with limits, and the judgement of how it ended and what it left."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MEMORY = 6 << 30
"""Bytes of address space beside those that the loaded libraries take."""
CPU_SECONDS, WALL_SECONDS = 60, 240
"""What a command may take; the second is for a machine that others use too."""
_LONGEST_LINE = 2100
_LOADED = (
    "torch", "onnxruntime", "onnx", "pyarrow.parquet", "sklearn.cluster", "matplotlib.pyplot", "numba",
    "hotcoco", "skimage", "PIL.Image", "boxwright.cli", "boxwright.model", "boxwright.evaluate",
    "boxwright.data.open", "boxwright.recipes", "boxwright.training.run", "boxwright.cluster.table",
    "boxwright.runtime.onnx", "boxwright.nets",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a case ended.

    Attributes:
        code: the exit code; negative is the signal that killed it.
        output: what it printed, both streams.
        seconds: of the clock.
        wrong: what should not have been, or "".
    """

    code: int
    output: str
    seconds: float
    wrong: str


def preload() -> None:
    """Import what commands import, once for all cases; no case begins with threads that a fork would lose."""
    import importlib

    for name in _LOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"without {name}", file=sys.stderr)


def forked(what: Callable[[], int], output: Path) -> tuple[int, float]:
    """The exit code of a function in a forked process, and how long it took; killed when it takes too long."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _redirect(output)
            code = what()
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (OSError, ValueError):
                    code = code or 71
            os._exit(code)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > WALL_SECONDS:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


def run(words: list[str], here: Path) -> Ended:
    """Run a command in a folder; it may write below `here`/out, and nowhere else."""
    before = _state(here)
    output = here.with_name(here.name + ".txt")

    def command() -> int:
        _limits()
        os.chdir(here)
        for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "BOXWRIGHT_CACHE"):
            os.environ[name] = str(here / "out/home")
        (here / "out/home").mkdir(parents=True, exist_ok=True)
        os.environ["BOXWRIGHT_WEIGHTS_URL"] = (here / "no-weights").as_uri()
        sys.argv = ["boxwright", *words]
        from boxwright.cli import main

        try:
            main()
        except SystemExit as stopped:
            return stopped.code if isinstance(stopped.code, int) else 0 if stopped.code is None else 1
        return 0

    code, seconds = forked(command, output)
    said = output.read_text(errors="replace")
    return Ended(code, said, seconds, _wrong(code, said, before, _state(here)))


def _wrong(code: int, said: str, before: dict[str, str], after: dict[str, str]) -> str:
    if "Traceback (most recent call last)" in said:
        # Of several threads and processes the last one is the command's own.
        frames = [
            line.strip() for line in said.splitlines() if line.startswith("  File ") and "boxwright" in line
        ]
        at = frames[-1].rpartition("/src/")[2] if frames else "?"
        kind = next((line for line in reversed(said.splitlines()) if line and line[0].isalpha()), "?")
        return f"traceback: {kind.split(':')[0]} at {at}"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "no end within the limit"
    if code not in (0, 1, 2, 3):
        return f"exit {code}"
    if before != after:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return f"changed outside its output: {', '.join(changed)[:200]}"
    if code == 2 and not said.strip():
        return "exit 2 without a word"
    lines = said.replace("\r", "\n").split("\n")
    if any(len(line) > _LONGEST_LINE for line in lines if not line.startswith("{")):
        return "a line without end"
    if any(ord(character) < 32 and character not in "\n\r\t" for character in said):
        return "control characters on the terminal"
    return ""


def _state(here: Path) -> dict[str, str]:
    """A digest of every file below a folder but for its `out`."""
    found = {}
    for root, folders, files in os.walk(here):
        if Path(root) == here and "out" in folders:
            folders.remove("out")
        for name in files:
            path = Path(root, name)
            link = path.is_symlink()
            content = os.fsencode(path.readlink()) if link else path.read_bytes()
            found[str(path.relative_to(here))] = hashlib.sha256(content).hexdigest()
        for name in folders:
            found[str(Path(root, name).relative_to(here))] = "folder"
    return found


def _limits() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))


def _redirect(output: Path) -> None:
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115


def keep(folder: Path, here: Path, words: list[str], ended: Ended) -> None:
    """Keep a failure with all that it takes to run it again."""
    folder.mkdir(parents=True)
    here.rename(folder / "files")
    told = {"words": words, "code": ended.code, "seconds": round(ended.seconds, 2), "wrong": ended.wrong}
    (folder / "case.json").write_text(json.dumps(told, indent=1) + "\n")
    (folder / "output.txt").write_text(ended.output, errors="backslashreplace")
