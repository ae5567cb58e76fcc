"""Compiling the loops of this package with numba, where it is installed.

A kernel is an ordinary function of arrays and numbers, in loops that Python runs too: without numba the same
source gives the same numbers, only later.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable


@functools.cache
def compiled(kernel: Callable[..., None]) -> Callable[..., None]:
    """`kernel` as machine code that holds no lock of Python's, or as it is where numba is not installed."""
    plain = inspect.unwrap(kernel)  # without the wrapper by which tests check signatures
    try:
        import numba
    except ImportError:
        return plain
    options = {"nogil": True, "error_model": "numpy"}
    try:
        found: Callable[..., None] = numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # no folder that numba may keep its cache in
        found = numba.njit(**options)(plain)
    return found
