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
    """Train, and say what came of it; interrupted, say how to go on and exit with 3."""
    import json

    from boxwright.cli.console import say
    from boxwright.cli.train import resuming_command
    from boxwright.training.stop import Interrupted
    from boxwright.training.task_loop import train_task

    try:
        result = train_task(task, settings, out, resume=resume, overwrite=overwrite, device=device)
    except Interrupted as stopped:
        say(f"{stopped}; go on with:\n  {resuming_command()}")
        raise typer.Exit(3) from None
    figures = {name: value for name, value in result.card.notes.items() if not isinstance(value, str)}
    if as_json:
        told = {"best": str(result.best), "iterations": result.iterations, "seconds": result.seconds}
        typer.echo(json.dumps(told | {"figures": figures}))
    say(f"best: {result.best}  {'  '.join(f'{name} {value:.4g}' for name, value in figures.items())}")
    preview = out / "preview.png"
    if preview.is_file():
        say(f"see {preview}")
