"""Where every verb ends that is stopped: one line on standard error, and exit code 3."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from boxwright import stopping
from boxwright.cli.console import say
from boxwright.errors import InputError

STOPPED = 3


class Verbs(TyperGroup):
    """The group of all verbs; it sits inside of typer's own handling of Ctrl-C, which has no line and another code."""

    # Click's own context, whose class has no public name in typer.
    def invoke(self, ctx: Any) -> Any:
        """Run a verb; stopped by Ctrl-C or SIGTERM it ends with a line that says how to go on, and exit code 3."""
        said = ""
        stopping.begin()
        with stopping.Signals() as signals:
            try:
                return super().invoke(ctx)
            except (typer.Exit, typer.Abort):
                raise
            except BaseException as error:
                if not signals.is_end(error):
                    raise
                # An input error after the signal is one of saving: what was to be kept is not.
                said = f"stopped; {error}" if isinstance(error, InputError) else stopping.line(error)
            # An exec that was interrupted (every dataclass is made by one) leaves a mark by which Python would end by
            # SIGINT instead of with an exit code; the next exec takes it away.
            exec("")
            # Only here have the frames gone that hold a bar on the terminal.
            if not int(os.environ.get("RANK", "0")):
                say(f"boxwright: {said}")
            raise typer.Exit(STOPPED)


def command(*, add: str = "", drop: tuple[str, ...] = ("--overwrite",)) -> str:
    """The command that was given, to be typed again.

    Args:
        add: an option that it shall have.
        drop: options that it shall not have; what is there would be lost by --overwrite.
    """
    import shlex
    import sys

    words = [word for word in sys.argv[1:] if word not in (*drop, add)]
    return shlex.join(["boxwright", *words, *([add] if add else [])])


def goes_on(kept: str) -> str:
    """What is kept, and that the same command goes on from there."""
    return f"{kept}; go on with: {command()}"
