"""`boxwright propose`: boxes where something may be, by Selective Search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.console import tell

if TYPE_CHECKING:
    from boxwright.regions.source import SelectiveSearch


def command(
    source: Annotated[
        Path, typer.Argument(metavar="IMAGE|DATA", help="A picture, or a data set in any of the formats.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A data set's file, proposals.npz by default; for a picture, a picture (.png, .jpg) or .json.",
        ),
    ] = None,
    strategy: Annotated[str, typer.Option(help="single, fast or quality.")] = "fast",
    count: Annotated[int, typer.Option(min=1, help="Boxes kept of an image, the best.")] = 2000,
    side: Annotated[
        int,
        typer.Option(min=1, help="Longer side that images are searched at; boxes are in the file's pixels."),
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the random part of the ranking.")] = 0,
    split: Annotated[str | None, typer.Option(help="Which part of a data set; all by default.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Images at a time; one a processor.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Boxes drawn into a picture, the best.")] = 50,
    recall: Annotated[
        bool, typer.Option("--recall", help="Also say how well a data set's objects are covered.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin a data set's file anew.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Find the regions of a picture or of a whole data set by Selective Search (Uijlings et al. 2013).

    A data set's regions go into one file that Fast R-CNN trains on. Stopped, the same command goes on; images that
    are new are added. Exit 0: all done. 1: some images could not be read, and were skipped.

    **Examples**

    `boxwright propose photo.jpg -o boxes.png`

    `boxwright propose data/voc --split val -o val.npz --recall`
    """
    from boxwright.errors import InputError
    from boxwright.images import EXTENSIONS
    from boxwright.regions.source import SelectiveSearch

    search = SelectiveSearch(strategy, count, side, seed)
    if source.is_file() and source.suffix.lower() in EXTENSIONS:
        if recall or split:
            raise InputError("a picture has no --split and no --recall", path=source, hint="give a data set")
        _picture(source, out, search, top, as_json)
    else:
        _data(source, out or Path("proposals.npz"), search, split, jobs, recall, overwrite, as_json)


def _picture(path: Path, out: Path | None, search: SelectiveSearch, top: int, as_json: bool) -> None:
    import json

    from boxwright.cli.console import say
    from boxwright.draw import class_colour, draw_boxes, write_picture
    from boxwright.errors import InputError
    from boxwright.files import write_text
    from boxwright.images import read_image
    from boxwright.regular import real_path

    if out is not None and real_path(out) == real_path(path):
        raise InputError("would be replaced by its regions", path=path, hint="choose another -o")
    image = read_image(path)
    boxes = search(image, threads=None)
    found = {"image": str(path), "size": list(image.shape[:2]), "boxes": boxes.round(2).tolist()}
    if out is not None and out.suffix.lower() == ".json":
        write_text(out, json.dumps(found))
    elif out is not None:
        # The last one drawn lies on top, and that should be the best.
        best = boxes[:top][::-1]
        colours = [class_colour(i) for i in range(len(best))]
        write_picture(out, draw_boxes(image, best, [""] * len(best), colours=colours))
    if as_json:
        typer.echo(json.dumps(found))
    say(f"{len(boxes)} regions" + (f"; see {out}" if out is not None else "; -o boxes.png draws them"))


def _data(
    path: Path,
    out: Path,
    search: SelectiveSearch,
    split: str | None,
    jobs: int | None,
    recall: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    import json

    from boxwright.cli.boundary import goes_on
    from boxwright.cli.console import progress, say
    from boxwright.data import open_dataset
    from boxwright.errors import InputError
    from boxwright.regions.dataset import parts_of, propose
    from boxwright.regions.recall import measure
    from boxwright.stopping import NOTHING, if_stopped

    if out.suffix.lower() != ".npz":
        raise InputError(
            "a data set's proposals go into an .npz file", path=out, hint="such as proposals.npz"
        )
    dataset = open_dataset(path, split, policy="skip")
    if_stopped(
        lambda _: (
            goes_on(f"regions that are done are in {parts_of(out)}")
            if any(parts_of(out).glob("*.npz"))
            else NOTHING
        )
    )
    proposals, troubles = propose(dataset, search, out, jobs=jobs, overwrite=overwrite, watch=progress)
    covered = measure(dataset, proposals) if recall else None
    for line in troubles:
        say(f"boxwright: skipped {line}")
    if as_json:
        said = {"file": str(out), "images": len(proposals), "boxes": len(proposals.all_boxes)}
        said |= {"skipped": list(troubles), "settings": dict(proposals.settings)}
        typer.echo(json.dumps(said | ({} if covered is None else {"recall": covered.to_dict()})))
    elif covered is not None:
        tell(covered.text())
    say(f"{len(proposals.all_boxes)} regions of {len(proposals)} images in {out}")
    if troubles:
        raise typer.Exit(1)
