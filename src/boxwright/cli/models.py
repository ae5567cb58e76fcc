"""`boxwright models`: what there is to train, what it costs, and how good others found it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="Show this one in detail.")] = None,
    kind: Annotated[
        Literal["detector", "classifier"] | None, typer.Option(help="Only detectors, or only classifiers.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the classifiers' accuracy against parameters and GFLOPs into this PNG."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List recipes and classifiers: input, parameters, GFLOPs, weights, published accuracy with its source.

    **Examples**

    `boxwright models`

    `boxwright models ssd300-vgg16`  its levels, default boxes and settings

    `boxwright models --kind classifier --plot models.png`
    """
    import json
    from dataclasses import asdict

    from boxwright.catalogue import detail, text
    from boxwright.catalogue.entries import entries, find_entry
    from boxwright.cli.console import progress, say
    from boxwright.errors import InputError
    from boxwright.recipes import RECIPES

    if plot is not None and plot.suffix.lower() != ".png":
        raise InputError("the name of the picture ends in .png", path=plot, hint="choose another --plot")
    if name is not None:
        if plot is not None or kind is not None:
            raise InputError("--plot and --kind are for the whole list", hint="leave the name out")
        entry = find_entry(name)
        if as_json:
            levels = [asdict(level) for level in detail.levels(name)]
            known = [asdict(one) for one in detail.settings(RECIPES[name])] if name in RECIPES else []
            typer.echo(json.dumps({**entry.to_dict(), "levels": levels, "settings": known}, indent=1))
        else:
            typer.echo(detail.text(entry))
        return
    rows = list(progress(entries(kind), "counting"))
    typer.echo(json.dumps([row.to_dict() for row in rows], indent=1) if as_json else text.table(rows))
    if plot is not None:
        from boxwright.catalogue.plot import draw

        draw(rows if kind != "detector" else list(entries("classifier")), plot)
        say(f"drew {plot}")
