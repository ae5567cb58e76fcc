"""`boxwright features`: a table with a vector for each image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.passed_over import tell_passed_over

if TYPE_CHECKING:
    from boxwright.cluster.features import Network

Backbone = Annotated[str, typer.Option(help="Whose features; `boxwright models` lists them.")]
Tap = Annotated[
    str | None,
    typer.Option(
        help="Which activation, such as conv4, stage5 or VGG's conv4_2, fc6, fc7; the last map by default."
    ),
]
PoolOption = Annotated[
    str, typer.Option(help="How a map becomes a vector: mean, max, grid (2 x 2 means) or flatten.")
]
Size = Annotated[
    int | None,
    typer.Option(min=1, help="Side of the square the network sees; the backbone's own by default."),
]
Weights = Annotated[
    str,
    typer.Option(help="auto (of an installed package), imagenet (downloads if need be), none, or a file."),
]
Batch = Annotated[int, typer.Option(min=1, help="Images that the network sees at once.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Images decoded at a time; one a processor.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the network; one a processor.")]
Engine = Annotated[str, typer.Option(help="onnx, or torch, which also runs on a GPU.")]
Split = Annotated[
    str | None, typer.Option(help="Read IMAGES as a data set and take this split of it, or all.")
]


def command(
    images: Annotated[
        Path,
        typer.Argument(metavar="IMAGES", help="A folder, searched to any depth, a pattern or a data set."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table.")] = Path("features.parquet"),
    backbone: Backbone = "efficientnet-lite0",
    tap: Tap = None,
    pool: PoolOption = "mean",
    size: Size = None,
    weights: Weights = "auto",
    split: Split = None,
    batch: Batch = 16,
    jobs: Jobs = None,
    threads: Threads = None,
    engine: Engine = "onnx",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin the table anew.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """What a backbone sees in each image, as a table: path, size and a vector, in Parquet.

    Stopped, the same command goes on; images that are new or changed are added, those that are gone are taken out.
    Exit 0: all done. 1: some images could not be read; they are listed beside the table, in .skipped.csv.

    **Examples**

    `boxwright features photos -o photos.parquet`

    `boxwright features data/voc --split all --backbone vgg16 --tap conv4 --pool max --weights imagenet`
    """
    import json

    from boxwright.cli.console import progress, say
    from boxwright.cluster.features import Pace, extract
    from boxwright.cluster.pictures import list_pictures
    from boxwright.errors import InputError

    if out.suffix.lower() != ".parquet":
        raise InputError("features go into a .parquet file", path=out, hint="such as features.parquet")
    if_extraction_stops(out)
    tell_passed_over([images])
    pictures = list_pictures(images, split)
    network = build(backbone, tap, pool, size, weights, threads, engine)
    done = extract(pictures, network, out, Pace(batch, jobs), overwrite=overwrite, watch=progress)
    for one in done.skipped:
        say(f"boxwright: skipped {one.path}: {one.reason}")
    if as_json:
        said = {"file": str(done.table), "images": done.images, "computed": done.computed}
        said |= {"skipped": [one.path for one in done.skipped], "settings": dict(network.card.settings)}
        typer.echo(json.dumps(said))
    columns = network.card.settings["columns"]
    say(f"{columns} features of {done.images} images in {done.table}, {done.computed} of them new")
    if done.skipped:
        raise typer.Exit(1)


def if_extraction_stops(table: Path, without: str = "no table is written") -> None:
    """Let the line of a stop say where features that are done wait, and that the same command goes on."""
    from boxwright.cli.boundary import goes_on
    from boxwright.cluster.features import parts_of
    from boxwright.stopping import AGAIN, if_stopped

    parts = parts_of(table)
    if_stopped(
        lambda _: (
            goes_on(f"features that are done are in {parts}")
            if any(parts.glob("*.parquet"))
            else f"{without}; {AGAIN}"
        )
    )


def build(
    backbone: str,
    tap: str | None,
    pool: str,
    size: int | None,
    weights: str,
    threads: int | None,
    engine: str,
) -> Network:
    """The network that the options ask for.

    Raises:
        InputError: there is no such network, or no weights for it.
    """
    from boxwright.backbones.classifiers import find_classifier
    from boxwright.cli.console import say
    from boxwright.cluster.extractor import Extractor, build_graph
    from boxwright.errors import InputError, near

    engines = ("onnx", "torch")
    if engine not in engines:
        raise InputError(f"no engine {engine!r}", hint=near(engine, engines))
    tap = tap or find_classifier(backbone).taps[-1]
    if engine == "torch":
        from boxwright.cluster.pooled import EagerExtractor, build_net
        from boxwright.training.distributed import choose_device

        net, card, _ = build_net(backbone, tap, pool, size, weights, say)
        return EagerExtractor(net, card, choose_device("auto"))
    return Extractor(build_graph(backbone, tap, pool, size, weights, say), threads)
