"""The boundary between files of others and this program: whatever such a file causes is one line that names it.

A damaged or forged file fails in as many ways as its readers have: struct.error, RecursionError, OverflowError,
Arrow's, protobuf's and ONNX Runtime's own. No list of exceptions is complete, so none is kept; the boundary takes
them all, and stands tightly around what reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boxwright.errors import InputError
from boxwright.regular import read_regular

_LONGEST = 200
"""Characters of a reader's own words."""


@contextmanager
def reading(path: str | Path | None, kind: str, *, again: str) -> Iterator[None]:
    """Turn whatever a file causes inside the block into one line about that file.

    Nothing but reading and understanding the file should stand inside; what it is used for should not.

    Args:
        path: the file; None where there is only its content.
        kind: what it should be, for the message: "table of features".
        again: the way out, as an imperative: "make it with boxwright features".

    Raises:
        InputError: the block raised any Exception. An InputError that names no file is given this one.

    >>> with reading("a.json", "list of names", again="write it again"):
    ...     json.loads("[" * 100_000)
    Traceback (most recent call last):
    boxwright.errors.InputError: a.json: is damaged or no list of names (nested too deeply); write it again
    """
    try:
        yield
    except InputError as error:
        if error.path is not None or path is None:
            raise
        raise InputError(error.message, path=path, hint=error.hint or again) from error
    except FileNotFoundError as error:
        raise InputError("does not exist", path=path, hint=again) from error
    except OSError as error:
        raise InputError(f"cannot be read ({in_words(error)})", path=path, hint=again) from error
    except MemoryError as error:
        raise InputError(
            f"is damaged, or this {kind} is too large for this machine's memory", path=path, hint=again
        ) from error
    except Exception as error:
        raise InputError(f"is damaged or no {kind} ({in_words(error)})", path=path, hint=again) from error


def read_json(path: Path, kind: str, *, again: str) -> dict[str, Any]:
    """The JSON object that a file of ours holds; `kind` and `again` as of `reading`.

    Raises:
        InputError: it does not exist, cannot be read, or holds something else.
    """
    with reading(path, kind, again=again):
        values = json.loads(read_regular(path).decode())
        if not isinstance(values, dict):
            raise TypeError("not an object")
    return values


def in_words(error: Exception) -> str:
    """What an exception says, in a line; a key or an index alone says nothing to a person."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, KeyError):
        return f"it has no {str(error)[:_LONGEST]}"
    text = getattr(error, "strerror", None) or str(error)
    line = next((line.strip() for line in str(text).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
