"""Single values of annotation files, whatever type the tool wrote them in: numbers, flags, ids.

Tools write 1 as `1`, `1.0`, `"1"` and `true`. All of these are read as what they plainly mean; whatever means
nothing plain is None, for the reader to report.
"""

from __future__ import annotations

import math
import re
from typing import Any

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d{1,400}(\.0*)?\s*", re.ASCII)
_TRUE = frozenset({"1", "true", "yes", "y", "t"})
_FALSE = frozenset({"", "0", "false", "no", "n", "f", "none", "null", "unspecified"})
_LONGEST_DIGITS = 18
"""More digits than a 64-bit number can be sure to hold: such an id is a text."""


def number(value: Any) -> float | None:
    """`value` as a float (too large: infinite), or None if it is no number; a number in quotes is one.

    >>> number("5.5"), number(5), number("1e999"), number(True), number("five"), number("1_0")
    (5.5, 5.0, inf, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        if value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
            return float(value)
        if not _NUMBER.fullmatch(value):
            return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if isinstance(value, str) or value > 0 else -math.inf


def whole(value: Any) -> int | None:
    """`value` as a whole number, or None; True is not a number here.

    >>> whole(3.0), whole("3"), whole("3.0"), whole(3.5), whole(True), whole("9" * 500)
    (3, 3, 3, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    return None


def flag(value: Any) -> bool | None:
    """`value` as yes or no, or None if it says neither; what is not there is a no.

    >>> flag("0"), flag(0), flag(None), flag("1"), flag(1.0), flag(True), flag("maybe"), flag([])
    (False, False, False, True, True, True, None, None)
    """
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value == 1 if value in (0, 1) else None
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        return flag(said) if (said := whole(text)) is not None else None
    return None


def identity(value: Any) -> int | str | None:
    """An id as what it plainly is, so that 1, 1.0 and "1" are one; None if it is neither number nor text.

    >>> identity("1"), identity(1.0), identity("001"), identity("a7"), identity(True), identity(1.5)
    (1, 1, '001', 'a7', None, None)
    """
    if isinstance(value, str):
        digits = value.removeprefix("-")
        plain = digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_DIGITS
        return int(value) if plain and str(int(value)) == value else value
    return whole(value)


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """(height, width) from what a file says, or None if that is no image's size.

    >>> size_of("640", 480.0), size_of(0, 5), size_of(10**400, 9)
    ((480, 640), None, None)
    """
    w, h = whole(width), whole(height)
    usable = h is not None and w is not None and 0 < h < _LARGEST and 0 < w < _LARGEST
    return (h, w) if usable and h is not None and w is not None else None


_LARGEST = 2**31
"""No image file can be wider: larger numbers are a fault of the annotation."""
