"""Writing files so that a crash, a kill or a full disk never leaves half of one; reading arrays to the last bit."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from boxwright.errors import InputError
from boxwright.foreign import reading
from boxwright.regular import check_regular

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part", re.DOTALL)
"""What `replacing` calls a file that is not complete."""
_LONGEST_STEM = 200
"""Bytes of a file's name that its temporary file repeats."""
_BEGINNINGS = tuple("=+-@\t\r")
"""How a cell begins that a spreadsheet may run; a number is none."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SMALL, _MOST_SHRUNK = 16 << 20, 100
"""Bytes of an array that any archive may have, and how many times its own an archive may claim beyond."""
_QUOTED = re.compile(r"'+[=+@\t\r-]")


class FullDiskError(InputError):
    """There is no room for a file; nor is there for the next."""


@contextmanager
def replacing(path: Path, *, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` only when the block ends well.

    The bytes go to a temporary file beside it, are synced, and are renamed over `path`; whoever reads `path`
    sees the old content or the new, never a part. On any error the temporary file is removed and `path` is as
    it was.

    Args:
        path: the file to write; its folder is made.
        keep: where the previous content stays, if there was any.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{_stem(path.name)}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            with _where_it_can():
                os.fsync(file.fileno())
        with _where_it_can():
            # mkstemp makes the file private; what it replaces should be as readable as any other new file.
            temporary.chmod(0o666 & ~_umask())
        if keep is not None and path.exists():
            _keep(path, keep)
        temporary.replace(path)
        with _where_it_can():
            _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _where_it_can() -> Iterator[None]:
    """For what makes a file safer or more useful, and what some file systems refuse: FAT, FUSE, network shares."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM or error.errno == errno.EIO:
            raise


def _keep(path: Path, keep: Path) -> None:
    """Let `keep` be what `path` is now, with a file under `path` at every moment."""
    keep.unlink(missing_ok=True)
    try:
        os.link(path, keep)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        # No hard links here (exFAT, Google Drive, S3): a copy, whole or not at all.
        with replacing(keep) as file, path.open("rb") as source:
            shutil.copyfileobj(source, file)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, all of it or nothing."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text to `path`, all of it or nothing."""
    write_bytes(path, content.encode())


def spreadsheet_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it.

    >>> spreadsheet_cell("=HYPERLINK(1)"), spreadsheet_cell("cat"), spreadsheet_cell(-1.5)
    ("'=HYPERLINK(1)", 'cat', -1.5)
    """
    if isinstance(value, str) and (_runs(value) or _QUOTED.match(value)):
        return f"'{value}"
    return value


def spreadsheet_text(cell: str) -> str:
    """What `spreadsheet_cell` was given, from the text of the cell.

    >>> spreadsheet_text("'=HYPERLINK(1)"), spreadsheet_text("'n roses"), spreadsheet_text("cat")
    ('=HYPERLINK(1)', "'n roses", 'cat')
    """
    return cell[1:] if _QUOTED.match(cell) else cell


def _runs(text: str) -> bool:
    return text[:1] in _BEGINNINGS and not _NUMBER.fullmatch(text)


def sweep(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove what a kill has left of files that were being written in a folder: of these names, or of any."""
    stems = None if names is None else {_stem(name) for name in names}
    for path in folder.glob(".*.part"):
        if (match := _TEMPORARY.fullmatch(path.name)) and (stems is None or match[1] in stems):
            path.unlink(missing_ok=True)


def _stem(name: str) -> str:
    """As much of a name as its temporary file repeats: one of 255 bytes leaves no room for what is put around it."""
    return os.fsencode(name)[:_LONGEST_STEM].decode(errors="ignore")


def read_arrays(path: Path, names: Sequence[str], *, kind: str, again: str) -> dict[str, np.ndarray]:
    """Some arrays of an .npz archive, each compared with its checksum; no pickle is ever opened.

    Args:
        path: the archive.
        names: the arrays that it must have.
        kind: what the file should be, for the message: "file of proposals".
        again: how to make it anew, as an imperative.

    Raises:
        InputError: missing, damaged, or another kind of file.
    """
    if not path.exists():
        raise InputError("does not exist", path=path, hint=again)
    with reading(path, kind, again=f"delete it and {again}"):
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            # Not np.load: it stops where an array's header says, and so may not come to the checksum behind it.
            return {name: _array(archive, f"{name}.npy") for name in names}


def unwritable(path: Path, error: OSError) -> InputError:
    """The one line for a file that could not be written."""
    if error.errno in _NO_ROOM:
        return FullDiskError("the disk is full", path=path, hint="free some space or choose another folder")
    return InputError(
        f"cannot be written ({error.strerror or error})", path=path, hint="choose a folder you may write to"
    )


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array; what its header and the archive's declare must be there before memory is taken for it."""
    entry = archive.getinfo(name)
    if entry.file_size > max(_SMALL, _MOST_SHRUNK * entry.compress_size):
        raise ValueError(f"{name} claims {entry.file_size} bytes of {entry.compress_size}")
    content = io.BytesIO(archive.read(name))
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, by_columns, dtype = read_header[np.lib.format.read_magic(content)](content)
    count = math.prod(shape)
    if dtype.hasobject or count * dtype.itemsize != entry.file_size - content.tell():
        raise ValueError(f"{name} is not what its header says")
    flat: np.ndarray = np.frombuffer(content.getbuffer(), dtype, count, content.tell()).copy()
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows has no folder handles and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
