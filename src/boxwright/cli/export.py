"""`boxwright export`: one ONNX file with everything inside, checked against the model it comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright.cli.console import Overwrite

if TYPE_CHECKING:
    from collections.abc import Sequence


def command(
    model: Annotated[str, typer.Argument(help="A .safetensors checkpoint, or a packaged name.")],
    out: Annotated[Path | None, typer.Option(help="The file; by default beside the checkpoint.")] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(help="Pictures to compare on: file, folder or pattern (repeatable); up to 12 are used."),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights as 16-bit floats: half the size.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as a JSON object.")] = False,
) -> None:
    """Write a model as ONNX: preprocessing settings, class names and NMS inside, any batch size.

    Ends by comparing its boxes with the model's own on real pictures, in batches of 1 and 3, and on an empty
    one. Exit 1, and no file, if they differ. Networks of `style`, `upscale`, `vae` and `segment` are compared by
    their outputs, at several sizes; an auto-encoder becomes a folder of two graphs.

    **Examples**

    `boxwright export runs/cells/best.safetensors`

    `boxwright export runs/cells/best.safetensors --out cells.onnx --half --images data/cells/val`
    """
    import json
    from dataclasses import asdict

    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.loading import load
    from boxwright.runtime.onnx import OnnxModel

    if (task := _task(Path(model))) is not None:
        if task == "vae":
            for name in ("encoder.onnx", "decoder.onnx"):
                _refuse_strange((out or Path(model).with_suffix("")) / name, overwrite)
        else:
            _refuse_strange(out or Path(model).with_suffix(".onnx"), overwrite)
        _other(Path(model), task, out, images, half, as_json)
        return
    target = out if out is not None else Path(model).with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise InputError(
            "the name of an exported model ends in .onnx", path=target, hint="choose another --out"
        )
    _refuse_strange(target, overwrite)
    loaded = load(model, engine="torch")
    if isinstance(loaded, OnnxModel):
        raise InputError("is exported already", path=model, hint="export the .safetensors checkpoint")
    pictures = _pictures(images)

    from boxwright.runtime.export import ParityError, export_onnx

    try:
        parity = export_onnx(loaded, target, images=pictures, half=half)
    except ParityError as error:
        say(f"boxwright: {error}; nothing was written")
        if as_json:
            typer.echo(json.dumps({"file": None, **asdict(error.parity)}))
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps({"file": str(target), **asdict(parity)}))
    say(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB)\ncompared: {parity}")


def _refuse_strange(target: Path, overwrite: bool) -> None:
    """See that an exported model takes the place of another one of ours, and of nothing else."""
    from boxwright.errors import InputError
    from boxwright.runtime.onnx import is_exported

    if not overwrite and os.path.lexists(target) and not is_exported(target):
        raise InputError(
            "exists, and boxwright did not write it",
            path=target,
            hint="choose another --out, or replace it with --overwrite",
        )


def _task(path: Path) -> str | None:
    """What a checkpoint's network is for; None for a detector, and for what is no checkpoint."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    from boxwright.card import Card
    from boxwright.modelfile import read_file

    card = Card.found(read_file(path).description)
    return card.task if card else None


def _other(
    path: Path, task: str, out: Path | None, images: list[str] | None, half: bool, as_json: bool
) -> None:
    """Export a network that is no detector."""
    import json

    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.nets import export
    from boxwright.runtime.export_net import GraphError

    if images or half:
        raise InputError(
            f"--{'half' if half else 'images'} is for detectors, and this is a network for {task}",
            path=path,
            hint="leave it out",
        )
    try:
        written, difference = export(path, task, out)
    except GraphError as error:
        say(f"boxwright: {error}; nothing was written")
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps({"file": str(written), "difference": difference}))
    say(f"wrote {written}\ncompared: outputs differ by at most {difference:.1e} of the largest")


def _pictures(images: list[str] | None) -> Sequence[Any]:
    """The person's pictures, or the photographs that two of our dependencies ship."""
    from itertools import islice

    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.runtime.sources import Sources

    if images:
        return [item.image for item in islice(Sources(images), 12)]
    from boxwright.data.scenes import load_material

    try:
        photographs = list(load_material("test").photographs.values())
    except InputError as error:
        raise InputError("there are no pictures to compare on", hint="name some with --images") from error
    say("comparing on the photographs of scikit-image and scikit-learn; --images names your own")
    # Different aspects of them, too: a stretched input is another picture.
    return [*photographs, *(photo[:, : photo.shape[1] // 2] for photo in photographs)]
