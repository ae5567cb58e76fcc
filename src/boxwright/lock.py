"""One process at a time writes into a folder: a file in it says which, and is locked as long as that process lives.

A lock that nobody holds any more, as after a kill, is no lock.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boxwright.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has none; the written process number is all there is then
    fcntl = None  # type: ignore[assignment]

LOCK = ".boxwright-lock"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made; of several that train together, the first one does.

    Raises:
        InputError: another process works in it; names the process and its machine.
    """
    with locked_by(out / LOCK, out):
        yield


@contextmanager
def locked_by(lock: Path, what: Path) -> Iterator[None]:
    """The same by a lock file that lies somewhere else; `what` is what a message names.

    Raises:
        InputError: another process has it.
    """
    if int(os.environ.get("RANK", "0")):
        yield
        return
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _opened(lock, what)
    except OSError:
        # The command's own first write says what is wrong with the folder.
        yield
        return
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
    finally:
        os.close(handle)


def _opened(lock: Path, what: Path) -> int:
    """The lock file, locked; and not one that its last holder has just removed."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(handle, what)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, what: Path) -> None:
    said = _holder(handle)
    try:
        if fcntl is None:
            raise OSError
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(what, said) from None
    except OSError:
        # File systems without locks: the process that is written there, if it lives.
        if (
            said is not None
            and said[0] != os.getpid()
            and said[1] == socket.gethostname()
            and _lives(said[0])
        ):
            raise _busy(what, said) from None


def _holder(handle: int) -> tuple[int, str] | None:
    try:
        said = json.loads(os.pread(handle, 1000, 0))
        return int(said["pid"]), str(said["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _busy(what: Path, said: tuple[int, str] | None) -> InputError:
    who = "another process" if said is None else f"process {said[0]} on {said[1]}"
    return InputError(f"{who} is writing into it", path=what, hint="wait for it, or choose another --out")
