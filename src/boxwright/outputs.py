"""The files that a command writes into a folder that it is given: which are ours, and what could not be written.

A record in the folder names the files that boxwright has written there. A file that it does not name is somebody
else's, whatever it is called, and is neither replaced nor removed unless that is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from boxwright.errors import InputError
from boxwright.files import FullDiskError, sweep, unwritable
from boxwright.lock import locked

RECORD = ".boxwright-files"
_HEADER = {"made by": "boxwright", "lines": "the files that it has written here"}


class Record:
    """The names of the files in a folder that boxwright has written.

    Args:
        folder: it need not exist, and need not have a record.

    Attributes:
        names: relative to the folder, with forward slashes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = _read(folder / RECORD)

    def add(self, *names: str) -> None:
        """Name files before they are written: one that a kill leaves half written must not be somebody else's.

        Raises:
            InputError: nothing can be written into the folder.
        """
        fresh = [name for name in names if name not in self.names]
        lines = [json.dumps(value) for value in ([] if self.names else [_HEADER]) + fresh]
        if not fresh:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / RECORD).open("ab" if self.names else "wb") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self.names.update(fresh)

    def remove(self) -> None:
        """Forget all names."""
        self.names = set()
        (self.folder / RECORD).unlink(missing_ok=True)


def _read(path: Path) -> set[str]:
    try:
        header, *lines = path.read_bytes().split(b"\n")
        if json.loads(header) != _HEADER:
            return set()
    except (OSError, ValueError, RecursionError):
        return set()
    names = set()
    for line in lines:
        with suppress(ValueError, RecursionError):  # a kill may have cut the last one
            name = json.loads(line)
            # Nothing outside of the folder is ours because a file says so.
            if (
                isinstance(name, str)
                and not PurePosixPath(name).is_absolute()
                and ".." not in name.split("/")
            ):
                names.add(name)
    return names


class Outputs:
    """The outputs in a folder; a context manager that keeps other processes out and sweeps what a kill has left.

    Args:
        folder: made when the block begins, and gone again at its end if nothing was written into it.
        overwrite: take files of others for ours.

    Raises:
        InputError: another process writes into it, or it is a file.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self.folder, self._overwrite = folder, overwrite
        self._record = Record(folder)
        self._stack = ExitStack()
        self._made: list[Path] = []

    def __enter__(self) -> Outputs:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError("is a file, not a folder", path=self.folder, hint="choose another --out")
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        with ExitStack() as stack:
            stack.callback(self._remove_empty)
            stack.enter_context(locked(self.folder))
            self._record = Record(self.folder)
            names: dict[Path, set[str]] = {}
            for path in map(self.folder.joinpath, self._record.names):
                names.setdefault(path.parent, set()).add(path.name)
            for parent, there in names.items():
                sweep(parent, there)
            stack.callback(self._forget)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def claim(self, path: Path) -> Path:
        """Make a path in the folder ours, before it is written.

        Raises:
            InputError: somebody else's file is there, or nothing can be written into the folder.
        """
        name = path.relative_to(self.folder).as_posix()
        if name not in self._record.names:
            if not self._overwrite and os.path.lexists(path):
                raise InputError(
                    "exists, and boxwright did not write it",
                    path=path,
                    hint="choose another --out, or replace it with --overwrite",
                )
            self._record.add(name)
        return path

    def claim_all(self, *names: str) -> None:
        """The same for several names; none is claimed if one is somebody else's."""
        refuse_foreign(self.folder, names, self._record.names, overwrite=self._overwrite)
        self._record.add(*names)

    def files(self, suffix: str = "") -> list[Path]:
        """The files there that boxwright wrote, sorted."""
        paths = (self.folder / name for name in sorted(self._record.names) if name.endswith(suffix))
        return [path for path in paths if path.is_file()]

    def remove(self) -> None:
        """Remove the files that boxwright wrote; at the end of the block the folder too, if nothing else is in it."""
        for path in self.files():
            path.unlink()
        self._record.remove()
        self._made = self._made or [self.folder]

    def _forget(self) -> None:
        """What was claimed and not written is nobody's."""
        if not any(os.path.lexists(self.folder / name) for name in self._record.names):
            self._record.remove()

    def _remove_empty(self) -> None:
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()


def refuse_foreign(folder: Path, names: tuple[str, ...], ours: set[str], *, overwrite: bool) -> None:
    """See that no file of these names is somebody else's.

    Raises:
        InputError: one is, and nobody said to overwrite it.
    """
    foreign = [name for name in names if name not in ours and os.path.lexists(folder / name)]
    if foreign and not overwrite:
        raise InputError(
            f"holds {', '.join(foreign[:4])}, which no run of boxwright wrote",
            path=folder,
            hint="choose another --out, or replace them with --overwrite",
        )


def refuse_other(path: Path, beginnings: tuple[bytes, ...], *, overwrite: bool) -> None:
    """See that a file that is to be replaced is one of its kind that boxwright wrote.

    Args:
        path: it need not exist.
        beginnings: of what boxwright writes there.
        overwrite: replace it in any case.

    Raises:
        InputError: something else is there.
    """
    if overwrite or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, beginnings)))
    except OSError as error:
        raise unwritable(path, error) from error
    if not head.startswith(beginnings):
        raise InputError(
            "exists, and boxwright did not write it",
            path=path,
            hint="choose another name, or replace it with --overwrite",
        )


class Unwritten:
    """What a batch could not write; it goes on, and says so at its end.

    Attributes:
        errors: one for each output.
    """

    def __init__(self) -> None:
        self.errors: list[InputError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what cannot be written in the block; a full disk ends the batch, since nothing more could be."""
        try:
            yield
        except FullDiskError:
            raise
        except InputError as error:
            self.errors.append(error)

    def tell(self, say: Callable[[str], object]) -> bool:
        """Say what was not written; returns whether there is any such."""
        for error in self.errors:
            say(f"boxwright: not written: {error}")
        return bool(self.errors)
