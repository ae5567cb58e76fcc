"""`boxwright anchors`: how well a recipe's priors cover a data set's boxes, and better ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[Path, typer.Argument(help="A data set: folder, COCO file, data.yaml or CSV.")],
    model: Annotated[
        str, typer.Option(help="The recipe whose priors are judged.")
    ] = "ssd320-efficientnet-lite0",
    split: Annotated[
        str | None, typer.Option(help="Which part of the data set; train if there is one.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Also fit scales to the data and say what they reach.")
    ] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: model.scales=0.05,0.1,...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Say how well the priors cover the boxes: best IoU of each object, by size, and objects none reaches.

    **Examples**

    `boxwright anchors data/cells`

    `boxwright anchors data/cells --fit`  also prints the `--set model.scales=...` to train with
    """
    from boxwright.coverage import report

    typer.echo(report(data, model=model, split=split, fit=fit, changes=change or [], as_json=as_json))
