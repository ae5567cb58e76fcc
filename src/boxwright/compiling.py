"""Loops of Python as machine code by numba, where it is installed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


def machine_code(function: _F, *, fuse: bool = False) -> _F | None:
    """A function of arrays and numbers, compiled, holding no lock of Python's; None where numba is not installed.

    Args:
        function: loops that Python runs too.
        fuse: multiply and add may round once instead of twice.
    """
    try:
        import numba
    except ImportError:
        return None
    plain = inspect.unwrap(function)  # without the wrapper by which tests check signatures
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if fuse:
        options["fastmath"] = {"contract"}
    try:
        kernel: _F = numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # no folder that numba may keep its cache in
        kernel = numba.njit(**options)(plain)
    return kernel
