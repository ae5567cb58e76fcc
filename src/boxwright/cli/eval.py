"""`boxwright eval`: how good a model is on a data set, and why it errs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from boxwright.cli.console import Overwrite
from boxwright.cli.data import FollowLinks, Images, Renames

if TYPE_CHECKING:
    from boxwright.evaluate import Report


def command(
    model: Annotated[
        str,
        typer.Argument(help="A .safetensors checkpoint, an exported .onnx, or a packaged name: blood-cells."),
    ],
    data: Annotated[Path, typer.Argument(help="A data set: folder, COCO file, data.yaml or CSV.")],
    split: Annotated[
        str | None, typer.Option(help="Which part of the data set; test, or else val, if not given.")
    ] = None,
    images: Images = None,
    follow_links: FollowLinks = True,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Only these classes, between commas, or `shared`: those that data and model both have.",
        ),
    ] = None,
    renames: Renames = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html and report.json; runs/eval if not given (none with --json)."
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images that the network sees at once.")] = 8,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Precision, recall and pictures from this score on; the model knows its own."
        ),
    ] = None,
    score_floor: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out weaker detections; lowers AP above 0.")
    ] = 0.0,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out images and objects that are broken, and list them.")
    ] = False,
) -> None:
    """Measure a model: COCO's twelve numbers, VOC AP, each class, kinds of error, calibration, pictures.

    **Examples**

    `boxwright eval runs/cells/best.safetensors data/cells --split test`

    `boxwright eval blood-cells data/cells --json | jq .coco.AP50`

    `boxwright eval everyday street --classes shared --map pedestrian=person`
    """
    from contextlib import nullcontext

    from boxwright.cli.console import progress, say
    from boxwright.data.classes import ClassChoice
    from boxwright.data.open import open_dataset
    from boxwright.evaluate.run import evaluate_model
    from boxwright.loading import load
    from boxwright.outputs import Outputs
    from boxwright.stopping import AGAIN, if_stopped

    policy: Literal["error", "skip"] = "skip" if skip else "error"
    loaded = load(model)
    dataset = open_dataset(data, _split(data, split), policy, images=images, follow_links=follow_links)
    folder = out if out is not None or as_json else Path("runs/eval")
    with nullcontext() if folder is None else Outputs(folder, overwrite=overwrite) as outputs:
        if outputs is not None:
            outputs.claim_all("report.html", "report.json")
        report = evaluate_model(
            loaded,
            dataset,
            batch=batch,
            classes=ClassChoice(classes, tuple(renames or ())),
            threshold=threshold,
            score_floor=score_floor,
            policy=policy,
            facts={"name": Path(model).stem if Path(model).suffix else model, "file": model},
            watch=lambda results: progress(results, "detecting", len(dataset)),
        )
        if_stopped(lambda _: f"the report is not complete; {AGAIN}")
        page = report.save(folder) if folder is not None else None
    if as_json:
        typer.echo(report.to_json())
    else:
        _show(report)
    if page is not None:
        say(f"look at {page}")


def _split(data: Path, wanted: str | None) -> str | None:
    """The split to evaluate: what was asked for, else test, else val, else everything where nothing is split.

    Raises:
        InputError: there are splits, but neither of these; training images are not taken unasked.
    """
    from boxwright.data.open import splits
    from boxwright.errors import InputError

    there = splits(data)
    if wanted is not None or not there:
        return wanted
    for name in ("test", "val"):
        if name in there:
            return name
    raise InputError(
        "has neither a split test nor val", path=data, hint=f"choose one by --split: {', '.join(there)}"
    )


def _show(report: Report) -> None:
    """The twelve numbers and the classes as tables on standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from boxwright.errors import printable
    from boxwright.evaluate.plots import percent, score

    console = Console()
    where = f"{report.dataset} {report.split}".strip()
    console.print(printable(f"{report.images} images, {report.objects} objects: {where}"), markup=False)
    numbers = Table(box=None, pad_edge=False, show_header=False)
    cells = [(name, percent(value)) for name, value in report.coco.numbers().items()]
    for row in range(3):  # AP down the first column, then AP by size, AR, AR by size
        numbers.add_row(*(text for column in range(4) for text in cells[3 * column + row]))
    if report.accuracy:
        told = (f"{name} {percent(value)}" for name, value in report.accuracy.items())
        console.print(", ".join(told), markup=False)
    console.print(numbers)
    console.print(
        f"VOC AP {percent(report.voc.ap_all)} (11 points: {percent(report.voc.ap11)}); from score "
        f"{score(report.threshold)} on: precision {percent(report.shown.precision)}, "
        f"recall {percent(report.shown.recall)}",
        markup=False,
    )
    classes = Table(box=None, pad_edge=False)
    classes.add_column("class", overflow="fold")
    for heading in ("objects", "AP50", "AP", "precision", "recall", "best threshold"):
        classes.add_column(heading, justify="right")
    for one in report.classes:
        classes.add_row(
            Text(printable(one.name)),
            str(one.objects),
            percent(one.ap50),
            percent(one.ap),
            percent(one.shown.precision),
            percent(one.shown.recall),
            score(one.best.threshold),
        )
    console.print(classes)
    for note in report.notes:
        console.print(printable(f"Note: {note}"), markup=False)
