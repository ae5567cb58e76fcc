"""Frozen records to JSON values and back, by their type hints; nan is None in JSON, which has no nan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def to_plain(value: Any) -> Any:
    """JSON values of a record and all that it holds.

    A record that has a `to_dict` of its own is written by that.
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def from_plain(kind: type[Record], values: Any) -> Record:
    """The record of type `kind` that `to_plain` made `values` of."""
    made: Record = _read(kind, values)
    return made


def _read(kind: Any, value: Any) -> Any:
    if hasattr(kind, "from_dict"):
        return kind.from_dict(value)
    if is_dataclass(kind):
        make: Any = kind
        return make(**{name: _read(hint, value[name]) for name, hint in _fields(make).items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], one) for one in value)
    if origin is tuple:
        return tuple(_read(part, one) for part, one in zip(arguments, value, strict=True))
    if origin is dict:
        return {key: _read(arguments[1], one) for key, one in value.items()}
    if kind is float:
        return math.nan if value is None else float(value)
    if kind in (int, str) and not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} where a {kind.__name__} should be")
    return value


@cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}
