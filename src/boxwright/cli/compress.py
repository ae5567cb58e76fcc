"""`boxwright compress`: a trained detector with thinner fc6 and fc7."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Argument(help="A .safetensors file of a Fast or Faster R-CNN.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The compressed model, a .safetensors file.")],
    ranks: Annotated[
        str, typer.Option(help="Of fc6 and of fc7; 0 leaves a layer whole. The paper's are 1024,256.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Make fc6 and fc7 thinner by truncated SVD (Girshick 2015, Fast R-CNN, section 3.1).

    The layers that judge each region become two of a lower rank each: fewer weights, less time for a region, a
    little less accuracy. `eval` says how much: the score thresholds stay those of the whole model.

    **Examples**

    `boxwright compress runs/cells/best.safetensors -o small.safetensors --ranks 64,32`

    `boxwright eval small.safetensors data/cells`
    """
    import json

    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.loading import load
    from boxwright.runtime.onnx import OnnxModel

    if out.suffix != ".safetensors":
        raise InputError(
            "the name of a compressed model ends in .safetensors", path=out, hint="choose another"
        )
    if out.exists() and not overwrite:
        raise InputError("exists already", path=out, hint="choose another --out, or --overwrite it")
    six, seven = _ranks(ranks)
    whole = load(model, engine="torch")
    if isinstance(whole, OnnxModel):
        raise InputError("is an exported model", path=model, hint="compress the .safetensors, then export")

    from boxwright.svd import compressed, layer_parameters

    try:
        thin = compressed(whole, (six, seven))
    except InputError as error:
        raise InputError(error.message, path=model, hint=error.hint) from error
    before, after = layer_parameters(whole), layer_parameters(thin)
    thin.save(out)
    if as_json:
        typer.echo(json.dumps({"file": str(out), "ranks": [six, seven], "before": before, "after": after}))
    say(f"wrote {out}: fc6 and fc7 have {after:,} weights, {after / before:.1%} of {before:,}")
    if after >= before:
        say("such ranks save nothing: a layer of u x v numbers becomes smaller below rank u v / (u + v)")


def _ranks(text: str) -> tuple[int, int]:
    from boxwright.errors import InputError

    try:
        six, seven = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--ranks {text} is not two whole numbers", hint="give two, such as 1024,256"
        ) from None
    return six, seven
