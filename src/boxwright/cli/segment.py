"""`boxwright segment`: teach a network the class of every pixel, measure it, and use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.console import Overwrite as OverwriteOthers
from boxwright.cli.passed_over import tell_passed_over
from boxwright.cli.pictures import Model, pictures
from boxwright.cli.teach import AsJson, Batch, Device, Epochs, Lr, Minutes, Overwrite, Resume, Seed, Weights

if TYPE_CHECKING:
    from boxwright.images import RGB8
    from boxwright.segment.data import LabelledPictures

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Teach a network the class of every pixel, measure it, and use it.",
)

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="images/ beside masks/, JPEGImages/ beside SegmentationClass/, or COCO's JSON."
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Names by commas, or VALUE=NAME by commas: which grey value or palette index of the masks is which class."
    ),
]
Only = Annotated[
    Path | None,
    typer.Option(metavar="TXT", help="Only the pictures named in it, one a line, without endings."),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Of two classes: from which probability on a pixel is of the second.", min=0, max=1),
]


@app.command("train")
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder: weights, tables, pictures.")],
    model: Annotated[
        str,
        typer.Option(
            help="unet (the paper's), unet-BACKBONE or fpn-BACKBONE; `boxwright models` lists backbones."
        ),
    ] = "unet-efficientnet-lite0",
    val: Annotated[
        str,
        typer.Option(
            help="What validates: a split, a part that is held out by chance, as 0.15, a text file with the pictures' "
            "names, or none."
        ),
    ] = "auto",
    only: Only = None,
    classes: Classes = None,
    weights: Weights = "auto",
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Lr = None,
    seed: Seed = 0,
    device: Device = "auto",
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting: train.KEY=VALUE, net.KEY=VALUE, vary.KEY=VALUE or loss.KEY=VALUE. Repeatable.",
        ),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a network that tells the class of every pixel: OUT/best.safetensors is best on what validates.

    Masks are files of one grey value or palette index a class, named as their pictures; 255 beside other values is
    ignored. DATA in splits `train` and `val` is used so; else 15 % of the pictures are held out. Ctrl-C saves.

    **Examples**

    `boxwright segment train cells --out runs/cells --classes 0=background,1=cell`

    `boxwright segment train cells --out runs/paper --model unet --batch 1`  with the paper's unpadded net

    `boxwright segment train cells --out runs/small --model unet --set net.width=24 --set net.padded=yes
    --set net.norm=yes`

    `boxwright segment train VOCdevkit/VOC2012 --out runs/voc --model fpn-resnet50 --weights imagenet`
    """
    import torch

    from boxwright.cli.console import say
    from boxwright.cli.teach import given, teach
    from boxwright.segment.model import describe
    from boxwright.segment.networks import begin, settled, tiling
    from boxwright.segment.settings import LossSettings, NetSettings, VarySettings
    from boxwright.segment.task import DESCENT, SegmentTask
    from boxwright.training.settings import changed, sorted_changes

    changes = sorted_changes(change or [], ["train", "net", "vary", "loss"])
    steps = given(epochs=epochs, minutes=minutes, batch=batch, lr=lr, seed=seed)
    descent = changed(DESCENT, changes["train"] | steps, name="train")
    shape = changed(NetSettings(), changes["net"], name="net")
    vary = changed(VarySettings(), changes["vary"], name="vary")
    loss = changed(LossSettings(), changes["loss"], name="loss")

    learned, judged = _parts(data, val, only, classes, seed)
    say(described(learned))
    torch.manual_seed(seed)
    net = begin(model, len(learned.classes.names), shape, "none" if resume else weights, say)
    notes: dict[str, str | float] = {
        "data": str(data),
        "pictures": len(learned),
        "validated on": len(judged or ()),
    }
    card = describe(model, learned.classes, settled(net, shape), tiling(net, shape), notes)
    task = SegmentTask(net, card, tiling(net, shape), learned, judged, vary, loss)
    teach(task, descent, out, resume=resume, overwrite=overwrite, device=device, as_json=as_json)


def described(learned: LabelledPictures) -> str:
    """What is learned, in a line: how many classes, which, and by which values; and what is left out."""
    classes = learned.classes
    shown = [f"{name} ({value})" for name, value in zip(classes.names, classes.values, strict=True)]
    more = f" and {len(shown) - 12} more" if len(shown) > 12 else ""
    out = (
        f"; {learned.left_out} pictures are left out, since an object in them has no outline"
        if learned.left_out
        else ""
    )
    return f"{len(shown)} classes of pixels by value: {', '.join(shown[:12])}{more}{out}"


def _parts(
    data: Path, val: str, only: Path | None, classes: str | None, seed: int
) -> tuple[LabelledPictures, LabelledPictures | None]:
    """What is learned from and what validates; says so when the latter is held out of the former.

    Raises:
        InputError: no data, or nothing of that name to validate with.
    """
    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.segment.data import open_labelled, splits
    from boxwright.segment.layout import read_names

    there = splits(data)
    first = "train" if "train" in there else (there[0] if there else None)
    learned = open_labelled(data, first, classes)
    if only is not None:
        learned = learned.only(read_names(only))
    if val == "none":
        say("nothing is held out: figures are of training pictures")
        return learned, None
    if val == "auto":
        val = "val" if "val" in there else "0.15"
    if val in there and val != first:
        # A class that validation pictures lack is one all the same.
        return learned, open_labelled(data, val, learned.classes)
    if Path(val).is_file():
        whole, names = open_labelled(data, first, classes), read_names(Path(val))
        rest = [entry.path.stem for entry in learned.entries if entry.path.stem not in set(names)]
        return learned.only(rest), whole.only(names)
    try:
        part = float(val)
    except ValueError:
        known = ", ".join(name for name in there if name != first) or "no split beside the one to train on"
        raise InputError(
            f"nothing called {val} to validate with",
            path=data,
            hint=f"there: {known}; or give a part, a text file of names, or none",
        ) from None
    kept, held = learned.held_out(part, seed)
    say(f"{len(held)} of {len(learned)} pictures are held out for validation (seed {seed})")
    return kept, held


