"""The command line: one module a verb, and one place where errors become lines and exit codes.

Nothing heavy is imported here; each command imports what it needs when it runs, so that `--help` is quick.
Exit codes: 0 done, 1 findings, 2 bad input or use, 3 stopped and resumable.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from boxwright.addresses import refuse_address
from boxwright.cli import (
    anchors,
    check,
    cluster,
    compare,
    compress,
    convert,
    demo,
    detect,
    eval,
    export,
    features,
    models,
    probe,
    propose,
    segment,
    style,
    train,
    upscale,
    vae,
    weights,
)
from boxwright.cli.boundary import STOPPED, Verbs
from boxwright.cli.first_alone import first_alone
from boxwright.errors import InputError, ToldElsewhereError
from boxwright.quiet import silence
from boxwright.stopping import NOTHING

# Typer carries click inside itself from 0.25 on, so that the base of its usage errors has no public name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="boxwright",
    cls=Verbs,
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


for _verb, _module in (
    ("train", train),
    ("eval", eval),
    ("detect", detect),
    ("export", export),
    ("compress", compress),
    ("check", check),
    ("convert", convert),
    ("anchors", anchors),
    ("propose", propose),
    ("features", features),
    ("cluster", cluster),
    ("probe", probe),
    ("models", models),
    ("compare", compare),
    ("demo", demo),
):
    app.command(_verb)(_module.command)
app.add_typer(vae.app, name="vae")
app.add_typer(style.app, name="style")
app.add_typer(upscale.app, name="upscale")
app.add_typer(segment.app, name="segment")
app.add_typer(weights.app, name="weights")


# What a plain install does not have, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(
        ("torch", "hotcoco", "numba", "matplotlib", "sklearn", "skimage", "scipy", "tensorboard"), "train"
    ),
    **dict.fromkeys(("onnx", "onnxscript"), "export"),
    "pyarrow": "cluster",
    **dict.fromkeys(("pyspark", "pandas"), "spark"),
    "av": "video",
}


_INTERRUPTED = 130
"""128 and SIGINT's number: what shells and typer call it."""


def main() -> None:
    """Run the command line; bad input or use becomes one line and exit 2, Ctrl-C exit 3."""
    # Read when torch loads: its threads then sleep where they would spin while they wait for one another. Beside
    # any other busy process (a loader of images is one) spinning makes training several times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    silence()
    try:
        # Not typer's own handling: its box around a usage error is four lines where one will do.
        _refuse_addresses(sys.argv[1:])
        with first_alone():
            code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if code == _INTERRUPTED:
            # Newer typers turn Ctrl-C into this code instead of letting it through.
            raise KeyboardInterrupt
    except ToldElsewhereError:
        sys.exit(2)
    except InputError as error:
        _stop(str(error), 2)
    except UsageError as error:
        # The group's own mistakes (an unknown verb) have no command to point at.
        place = getattr(error, "ctx", None)
        _stop(f"{_message(error)} (see {place.command_path if place else 'boxwright'} --help)", 2)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        _stop(f'this needs {error.name}, which is not installed; pip install "boxwright[{extra}]"', 2)
    except (KeyboardInterrupt, typer.Abort):
        # Outside of any verb: nothing had begun.
        _stop(f"stopped; {NOTHING}", STOPPED)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is wrong, and nothing more can be said.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # A name that the system does not take (too long, a loop of links), a folder that may not be searched: what
        # stands in no reader's boundary is still about the file that the error names.
        if error.filename is None or error.strerror is None:
            raise
        _stop(str(InputError(f"cannot be used ({error.strerror})", path=os.fsdecode(error.filename))), 2)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse_addresses(words: list[str]) -> None:
    """Spark reads from stores that have addresses; nothing else does."""
    if any(word.partition("=")[0] == "--spark" for word in words):
        return
    for word in words:
        refuse_address(word.partition("=")[2] if word.startswith("--") else word)


def _message(error: Exception) -> str:
    text: str = error.format_message()  # type: ignore[attr-defined]
    return " ".join(text.split()).rstrip(".")


def _stop(line: str, code: int) -> NoReturn:
    typer.echo(f"boxwright: {line}", err=True)
    sys.exit(code)
