"""`boxwright probe`: what features do not care for, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boxwright.cli.console import Overwrite
from boxwright.cli.passed_over import tell_passed_over


def command(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES...", help="Pictures: files, folders to any depth, patterns."),
    ],
    backbone: Annotated[
        str, typer.Option(help="Whose features; `boxwright models` lists them.")
    ] = "efficientnet-lite0",
    weights: Annotated[
        str,
        typer.Option(
            help="auto (of an installed package), imagenet (downloads if need be), none, or a file."
        ),
    ] = "auto",
    taps: Annotated[
        str, typer.Option(help="Which activations, such as conv3,conv5; all by default.")
    ] = "all",
    pool: Annotated[
        str,
        typer.Option(help="How maps are compared: flatten (value by value), mean, max (of each channel)."),
    ] = "flatten,mean,max",
    size: Annotated[int, typer.Option(help="Side of the window that the network sees, in pixels.")] = 160,
    count: Annotated[int, typer.Option(min=2, help="Pictures, drawn from those there are.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Windows that the network sees at once.")] = 16,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures and the plot.")] = Path(
        "runs/probe"
    ),
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """How far features move under shift, scale, rotation and colour, tap by tap, beside raw pixels.

    A change's distance is divided by the median distance of two pictures: 0 is a feature that does not care, 1 one to
    which the changed picture is another one. Exit 0: all done. 1: some pictures could not be read, and were left out.

    **Examples**

    `boxwright probe photos --backbone vgg16 --weights imagenet`

    `boxwright probe photos --backbone efficientnet-lite0 --taps stage4,last --pool mean -o probe`
    """
    from boxwright.backbones.classifiers import find_classifier
    from boxwright.cli.console import progress, say
    from boxwright.outputs import Outputs
    from boxwright.probe import table
    from boxwright.probe.plot import draw
    from boxwright.probe.representations import Representations, checked_pools
    from boxwright.probe.run import probe
    from boxwright.runtime.sources import VIDEO_EXTENSIONS, Sources
    from boxwright.training.distributed import choose_device
    from boxwright.weights.trunk import pretrained_trunk

    tell_passed_over(images)
    files = [
        path for path in Sources(images, without=out).files() if path.suffix.lower() not in VIDEO_EXTENSIONS
    ]
    pools = checked_pools(_names(pool))
    chosen = find_classifier(backbone).taps if taps == "all" else tuple(dict.fromkeys(_names(taps)))
    where = choose_device(device)
    trunk, origin = pretrained_trunk(backbone, chosen, weights, say=say)
    represent = Representations(trunk.to(where), pools, seed, batch)
    with Outputs(out, overwrite=overwrite) as outputs:
        outputs.claim_all(*table.FILES, "probe.png")
        found = probe(files, origin.said, represent, size=size, count=count, seed=seed, watch=progress)
        table.save(found, out)
        draw(found, out / "probe.png")
    for line in found.skipped:
        say(f"boxwright: skipped {line}")
    typer.echo(table.as_json(found) if as_json else f"{table.table(found)}\n\n{table.answer(found)}")
    say(f"see {out}")
    if found.skipped:
        raise typer.Exit(1)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
