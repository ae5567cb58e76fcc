"""Compiling the loops of this package with numba, where it is installed.

A kernel is an ordinary function of arrays and numbers, in loops that Python runs too: without numba the same
source gives the same numbers, only later.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from boxwright.compiling import machine_code


@functools.cache
def compiled(kernel: Callable[..., None]) -> Callable[..., None]:
    """`kernel` as machine code that holds no lock of Python's, or as it is where numba is not installed."""
    return machine_code(kernel) or inspect.unwrap(kernel)
