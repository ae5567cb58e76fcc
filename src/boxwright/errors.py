"""The one error that a user's input can cause.

Everything that is wrong with what was *given* (a file, a folder, an argument) raises `InputError`; its text is
one line that names the thing and the way out. The command line prints that line and exits with 2. Any other
exception is a defect of boxwright and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

_LONGEST = 2000
"""Characters of a line: names may have thousands, and nobody reads them."""

_LISTED = 20
"""Names in a hint: more would not be read."""


class InputError(ValueError):
    """Bad input: says what is wrong, in which file, and what to do about it.

    Args:
        message: what is wrong, without a full stop.
        path: the file or folder it is wrong in; put first in the text.
        hint: the way out, as an imperative sentence part ("run boxwright check DATA").

    >>> print(InputError("not a JPEG", path="a.jpg", hint="convert it first"))
    a.jpg: not a JPEG; convert it first
    """

    def __init__(self, message: str, *, path: str | Path | None = None, hint: str | None = None) -> None:
        self.message, self.path, self.hint = message, path, hint
        text = f"{path}: {message}" if path is not None else message
        super().__init__(printable(" ".join(f"{text}; {hint}".split() if hint else text.split())))


class ToldElsewhereError(InputError):
    """What stopped this process of several is told by another one; nothing more is to be said."""


def printable(text: str) -> str:
    r"""A line as a terminal may be sent it: control characters shown instead of sent, and no longer than is read.

    >>> print(printable("a\x1b[31m.jpg"))
    a\x1b[31m.jpg
    >>> len(printable("x" * 100_000))
    2000
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2 - 3]} ... {text[-(_LONGEST // 2 - 2) :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def near(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt name: the nearest known ones, or all of them when none is near.

    >>> near("ssd300-vgg61", ["ssd300-vgg16", "retinanet-resnet50-fpn"])
    'did you mean ssd300-vgg16?'
    >>> near("x", ["cat", "dog"])
    'known: cat, dog'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {some(names, _LISTED)}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of a list of names, and how many there are beside them.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
