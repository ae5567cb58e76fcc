"""What commands share that train a network that is no detector: options as text, and how a run ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from boxwright.training.settings import DescentSettings
    from boxwright.training.task import Task

Backbone = Annotated[str, typer.Option(help="Whose features; `boxwright models` lists them.")]
Taps = Annotated[str, typer.Option(help="Which of its activations, by commas.")]
Weights = Annotated[
    str,
    typer.Option(help="The backbone's: auto (installed), imagenet (downloaded if need be), none, or a file."),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the pictures.", min=1)]
Minutes = Annotated[float | None, typer.Option(help="End after so many, if not before.", min=0)]
Batch = Annotated[int | None, typer.Option(help="Pictures, or parts of them, in a step.", min=1)]
Lr = Annotated[float | None, typer.Option(help="Learning rate after warm-up.")]
Seed = Annotated[int, typer.Option(help="Of what is held out, order, variation, new weights.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def listed(names: str) -> tuple[str, ...]:
    """Names that were typed with commas between.

    >>> listed("conv1, conv2")
    ('conv1', 'conv2')
    """
    return tuple(name.strip() for name in names.split(",") if name.strip())


def given(**options: float | None) -> dict[str, str]:
    """Options that were given, as `--set` would have them.

    >>> given(batch=8, lr=None)
    {'batch': '8'}
    """
    return {name: str(value) for name, value in options.items() if value is not None}


def if_run_stops(out: Path, *, resume: bool) -> None:
    """Let the line of a stop say whether a run can go on, and by which command.

    Args:
        out: the run's folder, or the one file that has all a run needs.
        resume: whether it goes on with an earlier one, so that there is something in any case.
    """
    from boxwright.cli.boundary import command
    from boxwright.stopping import NOTHING, Standing, if_stopped

    def saves() -> dict[Path, int]:
        files = out.rglob("*.safetensors") if out.is_dir() else (out,)
        return {file: file.stat().st_mtime_ns for file in files if file.is_file()}

    before = saves()

    def left(standing: Standing) -> str:
        if resume or standing.saved or saves() != before:
            return f"what is saved is in {out}; go on with: {command(add='--resume')}"
        return NOTHING

    if_stopped(left)


def teach(
    task: Task,
    settings: DescentSettings,
    out: Path,
    *,
    resume: bool,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> None:
    """Train, and say what came of it."""
    import json

    from boxwright.cli.console import say
    from boxwright.training.task_loop import train_task

    if_run_stops(out, resume=resume)
    result = train_task(task, settings, out, resume=resume, overwrite=overwrite, device=device)
    figures = {name: value for name, value in result.card.notes.items() if not isinstance(value, str)}
    if as_json:
        told = {"best": str(result.best), "iterations": result.iterations, "seconds": result.seconds}
        typer.echo(json.dumps(told | {"figures": figures, "warnings": result.warnings}))
    say(f"best: {result.best}  {'  '.join(f'{name} {value:.4g}' for name, value in figures.items())}")
    preview = out / "preview.png"
    if preview.is_file():
        say(f"see {preview}")
    for line in result.warnings:
        say(f"warning: {line}")
