"""Damage: to bytes, to texts, to JSON values, to arrays; every choice comes from the given generator."""

from __future__ import annotations

import json
import random
import re
from typing import Any

NUMBERS = (
    "nan", "inf", "-inf", "NaN", "Infinity", "1e308", "-1e308", "1e999", "0", "-0", "-1", "1", "2", "255",
    "256", "65536", "2147483648", "-2147483649", "9223372036854775808", "99999999999999999999999999",
    "1e-320", "0.5", "-0.5", "1,5", "0x10", "1_000", "١", "½", "1e", "1.2.3", "+5", "00012",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\x1b[31m", "é", "e\u0301", "\ud7ff", "a" * 5000, "../../etc/passwd", "/etc/passwd", "C:\\a\\b.jpg",
    "http://example.org/a.jpg", "%00", "null", "true", "~", "=1+1", "\u202e", "..", ".", "con", "*", "[a]", "-1", "nan",
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_]{2,}")
_MARKS = "{}[]<>\"',:;=&#!-|\n\t\\/%@`*?"


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """A few of: bits flipped, bytes replaced, parts cut, doubled, moved or zeroed, numbers made huge."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            return bytes(rng.randbytes(rng.randrange(64)))
        at = rng.randrange(len(data))
        # What decides stands at the beginning or the end of most formats.
        if rng.random() < 0.5:
            at = (
                rng.randrange(min(len(data), 256))
                if rng.random() < 0.7
                else -1 - rng.randrange(min(len(data), 256))
            )
            at %= len(data)
        length = rng.choice((1, 2, 4, 8, rng.randrange(1, 1 + len(data))))
        match rng.randrange(9):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = rng.randrange(len(data))
                data[at : at + length] = data[other : other + length]
            case 6:
                data[at : at + length] = bytes(min(length, len(data) - at))
            case 7:
                size = rng.choice((2, 4, 8))
                value = rng.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1))
                data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
            case _:
                data[at:at] = rng.randbytes(rng.randrange(1, 32))
    return bytes(data)


def mutate_text(content: bytes, rng: random.Random) -> bytes:
    """Damage to a text as a text, or as bytes, or to its encoding."""
    how = rng.random()
    if how < 0.2:
        return mutate_bytes(content, rng)
    text = content.decode("utf-8", "surrogateescape")
    if how < 0.6 and text.lstrip()[:1] in ("{", "["):
        try:
            return mutated_json(text, rng).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            pass
    for _ in range(rng.choice((1, 1, 2, 5))):
        text = _edited(text, rng)
    if rng.random() < 0.06:
        return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32")), "replace")
    return text.encode("utf-8", "surrogateescape" if rng.random() < 0.9 else "replace")


def _edited(text: str, rng: random.Random) -> str:
    kind = rng.randrange(9)
    if kind <= 2 and (numbers := list(_NUMBER.finditer(text))):
        found = rng.choice(numbers)
        return text[: found.start()] + rng.choice(NUMBERS) + text[found.end() :]
    if kind <= 4 and (words := list(_WORD.finditer(text))):
        found, other = rng.choice(words), rng.choice(words)[0]
        return text[: found.start()] + rng.choice((*TEXTS, other, other)) + text[found.end() :]
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(text) + 1)
    if kind == 5 and lines:
        row = rng.randrange(len(lines))
        change = rng.randrange(3)
        if change == 0:
            del lines[row]
        elif change == 1:
            lines[row:row] = [lines[rng.randrange(len(lines))]] * rng.choice((1, 1, 1000))
        else:
            rng.shuffle(lines)
        return "".join(lines)
    if kind == 6:
        return text[:at] + rng.choice(_MARKS) * rng.choice((1, 1, 2, 3000)) + text[at:]
    if kind == 7:
        return text[:at] + rng.choice(TEXTS) + text[at:]
    return text[:at]


def mutated_json(text: str, rng: random.Random) -> str:
    """JSON with some of its values replaced, left out, doubled or put deeper; keys that come twice, too."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = _changed(value, rng)
    made = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    for mark, deep in (("@list", "["), ("@dict", '{"a":')):
        made = made.replace(f'"{mark}"', deep * 100_000)
    if rng.random() < 0.1 and (keys := list(re.finditer(r'"[A-Za-z_]+": ', made))):
        found = rng.choice(keys)
        made = f"{made[: found.start()]}{found[0]}{json.dumps(_any(rng))}, {made[found.start() :]}"
    return made


def _changed(value: Any, rng: random.Random) -> Any:
    """The value with one change somewhere in it."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return _other(value, rng)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    if isinstance(value[key], dict | list) and rng.random() < 0.85:
        value[key] = _changed(value[key], rng)
        return value
    match rng.randrange(6):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value[key:key] = [value[key]] * rng.choice((1, 3, 500))
        case 1:
            value[rng.choice(TEXTS)] = value[key]
        case _:
            value[key] = _other(value[key], rng)
    return value


def _other(value: Any, rng: random.Random) -> Any:
    match rng.randrange(8):
        case 0:
            return [value]
        case 1:
            return {"a": value}
        case 2 if isinstance(value, int | float):
            return str(value)
        case 3 if isinstance(value, int | float):
            return -value
        case 4 if isinstance(value, int | float):
            return value * rng.choice((0, 0.5, 1000, 1e300))
        case _:
            return _any(rng)


def _any(rng: random.Random) -> Any:
    some: tuple[Any, ...] = (
        None, True, False, 0, 1, -1, 0.5, 2**31, 2**63, 10**30, 10**400, 1e308, float("nan"), float("inf"),
        [], {}, [[]], [None], [1, 2], {"a": []}, "@list", "@dict",
    )  # fmt: skip
    return rng.choice((*some, rng.choice(TEXTS)))
