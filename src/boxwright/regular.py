"""Files of others, opened: only what is a file, so that nothing waits for a pipe or reads a device without end.

What is refused is an OSError with a reason of its own, as what cannot be opened is.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def check_regular(path: str | Path) -> os.stat_result:
    """What the system says of a file, which is there.

    Raises:
        OSError: it is a pipe, a socket, a device or a folder, or is not there.
    """
    status = os.stat(path)  # noqa: PTH116 (as fast as it gets: every image passes here)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is a pipe, a socket or a device, not a file", str(path))
    return status


def open_regular(path: Path) -> BinaryIO:
    """A file, open for reading.

    Raises:
        OSError: as `check_regular`, or it cannot be opened.
    """
    check_regular(path)
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """A file's content.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False for a name that no file can have (too long, a circle of links)."""
    return os.path.isfile(path)  # noqa: PTH113 (a Path's own raises where the system refuses the name)


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder; False for a name that no folder can have."""
    return os.path.isdir(path)  # noqa: PTH112


def real_path(path: str | Path) -> Path:
    """Where a name leads when all links are followed, as far as they lead anywhere: circles of links end nowhere."""
    return Path(os.path.realpath(path))  # a Path's own resolve raises RuntimeError for circles
