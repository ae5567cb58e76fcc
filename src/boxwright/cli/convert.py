"""`boxwright convert`: the same data set in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.console import tell
from boxwright.cli.data import Classes, FollowLinks, Images, Renames

if TYPE_CHECKING:
    from boxwright.data.convert import Conversion


def command(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="A data set: folder, COCO file, data.yaml, CSV, folder of XML."),
    ],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new or empty folder.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="coco, voc, yolo or csv.")],
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this split (repeatable).")
    ] = None,
    link: Annotated[bool, typer.Option("--link/--copy", help="Hard-link the images, or copy them.")] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Leave out missing images and broken entries; else stop at the first."
        ),
    ] = False,
    images: Images = None,
    follow_links: FollowLinks = True,
    voc_zero_based: Annotated[
        bool,
        typer.Option(
            "--voc-zero-based", help="VOC counts pixels from 0: in SRC if that is VOC, else in DST."
        ),
    ] = False,
    classes: Classes = None,
    renames: Renames = None,
    renumber: Annotated[bool, typer.Option("--renumber", help="Number the classes 0 to C-1.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Write a data set in another format, with its images; says what that format cannot hold.

    **Examples**

    `boxwright convert data/cells cells-coco --to coco`

    `boxwright convert coco/ coco-yolo --to yolo --split val --link --renumber`

    `boxwright convert coco/ vehicles --to coco --map truck=car --classes car,bus`
    """
    import json

    from boxwright.cli.console import progress
    from boxwright.data.classes import ClassChoice
    from boxwright.data.convert import convert
    from boxwright.data.open import read_options

    done = convert(
        source,
        target,
        to,
        only=split or (),
        images="link" if link else "copy",
        policy="skip" if skip_bad else "error",
        options=read_options(voc_zero_based, images, follow_links),
        classes=ClassChoice(classes, tuple(renames or ())),
        renumber=renumber,
        watch=progress,
    )
    if as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2))
    else:
        _show(done)


def _show(done: Conversion) -> None:
    for split, (images, objects) in done.splits.items():
        tell(f"{split or 'all'}: {images:,} images, {objects:,} objects")
    for check, number in done.left_out.items():
        tell(f"on reading: {number:,} x {check}")
    for what, number in done.lost.items():
        tell(f"{done.format} cannot hold: {number:,} x {what}")
    for note in done.notes:
        tell(note)
    tell(f"{done.target}: written as {done.format}. To look for defects: boxwright check {done.target}")
