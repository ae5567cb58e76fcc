"""The command line: one module a verb, and one place where errors become lines and exit codes.

Nothing heavy is imported here; each command imports what it needs when it runs, so that `--help` is quick.
Exit codes: 0 done, 1 findings, 2 bad input or use, 3 stopped and resumable.
"""

from __future__ import annotations

import sys

import typer

from boxwright.cli import anchors, check, convert, demo, detect, eval, export, train
from boxwright.errors import InputError

app = typer.Typer(
    name="boxwright",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Train a detector on your own images, see how good it is and why it errs, and use it.",
    epilog="A first look: `boxwright demo` trains a small detector on scenes that it makes itself.",
)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Train a detector on your own images, see how good it is and why it errs, and use it."""
    if version:
        from boxwright import __version__

        typer.echo(__version__)
        raise typer.Exit


for _verb, _module in (
    ("train", train),
    ("eval", eval),
    ("detect", detect),
    ("export", export),
    ("check", check),
    ("convert", convert),
    ("anchors", anchors),
    ("demo", demo),
):
    app.command(_verb)(_module.command)


def main() -> None:
    """Run the command line; bad input becomes one line and exit 2, Ctrl-C exit 3."""
    try:
        app()
    except InputError as error:
        typer.echo(f"boxwright: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("boxwright: stopped", err=True)
        sys.exit(3)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is wrong, and nothing more can be said.
        sys.stderr.close()
        sys.exit(0)
