"""The folder of a run: whose it is, and that only one process at a time writes into it.

A mark inside the folder says that boxwright made it; names of files alone never do. A lock says which process works
in it; a lock that nobody holds any more, as after a kill, is no lock.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from boxwright.errors import InputError
from boxwright.files import write_text

try:
    import fcntl
except ImportError:  # Windows has none; the written process number is all there is then
    fcntl = None  # type: ignore[assignment]

MARK, LOCK = ".boxwright-run", ".boxwright-lock"
_RUN_KEYS = {"classes", "iterations", "train"}


def is_ours(out: Path) -> bool:
    """Whether a run of boxwright made the folder; version 0.1 left no mark, but a `run.json` with its own keys."""
    if (out / MARK).is_file():
        return True
    try:
        said = json.loads((out / "run.json").read_text("utf-8"))
    except Exception:  # whatever it is, it is none of ours
        return False
    return isinstance(said, dict) and (set(said) >= _RUN_KEYS or set(said) >= {"task", "train"})


def claim(out: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Make the folder ours: remove an earlier run's files, and nothing that is not of a run.

    Args:
        out: the folder; it need not exist.
        names: of the files that a run writes.
        overwrite: replace files of these names even though no run of ours wrote them.

    Raises:
        InputError: files of these names are there, the folder is not ours, and nobody said to overwrite them.
    """
    there = [name for name in (*names, "tb") if (out / name).exists()]
    if there and not is_ours(out) and not overwrite:
        raise InputError(
            f"holds {', '.join(there[:4])}, which no run of boxwright wrote",
            path=out,
            hint="choose another --out, or replace them with --overwrite",
        )
    for name in names:
        (out / name).unlink(missing_ok=True)
    for events in sorted((out / "tb").glob("**/events.out.tfevents.*")):
        events.unlink(missing_ok=True)
    write_text(out / MARK, '{"made by": "boxwright", "kind": "training run"}\n')


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes out of a folder; of several that train together, the first one does.

    Raises:
        InputError: another process works in it; names the process and its machine.
    """
    if int(os.environ.get("RANK", "0")):
        yield
        return
    path = out / LOCK
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        # The run's own first write says what is wrong with the folder.
        yield
        return
    try:
        _take(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> None:
    said = _holder(handle)
    try:
        if fcntl is None:
            raise OSError
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(path, said) from None
    except OSError:
        # File systems without locks: the process that is written there, if it lives.
        if (
            said is not None
            and said[0] != os.getpid()
            and said[1] == socket.gethostname()
            and _lives(said[0])
        ):
            raise _busy(path, said) from None


def _holder(handle: int) -> tuple[int, str] | None:
    try:
        said = json.loads(os.pread(handle, 1000, 0))
        return int(said["pid"]), str(said["host"])
    except Exception:  # whatever stands in it, it names no process
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _busy(path: Path, said: tuple[int, str] | None) -> InputError:
    who = "another process" if said is None else f"process {said[0]} on {said[1]}"
    return InputError(
        f"{who} is writing into it", path=path.parent, hint="wait for it, or choose another --out"
    )
