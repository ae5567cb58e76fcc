"""`boxwright weights`: fetch published weights, and read others' checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright.cli.console import tell

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Fetch published weights, and read others' checkpoints.",
)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file of tensors.")],
    out: Annotated[Path, typer.Option(metavar="X.safetensors", help="Where to write what boxwright reads.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Torchvision's builder, where the tensors do not tell it."),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="TXT", help="The detector's class names, one a line.")
    ] = None,
) -> None:
    """Tell which network a checkpoint is of, check every tensor, and write a file that boxwright reads.

    A detector becomes a model for `detect`, `eval` and `export`; a classifier becomes weights for
    `boxwright train --weights FILE`. Nothing in the file is ever run.

    **Examples**

    `boxwright weights import ssd300_vgg16_coco-b556d3b4.pth --out ssd.safetensors --classes coco.txt`

    `boxwright weights import resnet50-0676ba61.pth --out resnet50.safetensors`
    """
    from boxwright.cli.console import say
    from boxwright.weights.importing import import_checkpoint

    layout = import_checkpoint(file, out, name=name, classes=classes)
    say(f"{layout.origin}'s {layout.name}: wrote {out}")


@app.command("fetch")
def fetch_file(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as resnet50 or resnet50.IMAGENET1K_V2.")],
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Instead of torchvision's server: http, https or file."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only what is here already.")] = False,
) -> None:
    """Download a published file into the cache folder, check its digest, and print where it is.

    **Example**

    `boxwright weights import $(boxwright weights fetch ssd300_vgg16) --out ssd.safetensors`
    """
    from boxwright.cli.boundary import goes_on
    from boxwright.cli.console import say
    from boxwright.stopping import if_stopped
    from boxwright.weights import download, published

    url = published.find(name).url(mirror)
    if_stopped(lambda _: goes_on(f"what has come is in {download.cache_folder()}"))
    tell(str(download.fetch(url, offline=offline or None, say=say)))


@app.command("list")
def list_files(
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List torchvision's published files, how good they were found, and which are here."""
    import json
    from dataclasses import asdict

    from boxwright.weights.download import cache_folder
    from boxwright.weights.published import METRICS, PUBLISHED

    folder = cache_folder()
    here = {entry.file: (folder / entry.file).is_file() for entry in PUBLISHED}
    if as_json:
        rows = [
            {"name": entry.name, **asdict(entry), "url": entry.url(), "here": here[entry.file]}
            for entry in PUBLISHED
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max(len(entry.name) for entry in PUBLISHED)
    for entry in PUBLISHED:
        line = f"{entry.name:{width}}  {entry.metric:5.1f} {METRICS[entry.task]}"
        tell(f"{line}  here" if here[entry.file] else line)


@app.command("path")
def path() -> None:
    """Print the cache folder."""
    from boxwright.weights.download import cache_folder

    tell(str(cache_folder()))
