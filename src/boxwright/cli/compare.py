"""`boxwright compare`: several models, or one with changed settings, trained alike and measured side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from boxwright.cli.console import tell
from boxwright.regular import real_path


def command(
    data: Annotated[Path, typer.Argument(help="A data set: folder, COCO file, data.yaml or CSV.")],
    out: Annotated[Path, typer.Option(help="The comparison's folder: runs, tables, page.")],
    models: Annotated[
        list[str] | None,
        typer.Option(help="Recipes a,b,c; each may be LABEL=RECIPE:GROUP.KEY=VALUE:... Repeatable."),
    ] = None,
    ablation: Annotated[
        Literal["focal", "fpn", "ssd", "depth"] | None,
        typer.Option(help="An experiment of a paper, on its own recipe or on the one that --models names."),
    ] = None,
    lineage: Annotated[
        bool,
        typer.Option("--lineage", help="From sliding windows to RetinaNet on one backbone; OUT/lineage.md."),
    ] = False,
    seeds: Annotated[int, typer.Option(help="Runs of each variant, with seeds 0, 1, ...", min=1)] = 3,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images, for all.", min=1)] = None,
    freeze: Annotated[
        int | None, typer.Option(help="Backbone stages that are not trained, for all.", min=0)
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of all variants, such as train.batch=8. Repeatable."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Where all start: auto, imagenet, none, or a weights file.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    val_split: Annotated[
        str, typer.Option(help="The split that chooses, or the part of `train` that is held out for it.")
    ] = "auto",
    metric: Annotated[
        Literal["coco", "voc"], typer.Option(help="voc also shows VOC's 11-point AP.")
    ] = "coco",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Make tables and page again from the runs in --out.")
    ] = False,
) -> None:
    """Train each variant with each seed, evaluate all on `test` (or else `val`), and time them in turns.

    Runs that are done are not repeated, one that was stopped goes on, one that fails leaves the others alone;
    more variants can be added to a folder later. OUT/compare.html is the page, OUT/compare.md the table.

    **Examples**

    `boxwright compare data/cells --models ssd320-efficientnet-lite0,retinanet-resnet18-fpn --out runs/both`

    `boxwright compare data/cells --models "ssd320-efficientnet-lite0,slow=ssd320-efficientnet-lite0:train.lr=1e-4"
    --seeds 1 --epochs 20 --out runs/lr`

    `boxwright compare data/cells --ablation focal --out runs/focal`

    `boxwright compare data/cells --lineage --seeds 1 --epochs 24 --out runs/lineage`

    `boxwright compare data/voc --lineage --models r-cnn=rcnn-efficientnet-lite0:model.proposals=600 --seeds 1 --out
    runs/lineage`  with R-CNN changed
    """
    from boxwright.cli.boundary import goes_on
    from boxwright.compare import lineage as history
    from boxwright.compare import lineage_page, page, record, speed, summary, table
    from boxwright.compare.run import Order, execute, prepare
    from boxwright.compare.variants import ABLATIONS, chosen
    from boxwright.data import open_dataset, splits
    from boxwright.outputs import Outputs
    from boxwright.stopping import if_stopped

    failed = 0
    if not report_only:
        from boxwright.cli.data import open_training
        from boxwright.data.open import read_options

        common = list(change or [])
        common += [f"train.epochs={epochs}"] if epochs is not None else []
        common += [f"train.freeze={freeze}"] if freeze is not None else []
        variants = chosen(models or [], ablation, common, history.VARIANTS if lineage else ())
        # One split for all seeds: what is held out must not vary with them.
        train_images, val_images = open_training(data, {}, val_split, "error", read_options(), 0)
        test = open_dataset(data, "test") if "test" in splits(data) else val_images
        order = Order(out, variants, tuple(range(seeds)), train_images, val_images, test, weights, device)
        begun = prepare(order)
        if_stopped(lambda _: goes_on(f"what is done of {len(begun)} runs is in {out}"))
        with Outputs(out) as outputs:
            outputs.claim_all(*table.FILES, page.FILE, record.SPEED)
            if lineage:
                outputs.claim_all(lineage_page.PAGE, lineage_page.PICTURE, history.FILE)
            failed = execute(order, begun, typer.echo)
            record.write(out / record.SPEED, speed.measure(record.gather(out), test, typer.echo))
            if lineage:
                record.write(out / history.FILE, history.measure(record.gather(out), test, typer.echo))

    found = summary.compare(
        record.gather(out),
        record.read_by_label(out / record.SPEED, record.Speed),
        data=real_path(data).name,
        question=ABLATIONS[ablation].question if ablation else history.QUESTION if lineage else "",
        voc=metric == "voc",
    )
    table.save(found, out)
    tell(table.plain(found))
    tell(f"look at {page.save(found, out)}")
    if lineage:
        parts = record.read_by_label(out / history.FILE, history.Split)
        tell(f"look at {lineage_page.save(found, parts, out)}")
    if failed:
        raise typer.Exit(1)
