"""Of several processes that torchrun started, only the first one talks; errors are everybody's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path


def is_first() -> bool:
    """Whether this process is the first of those that train together, or alone."""
    return not int(os.environ.get("RANK", "0"))


@contextmanager
def first_alone() -> Iterator[None]:
    """Send what other processes than the first one print in this block nowhere; exceptions pass."""
    if is_first():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
