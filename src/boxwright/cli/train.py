"""`boxwright train`: a detector of one's own from a folder of annotated pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright.cli.console import tell
from boxwright.cli.data import (
    Classes,
    FollowLinks,
    Images,
    Renames,
    Train,
    Val,
    chosen_classes,
    named_splits,
    open_training,
)

if TYPE_CHECKING:
    from boxwright.data.records import Dataset


def command(
    data: Annotated[Path, typer.Argument(help="A data set: folder, COCO file, data.yaml or CSV.")],
    out: Annotated[Path, typer.Option(help="The run's folder: weights, tables, report, pictures.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Recipe, such as ssd300-vgg16; by default ssd320-efficientnet-lite0, or efficientnet-lite0 for "
            "folders of labelled pictures. `boxwright models` lists them."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Images in a step.", min=1)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate after warm-up.")] = None,
    freeze: Annotated[
        int | None, typer.Option(help="Backbone stages, from the stem on, that are not trained.", min=0)
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Where to start: auto, imagenet or coco (both downloaded where not installed), none, a weights "
            "file, or a trained model's file."
        ),
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that load images; 0 for none, -1 to choose by the cores.", min=-1),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of order, variation, dropout, new weights.", min=0)
    ] = None,
    val_split: Annotated[
        str,
        typer.Option(
            help="The split that validates, or the part of `train` that is held out for it, as 0.15."
        ),
    ] = "auto",
    images: Images = None,
    follow_links: FollowLinks = True,
    train_path: Train = None,
    val_path: Val = None,
    classes: Classes = None,
    renames: Renames = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any setting: train.KEY=VALUE, augment.KEY=VALUE, model.KEY=VALUE. Repeatable."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only suggest a learning rate; picture in --out.")
    ] = False,
    overfit_one_batch: Annotated[
        bool, typer.Option("--overfit-one-batch", help="Learn the first batch by heart: a check of the data.")
    ] = False,
) -> None:
    """Train a detector, or a classifier: OUT/best.safetensors are its best weights, OUT/report.html says how good.

    DATA in splits `train` and `val` is used so; without `val`, 15 % of the training images are held out.
    Ctrl-C saves and says how to go on.

    **Examples**

    `boxwright train data/cells --out runs/cells`

    `boxwright train data/cells --out runs/cells --epochs 100 --freeze 4 --set train.patience=10`

    `boxwright train flowers --out runs/flowers`  with flowers/rose/*.jpg, flowers/tulip/*.jpg, ...

    `boxwright train data/cells --out runs/cells --resume`  with the other options as they were

    `boxwright train data/cells --model ssd300-vgg16 --out runs/lr --find-lr`

    `torchrun --nproc-per-node 2 -m boxwright train data/cells --out runs/cells`
    """
    import torch

    from boxwright.cli.teach import if_run_stops
    from boxwright.data.open import read_options
    from boxwright.recipes import find
    from boxwright.training.settings import changed, sorted_changes
    from boxwright.training.transfer import begin

    model = model or default_model(data)
    recipe = find(model)
    changes = sorted_changes(change or [], ["train", "augment", "model"])
    given = {"epochs": epochs, "batch": batch, "lr": lr, "freeze": freeze, "workers": workers, "seed": seed}
    short = {key: str(value) for key, value in given.items() if value is not None}
    settings = changed(recipe.train, changes["train"] | short, name="train")
    augment = changed(recipe.augment, changes["augment"], name="augment")
    shape = changed(recipe.settings, changes["model"], name="model")

    options, named = (
        read_options(images=images, follow_links=follow_links),
        named_splits(train_path, val_path),
    )
    train_images, val_images = open_training(
        data, named, val_split, settings.bad_images, options, settings.seed
    )
    train_images, val_images = chosen_classes(train_images, val_images, classes, renames)
    torch.manual_seed(settings.seed)
    detector = begin(
        model,
        classes=train_images.classes,
        ids=train_images.ids,
        weights=weights,
        settings={key: getattr(shape, key) for key in changes["model"]},
        resuming=resume,
        say=tell,
    )
    if find_lr:
        suggest(detector, train_images, val_images, settings, augment, out, device)
        return

    from boxwright.training.run import train

    if_run_stops(out, resume=resume)
    result = train(
        detector,
        train_images,
        val=val_images,
        out=out,
        settings=settings,
        augment=augment,
        resume=resume,
        overwrite=overwrite,
        overfit_one_batch=overfit_one_batch,
        device=device,
    )
    from boxwright.cli.console import say

    coco = result.report.coco
    figures = result.report.accuracy or {"AP50": coco.ap50, "AP": coco.ap}
    tell(f"best: {result.best}  val {'  '.join(f'{k} {v:.3f}' for k, v in figures.items())}")
    tell(f"report: {out / 'report.html'}")
    for line in result.warnings:
        say(f"warning: {line}")


def default_model(data: Path) -> str:
    """A small detector, or for folders of labelled pictures a small classifier."""
    from boxwright.data.open import detect

    return "efficientnet-lite0" if detect(data).format.name == "folders" else "ssd320-efficientnet-lite0"


def suggest(
    detector: Any, images: Dataset, val: Dataset, settings: Any, augment: Any, out: Path, device: str
) -> None:
    """Sweep the learning rate, print the suggestion, draw the sweep."""
    from boxwright.outputs import Outputs
    from boxwright.training.lr_finder import find_lr
    from boxwright.training.setup import plan

    with Outputs(out) as outputs:
        picture = outputs.claim(out / "lr_finder.png")
        found = find_lr(plan(detector, images, val, out, settings, augment), device=device)
        found.plot(picture)
    tell(f"suggested: --lr {found.suggestion:g}  (sweep: {out / 'lr_finder.png'})")
