"""What commands share on the screen: progress that is a bar on a terminal and silent elsewhere, and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from boxwright.errors import printable
from boxwright.stopping import counted

Item = TypeVar("Item")

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also replace files in --out that boxwright did not write.")
]


def say(line: str) -> None:
    """A line for the person, on standard error: standard output belongs to results."""
    print(*map(printable, line.split("\n")), sep="\n", file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """A line of a result, on standard output."""
    print(*map(printable, line.split("\n")), sep="\n", flush=True)


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Pass `items` through with a bar on standard error when that is a terminal; counted, for the line of a stop.

    Args:
        items: what is worked on.
        what: the bar's label, what is done with them: "reading".
        total: how many there are, where `items` does not know.
    """
    items = counted(items, what, total)
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total=total, console=Console(stderr=True), transient=True)
