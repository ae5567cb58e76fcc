"""`boxwright upscale`: teach a network to make pictures larger, apply it, hold it against bicubic interpolation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.console import Overwrite as OverwriteOthers
from boxwright.cli.console import tell
from boxwright.cli.passed_over import tell_passed_over
from boxwright.cli.pictures import Images, Model, Out, Threads
from boxwright.cli.teach import (
    AsJson,
    Backbone,
    Batch,
    Device,
    Epochs,
    Lr,
    Minutes,
    Overwrite,
    Resume,
    Seed,
    Taps,
    Weights,
)

if TYPE_CHECKING:
    from boxwright.perceptual.upscale import Upscaler
    from boxwright.perceptual.upscale_measure import Distance
    from boxwright.perceptual.upscale_settings import UpscaleSettings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Teach a network to make pictures two to four times as large; apply it; see what it gains.",
)

Tile = Annotated[
    int, typer.Option(help="Side of the parts that a large picture is enlarged in, in its pixels.", min=16)
]
_WEIGHED = {"pixel": (1.0, 0.0), "perceptual": (0.1, 1.0)}
"""Weights of pixels and of features, in units of bicubic interpolation's."""


@app.command("train")
def train(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="A folder of images, at any depth.")],
    out: Annotated[Path, typer.Option(help="The run's folder: weights, tables, pictures.")],
    factor: Annotated[int, typer.Option(help="How many times as wide and tall: 2, 3 or 4.")] = 2,
    loss: Annotated[
        str,
        typer.Option(help="What enlarged pictures should be near by: pixel, or perceptual (features too)."),
    ] = "pixel",
    start: Annotated[
        Path | None, typer.Option(help="Go on from the weights of another run's best.safetensors.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(help="A folder to validate on; by default a twentieth of IMAGES is held out."),
    ] = None,
    reduce: Annotated[
        int, typer.Option(help="First make the pictures smaller by this: takes away JPEG's blocks.", min=1)
    ] = 1,
    blocks: Annotated[int | None, typer.Option(help="Residual blocks; 8 by default.", min=1)] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of its maps; 32 by default.", min=1)] = None,
    backbone: Backbone = "vgg16",
    taps: Taps = "conv1,conv2,conv3",
    weights: Weights = "auto",
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Lr = None,
    seed: Seed = 0,
    device: Device = "auto",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: train.KEY=VALUE or upscale.KEY=VALUE. Repeatable."),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a residual network with sub-pixel upsampling (Shi et al. 2016, Lim et al. 2017) on pictures as they are.

    Small pictures are made of them by bicubic reduction; the network learns the way back. By pixels it is nearest in
    signal to noise; a perceptual loss (Johnson et al. 2016) keeps texture that pixels blur. `boxwright export
    OUT/best.safetensors` makes an ONNX file of it. Ctrl-C saves and says how to go on.

    **Examples**

    `boxwright upscale train photos --out runs/x2 --minutes 20`

    `boxwright upscale train photos --out runs/sharp --loss perceptual --start runs/x2/best.safetensors --lr 0.0003`

    `boxwright upscale train photos --out runs/x4 --factor 4 --blocks 16 --channels 64`
    """
    from boxwright.cli.console import say
    from boxwright.cli.teach import given, listed, teach
    from boxwright.errors import InputError, near
    from boxwright.perceptual.squares import find_pictures, hold_back
    from boxwright.perceptual.upscale_data import Pairs
    from boxwright.perceptual.upscale_settings import UpscaleSettings
    from boxwright.training.settings import changed, sorted_changes

    if loss not in _WEIGHED:
        raise InputError(f"no loss {loss!r}", hint=near(loss, _WEIGHED))
    pixels, features = _WEIGHED[loss]
    asked = UpscaleSettings(
        factor,
        reduce=reduce,
        pixels=pixels,
        features=features,
        backbone=backbone,
        taps=listed(taps),
        seed=seed,
    )
    changes = sorted_changes(change or [], ["train", "upscale"])
    shape = given(blocks=blocks, channels=channels)
    settings = changed(asked, changes["upscale"] | shape, name="upscale")
    steps = given(epochs=epochs, minutes=minutes, batch=batch, lr=lr, seed=seed)
    tell_passed_over([images])
    found = find_pictures(images)
    if val is None:
        learned, held = hold_back(found, settings.held, settings.seed)
        say(f"{len(held)} of {len(found)} pictures are held out for validation (seed {settings.seed})")
    else:
        learned, held = found, find_pictures(val)
    learned = _of_size(learned, settings.patch * settings.factor * settings.reduce, images)
    held = _of_size(held, settings.factor * settings.reduce, val or images)

    import torch

    from boxwright.perceptual.upscale_task import UPSCALE_TRAINING, UpscaleTask
    from boxwright.weights.trunk import pretrained_trunk

    descent = changed(UPSCALE_TRAINING, changes["train"] | steps, name="train")
    torch.manual_seed(descent.seed)
    notes, trunk, net = {"data": str(images)}, None, None
    if start is not None:
        net = _started(start, settings)
        notes["start"] = str(start)
    if settings.features:
        trunk, origin = pretrained_trunk(settings.backbone, settings.taps, weights, say=say)
        notes["backbone"] = origin.said
    pairs, kept = (Pairs(some, settings.factor, settings.reduce) for some in (learned, held))
    task = UpscaleTask(settings, pairs, kept, trunk, net, notes)
    teach(task, descent, out, resume=resume, overwrite=overwrite, device=device, as_json=as_json)


@app.command("apply")
def apply(
    model: Model,
    images: Images,
    out: Out,
    tile: Tile = 384,
    quality: Annotated[int, typer.Option(help="Of JPEG and WebP.", min=1, max=100)] = 95,
    threads: Threads = None,
    device: Device = "auto",
    overwrite: OverwriteOthers = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each picture.")] = False,
) -> None:
    """Make pictures larger by the network's factor; in parts without seams, so that size costs time, not memory.

    Transparency is laid over white, 16-bit pictures become 8-bit, grey ones stay grey to the eye. Exit 1: some
    pictures could not be read or written.

    **Examples**

    `boxwright upscale apply runs/x2/best.safetensors photo.jpg -o large.png`

    `boxwright upscale apply x2.onnx holiday -o holiday-large`
    """
    import json
    from contextlib import nullcontext

    from boxwright.cli.console import progress, say
    from boxwright.cli.pictures import is_one_file, pictures, read_item, writable
    from boxwright.draw import encode_picture
    from boxwright.errors import InputError
    from boxwright.files import FullDiskError, write_bytes
    from boxwright.outputs import Outputs
    from boxwright.perceptual.upscale_apply import Enlarger
    from boxwright.runtime.sources import Sources
    from boxwright.stopping import AGAIN, if_stopped

    single = is_one_file(images, out)
    tell_passed_over(images)
    sources = Sources(images, without=None if single else out)
    enlarger = Enlarger.open(model, tile=tile, threads=threads, device=device)
    done, troubles = 0, 0
    if_stopped(lambda _: f"{pictures(done)} enlarged into {out}; {AGAIN}")
    with nullcontext() if single else Outputs(out, overwrite=overwrite) as outputs:
        for item in progress(sources, "enlarging", sources.total):
            target = out if single else out / writable(item.output)
            try:
                large = enlarger(read_item(item, target))
                place = target if outputs is None else outputs.claim(target)
                write_bytes(place, encode_picture(large, target.suffix, quality))
            except FullDiskError:
                raise
            except InputError as error:
                troubles += 1
                said: dict[str, object] = {"image": str(item.path), "error": str(error)}
                say(f"boxwright: skipped {error}")
            else:
                done += 1
                said = {"image": str(item.path), "out": str(target), "size": list(large.shape[:2])}
            if as_json:
                typer.echo(json.dumps(said))
    say(f"{pictures(done)} enlarged {enlarger.settings.factor} times into {out}")
    if troubles:
        raise typer.Exit(1)


@app.command("eval")
def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Files to compare, of one factor: .safetensors or .onnx."),
    ],
    images: Annotated[Path, typer.Option("--on", help="A folder of pictures that none was trained on.")],
    count: Annotated[int | None, typer.Option(help="Of the pictures, evenly; all by default.", min=1)] = None,
    reduce: Annotated[
        int | None,
        typer.Option(help="First make the pictures smaller by this; as in training by default.", min=1),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A sheet of some middles: .png, .jpg or .webp.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Also measure the distance of features, of this backbone.")
    ] = None,
    taps: Annotated[str | None, typer.Option(help="Of its activations, by commas; by default all.")] = None,
    weights: Weights = "auto",
    tile: Tile = 384,
    threads: Threads = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Hold networks against bicubic interpolation on the same pictures, as they were before they were made small.

    PSNR over RGB, whole pictures; PSNR and SSIM over luma without a border as wide as the factor, which papers print.
    The distance is that of Zhang et al. 2018 without its learnt weights: less is nearer.

    **Examples**

    `boxwright upscale eval runs/x2/best.safetensors --on photos/test -o sheet.png`

    `boxwright upscale eval pixel.onnx sharp.onnx --on photos/test --backbone efficientnet-lite0 --taps
    stage1,stage2,stage3`
    """
    import json
    from functools import partial

    import numpy as np

    from boxwright.cli.console import progress, say
    from boxwright.draw import write_picture
    from boxwright.errors import InputError
    from boxwright.perceptual import upscale_measure as measure
    from boxwright.perceptual.squares import find_pictures
    from boxwright.perceptual.upscale_apply import Enlarger
    from boxwright.perceptual.upscale_data import Pairs, enlarge

    enlargers = {str(path): Enlarger.open(path, tile=tile, threads=threads, device=device) for path in models}
    first = next(iter(enlargers.values())).settings
    for name, one in enlargers.items():
        if one.settings.factor != first.factor:
            raise InputError(
                f"enlarges {one.settings.factor} times, {models[0]} {first.factor} times",
                path=name,
                hint="compare networks of one factor",
            )
    by = reduce or first.reduce
    paths = _of_size(find_pictures(images), measure.least_side(first.factor) * by, images)
    if count is not None:
        chosen = dict.fromkeys(np.linspace(0, len(paths) - 1, count).round().astype(int).tolist())
        paths = tuple(paths[index] for index in chosen)
    distance, seen_by = None, None
    if backbone is not None:
        distance, seen_by = _distance(backbone, taps, weights)
    pairs = Pairs(paths, first.factor, by)
    ways: dict[str, measure.Enlarge] = {
        measure.BICUBIC: partial(enlarge, factor=first.factor),
        **enlargers,
    }
    drawn = progress((pairs.pair(index) for index in range(len(pairs))), "comparing", len(pairs))
    scores = measure.compare(drawn, ways, first.factor, distance)
    if out is not None:
        sheet = measure.comparison(pairs, {_short(name): way for name, way in ways.items()}, 4, 64, 2)
        if sheet is None:
            say("boxwright: no picture is large enough to be shown")
        else:
            write_picture(out, sheet)
    if as_json:
        told = {"pictures": len(pairs), "factor": first.factor, "reduce": by, "features": seen_by}
        rows = {name: one.to_dict() for name, one in scores.items()}
        typer.echo(json.dumps(told | {"scores": rows}))
        return
    typer.echo(
        f"{len(pairs)} pictures of {images}, {first.factor} times"
        + (f", reduced by {by} before" if by > 1 else "")
        + (f"; distance by {seen_by}" if seen_by else "")
    )
    tell(measure.table(scores))


def _of_size(paths: tuple[Path, ...], least: int, folder: Path) -> tuple[Path, ...]:
    """Those of at least so many pixels a side; says how many are not.

    Raises:
        InputError: none is.
    """
    from boxwright.cli.console import say
    from boxwright.errors import InputError
    from boxwright.perceptual.upscale_data import split_by_size

    large, small = split_by_size(paths, least)
    if not large:
        raise InputError(
            f"none of its {len(small)} pictures has {least} pixels a side",
            path=folder,
            hint="give larger ones, or reduce less (--reduce, --set upscale.patch=24)",
        )
    if small:
        say(f"{len(small)} pictures of fewer than {least} pixels a side are left out, such as {small[0]}")
    return large


def _started(path: Path, settings: UpscaleSettings) -> Upscaler:
    """The network of a file, if it is one of these settings.

    Raises:
        InputError: no such file, or a network of another shape.
    """
    from boxwright.errors import InputError
    from boxwright.perceptual.upscale import read_upscaler
    from boxwright.perceptual.upscale_settings import UpscaleSettings

    net, card = read_upscaler(path)
    there = UpscaleSettings.from_dict(card.settings)
    for name in ("factor", "blocks", "channels"):
        then, now = getattr(there, name), getattr(settings, name)
        if then != now:
            raise InputError(f"its {name} is {then}, not {now}", path=path, hint=f"give --{name} {then}")
    return net


def _distance(backbone: str, taps: str | None, weights: str) -> tuple[Distance, str]:
    """The distance by a backbone's taps, and what it is called."""
    from boxwright.backbones.classifiers import find_classifier
    from boxwright.cli.console import say
    from boxwright.cli.teach import listed
    from boxwright.perceptual.upscale_measure import feature_distance
    from boxwright.weights.trunk import pretrained_trunk

    chosen = listed(taps) if taps else find_classifier(backbone).taps
    trunk, origin = pretrained_trunk(backbone, chosen, weights, say=say)
    return feature_distance(trunk), f"{origin.said}, taps {', '.join(trunk.taps)}"


def _short(name: str) -> str:
    """A file's name, or its run's where all are called alike."""
    path = Path(name)
    return path.parent.name if path.name == "best.safetensors" and path.parent.name else path.stem