@app.command("eval")
def evaluate(
    model: Model,
    data: Data,
    split: Annotated[str | None, typer.Option(help="Which part of DATA; all by default.")] = None,
    only: Only = None,
    threshold: Threshold = None,
    scan: Annotated[
        bool,
        typer.Option("--scan", help="Of two classes: also try all thresholds, on these very pictures."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A folder for pictures: each beside truth, prediction and errors."),
    ] = None,
    overwrite: OverwriteOthers = False,
    threads: Annotated[int | None, typer.Option(help="Of an exported model; all cores.", min=1)] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure masks: pixel error, IoU and Dice; of two classes also the Rand score and warping error of objects.

    Objects are the connected parts of the second class. The Rand score is the ISBI challenge's (Arganda-Carreras et
    al. 2015): only pixels inside of true objects count, and found boundaries are thinned. The warping error forgives
    boundaries that run a little elsewhere.

    **Examples**

    `boxwright segment eval runs/cells/best.safetensors cells --split val`

    `boxwright segment eval cells.onnx cells --only held-out.txt --scan -o looks`
    """
    import json
    from contextlib import nullcontext

    from boxwright.cli.console import progress, say
    from boxwright.draw import write_picture
    from boxwright.errors import InputError
    from boxwright.outputs import Outputs, Unwritten
    from boxwright.segment.data import open_labelled
    from boxwright.segment.evaluate import judge
    from boxwright.segment.layout import read_names
    from boxwright.segment.model import load_segmenter

    segmenter = load_segmenter(model, device, threads)
    known = segmenter.classes
    pictures = open_labelled(data, split, known)
    if pictures.classes != known:
        raise InputError(
            f"has the classes {', '.join(pictures.classes.names)}, the model {', '.join(known.names)}",
            path=data,
        )
    if only is not None:
        pictures = pictures.only(read_names(only))
    unwritten = Unwritten()
    with nullcontext() if out is None else Outputs(out, overwrite=overwrite) as outputs:

        def draw(name: str, image: RGB8) -> None:
            if outputs is not None:
                with unwritten.noted():
                    write_picture(outputs.claim(outputs.folder / f"{name}.png"), image)

        show = None if outputs is None else draw
        found = judge(segmenter, pictures, threshold=threshold, scan=scan, show=show, watch=progress)
    typer.echo(json.dumps(found.to_dict()) if as_json else found.text())
    if out is not None:
        say(f"pictures in {out}")
    if unwritten.tell(say):
        raise typer.Exit(1)


@app.command("apply")
def apply(
    model: Model,
    source: Annotated[Path, typer.Argument(metavar="PICTURES", help="A picture, or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for masks.")],
    threshold: Threshold = None,
    values: Annotated[
        bool,
        typer.Option("--values", help="Masks have the values of the training masks, not indices of classes."),
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also NAME_overlay.png: the mask laid over the picture.")
    ] = False,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also NAME_CLASS.png, 16 bits; of two classes the second's only."
        ),
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Of an exported model; all cores.", min=1)] = None,
    device: Device = "auto",
    overwrite: OverwriteOthers = False,
    as_json: AsJson = False,
) -> None:
    """Write the masks of pictures: OUT/NAME.png has the index of each pixel's class, and shows it in colour.

    Pictures may be of any size: large ones go through the network in tiles without seams. Exit 1: some could not be
    read, or their masks not be written.

    **Examples**

    `boxwright segment apply runs/cells/best.safetensors slide.png -o masks --overlay`

    `boxwright segment apply cells.onnx slides -o masks --probabilities`
    """
    import json

    from boxwright.cli.console import progress, say
    from boxwright.errors import InputError
    from boxwright.outputs import Outputs
    from boxwright.segment.apply import Wanted, apply_to, jobs
    from boxwright.segment.model import load_segmenter
    from boxwright.stopping import AGAIN, if_stopped

    tell_passed_over([source])
    todo = jobs(source, out)
    written: list[str] = []
    if_stopped(lambda _: f"masks of {pictures(len(written))} are in {out}; {AGAIN}")
    segmenter = load_segmenter(model, device, threads)
    wanted = Wanted(threshold, values, overlay, probabilities)
    troubles: list[InputError] = []
    with Outputs(out, overwrite=overwrite) as outputs:
        for one in apply_to(segmenter, todo, wanted, progress, outputs.claim):
            if isinstance(one, InputError):
                troubles.append(one)
            else:
                written.append(str(one.mask))
    for trouble in troubles:
        say(f"boxwright: skipped {trouble}")
    if as_json:
        skipped = sorted(str(trouble.path) for trouble in troubles)
        typer.echo(json.dumps({"masks": written, "classes": segmenter.classes.names, "skipped": skipped}))
    say(f"{len(written)} masks in {out}")
    if troubles:
        raise typer.Exit(1)
