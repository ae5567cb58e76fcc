"""`boxwright style`: paint a picture in the style of another; teach a network one style, and let it paint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from boxwright.cli.console import Overwrite as OverwriteOthers
from boxwright.cli.passed_over import tell_passed_over
from boxwright.cli.pictures import Images, Model, Out, Threads
from boxwright.cli.teach import AsJson, Batch, Device, Epochs, Lr, Minutes, Overwrite, Resume, Seed, Weights
from boxwright.regular import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from boxwright.images import RGB8
    from boxwright.outputs import Outputs
    from boxwright.perceptual.style import Painting
    from boxwright.perceptual.style_apply import Painter
    from boxwright.perceptual.style_settings import StyleWeights
    from boxwright.runtime.sources import Item
    from boxwright.weights.trunk import Origin, Trunk

DEFAULT = "paint"


class PaintsByDefault(TyperGroup):
    """A group whose first verb may be left out: what names no verb is a picture to paint."""

    # Click's own context, whose class has no public name in typer.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb where it was left out."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=PaintsByDefault,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Paint a picture in the style of another; teach a network one style, and let it paint in one pass.\n\n"
    "`boxwright style CONTENT STYLE -o OUT` is `boxwright style paint`; a picture called train is ./train.",
)

Backbone = Annotated[str, typer.Option(help="The network that judges; `boxwright models` lists them.")]
ContentTaps = Annotated[
    str | None, typer.Option(help="Where the content is compared, by commas; by default the third tap.")
]
StyleTaps = Annotated[
    str | None, typer.Option(help="Where the style is compared, by commas; by default the first four taps.")
]
ContentWeight = Annotated[float | None, typer.Option(help="Of the content.", min=0)]
StyleWeight = Annotated[float | None, typer.Option(help="Of the style: more paints more boldly.", min=0)]
Preset = Annotated[
    str,
    typer.Option(
        help="Taps and pooling as published: johnson (conv3; conv1 to conv4) or gatys (of VGG: conv4_2; conv1_1 to "
        "conv5_1; average pooling, no smoothing)."
    ),
]
PoolingOption = Annotated[
    str | None, typer.Option(help="Of the loss network: max, or average (VGG); the preset's by default.")
]
Smooth = Annotated[float | None, typer.Option(help="Of total variation: more is smoother.", min=0)]


@app.command(DEFAULT)
def paint(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    style: Annotated[Path, typer.Argument(metavar="STYLE", help="The picture to paint it after.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The result: .png, .jpg, .webp or .tif.")],
    size: Annotated[int, typer.Option(help="Longer side of the result.", min=16)] = 256,
    style_size: Annotated[
        int,
        typer.Option(help="Longer side of the style's picture, 0 for --size: larger, larger strokes.", min=0),
    ] = 0,
    scales: Annotated[
        int, typer.Option(help="Sizes painted one after another, each twice the one before.", min=1)
    ] = 3,
    iterations: Annotated[int, typer.Option(help="At each scale.", min=1)] = 120,
    optimiser: Annotated[str, typer.Option(help="lbfgs or adam.")] = "lbfgs",
    lr: Annotated[float | None, typer.Option(help="Its step; 1 for lbfgs, 0.02 for adam.", min=0)] = None,
    start: Annotated[str, typer.Option(help="What to begin with: content or noise.")] = "content",
    keep_colours: Annotated[bool, typer.Option("--keep-colours", help="Paint the brightness only.")] = False,
    style_weight: StyleWeight = None,
    content_weight: ContentWeight = None,
    smooth: Smooth = None,
    backbone: Backbone = "vgg16",
    weights: Weights = "auto",
    preset: Preset = "johnson",
    pooling: PoolingOption = None,
    content_taps: ContentTaps = None,
    style_taps: StyleTaps = None,
    every: Annotated[
        int, typer.Option(help="Iterations between previews, which are also saved states.", min=1)
    ] = 50,
    amp: Annotated[str, typer.Option(help="Mixed precision: off, auto, bf16, fp16.")] = "off",
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the painting that was stopped.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Leave it for a new one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Paint one picture by optimisation (Gatys, Ecker and Bethge 2016), from coarse to fine.

    While it is painted, OUT's neighbour NAME.painting.png shows it as it stands. Ctrl-C saves; the same command with
    --resume ends as if it had not been stopped.

    **Examples**

    `boxwright style photo.jpg painting.jpg -o painted.png --weights imagenet`

    `boxwright style photo.jpg painting.jpg -o large.png --size 640 --style-weight 50 --weights vgg16.safetensors`

    `boxwright style photo.jpg painting.jpg -o own.png --keep-colours --backbone efficientnet-lite0`

    `boxwright style photo.jpg painting.jpg -o 2016.png --preset gatys --start noise --scales 1 --iterations 500
    --backbone vgg19 --weights imagenet`
    """
    import json

    from boxwright.cli.console import say
    from boxwright.cli.teach import if_run_stops
    from boxwright.errors import InputError
    from boxwright.images import read_image
    from boxwright.perceptual.style_settings import PaintSettings
    from boxwright.training.settings import changed

    typed = {"optimiser": optimiser, "start": start, "amp": amp}
    given = PaintSettings(
        size, style_size, scales, iterations, lr=lr or 0.0, keep_colours=keep_colours, seed=seed
    )
    settings = changed(given, typed, name="style")
    seen, wanted = read_image(content), read_image(style)
    if real_path(out) in (real_path(content), real_path(style)):
        raise InputError("the result would replace it", path=out, hint="choose another --out")
    by = _loss_weights(
        backbone, preset, pooling, content_taps, style_taps, content_weight, style_weight, smooth
    )
    trunk, origin = _judge(backbone, by, weights)

    from boxwright.perceptual import style_run
    from boxwright.perceptual.style import Painting
    from boxwright.training.distributed import choose_device

    painting = Painting(seen, wanted, trunk, settings, by, choose_device(device))
    if_run_stops(style_run.state_of(out), resume=resume)
    found = style_run.paint(
        painting,
        out,
        every=every,
        resume=resume,
        overwrite=overwrite,
        watch=lambda steps: _shown(steps, settings.total, every),
    )
    if as_json:
        told = {"out": str(out), "size": list(found.image.shape[:2]), "judge": origin.said}
        figures = {"first": found.first, "last": found.last}
        typer.echo(json.dumps(told | figures | {"iterations": found.iterations, "seconds": found.seconds}))
    for name in ("content", "style"):
        say(f"{name}: {found.first[name]:.4g} at first, {found.last[name]:.4g} at last")
    say(f"see {out} ({found.iterations} iterations, {found.seconds:.0f} s)")


@app.command("train")
def train(
    style: Annotated[Path, typer.Argument(metavar="STYLE", help="The picture whose style is learned.")],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="A folder of pictures to learn on, at any depth.")
    ],
    out: Annotated[Path, typer.Option(help="The run's folder: weights, tables, previews.")],
    iterations: Annotated[
        int | None, typer.Option(help="Of the optimiser, instead of --epochs.", min=1)
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Lr = None,
    style_weight: StyleWeight = None,
    content_weight: ContentWeight = None,
    smooth: Smooth = None,
    backbone: Backbone = "vgg16",
    weights: Weights = "auto",
    preset: Preset = "johnson",
    pooling: PoolingOption = None,
    content_taps: ContentTaps = None,
    style_taps: StyleTaps = None,
    seed: Seed = 0,
    device: Device = "auto",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: train.KEY=VALUE or style.KEY=VALUE. Repeatable."),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Teach a network one style, which it then paints any picture in, in one pass (Johnson et al. 2016).

    OUT/best.safetensors is for `boxwright style apply`, and `boxwright export` makes an ONNX file of it. Ctrl-C saves
    and says how to go on.

    **Examples**

    `boxwright style train painting.jpg photos --out runs/painting --weights imagenet`

    `boxwright style train painting.jpg photos --out runs/bold --style-weight 100 --set style.width=32`
    """
    from boxwright.cli.teach import given, teach
    from boxwright.images import read_image
    from boxwright.perceptual.squares import find_pictures, hold_back
    from boxwright.perceptual.style_settings import NET_WEIGHTS, STYLE_TRAINING, StyleNetSettings
    from boxwright.training.settings import changed, sorted_changes

    changes = sorted_changes(change or [], ["train", "style"])
    steps = given(iterations=iterations, epochs=epochs, minutes=minutes, batch=batch, lr=lr, seed=seed)
    descent = changed(STYLE_TRAINING, changes["train"] | steps, name="train")
    shape = changed(StyleNetSettings(), changes["style"], name="style")
    wanted = read_image(style)
    tell_passed_over([images])
    learned, held = hold_back(find_pictures(images), shape.held, descent.seed)
    by = _loss_weights(
        backbone, preset, pooling, content_taps, style_taps, content_weight, style_weight, smooth, NET_WEIGHTS
    )
    trunk, origin = _judge(backbone, by, weights)

    import torch

    from boxwright.perceptual.style_train import StyleTask

    torch.manual_seed(descent.seed)
    notes = {"style": style.name, "data": str(images), "judge": origin.said}
    task = StyleTask(wanted, learned, held, trunk, shape, by, notes)
    teach(task, descent, out, resume=resume, overwrite=overwrite, device=device, as_json=as_json)


@app.command("apply")
def apply(
    model: Model,
    images: Images,
    out: Out,
    size: Annotated[
        int, typer.Option(help="Pictures of a longer side are shrunk to it; 0 leaves them.", min=0)
    ] = 0,
    batch: Annotated[int, typer.Option(help="Pictures of one size that are painted at once.", min=1)] = 1,
    threads: Threads = None,
    device: Device = "auto",
    overwrite: OverwriteOthers = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each picture.")] = False,
) -> None:
    """Paint pictures of any size with a trained network. Exit 1: some could not be read or written.

    **Examples**

    `boxwright style apply runs/painting/best.safetensors photo.jpg -o painted.png`

    `boxwright style apply painting.onnx holiday -o holiday-painted --size 1024`
    """
    import json
    from contextlib import nullcontext
    from itertools import islice

    from boxwright.cli.console import progress, say
    from boxwright.cli.pictures import is_one_file, pictures, writable
    from boxwright.outputs import Outputs
    from boxwright.perceptual.style_apply import Painter
    from boxwright.runtime.sources import Sources
    from boxwright.stopping import AGAIN, if_stopped

    single = is_one_file(images, out)
    tell_passed_over(images)
    sources = Sources(images, without=None if single else out)
    painter = Painter.open(model, size=size, threads=threads, device=device)
    items = progress(sources, "painting", sources.total)
    named = ((item, out if single else out / writable(item.output)) for item in items)
    done = troubles = 0
    if_stopped(lambda _: f"{pictures(done)} painted into {out}; {AGAIN}")
    with nullcontext() if single else Outputs(out, overwrite=overwrite) as outputs:
        while some := list(islice(named, batch)):
            for said in _paint_some(painter, some, outputs):
                if "error" in said:
                    say(f"boxwright: skipped {said['error']}")
                done, troubles = done + ("out" in said), troubles + ("error" in said)
                if as_json:
                    typer.echo(json.dumps(said))
    say(f"{pictures(done)} painted into {out}")
    if troubles:
        raise typer.Exit(1)


def _loss_weights(
    backbone: str,
    preset: str,
    pooling: str | None,
    content_taps: str | None,
    style_taps: str | None,
    content: float | None,
    style: float | None,
    smooth: float | None,
    usual: StyleWeights | None = None,
) -> StyleWeights:
    """What was given, and what is usual where nothing was."""
    from dataclasses import replace

    from boxwright.backbones.classifiers import find_classifier
    from boxwright.cli.teach import listed
    from boxwright.errors import InputError, near
    from boxwright.perceptual.style_settings import GATYS_CONTENT, GATYS_STYLE, StyleWeights, usual_taps
    from boxwright.training.settings import changed

    begin, spec = usual or StyleWeights(), find_classifier(backbone)
    if preset == "johnson":
        seen, painted = usual_taps(spec.taps)
    elif preset == "gatys":
        seen, painted = GATYS_CONTENT, GATYS_STYLE
        if not {*seen, *painted} <= {*spec.more_taps}:
            raise InputError(
                f"{backbone} has not the taps of --preset gatys", hint="such as --backbone vgg19"
            )
        begin = replace(begin, variation=0.0, pooling="average")
    else:
        raise InputError(f"no preset {preset!r}", hint=near(preset, ("johnson", "gatys")))
    if pooling is not None:
        begin = changed(begin, {"pooling": pooling}, name="style")
    return replace(
        begin,
        content_taps=listed(content_taps) if content_taps else seen,
        style_taps=listed(style_taps) if style_taps else painted,
        content=begin.content if content is None else content,
        style=begin.style if style is None else style,
        variation=begin.variation if smooth is None else smooth,
    )


def _judge(backbone: str, by: StyleWeights, weights: str) -> tuple[Trunk, Origin]:
    from boxwright.cli.console import say
    from boxwright.weights.trunk import pretrained_trunk

    return pretrained_trunk(backbone, by.taps, weights, pooling=by.pooling, say=say)


def _shown(steps: Iterable[Painting], total: int, every: int) -> Iterator[Painting]:
    """Pass a painting through, with a bar or now and then a line."""
    import sys

    from boxwright.cli.console import progress, say

    for painting in progress(steps, "painting", total):
        if painting.done % every == 0 and not sys.stderr.isatty():
            parts = "  ".join(f"{name} {value:.4g}" for name, value in painting.losses.items())
            say(f"{painting.done:>6}/{total}  {parts}")
        yield painting


def _paint_some(
    painter: Painter, some: list[tuple[Item, Path]], outputs: Outputs | None
) -> list[dict[str, object]]:
    """Paint pictures into files; for each what it came to, or under "error" why not."""
    from boxwright.cli.pictures import read_item
    from boxwright.draw import write_picture
    from boxwright.errors import InputError
    from boxwright.files import FullDiskError

    told: list[dict[str, object]] = [{"image": str(item.path)} for item, _ in some]
    read: list[tuple[dict[str, object], Path, RGB8]] = []
    for said, (item, target) in zip(told, some, strict=True):
        try:
            read.append((said, target, read_item(item, target)))
        except InputError as error:
            said["error"] = str(error)
    try:
        painted = painter([image for _, _, image in read])
    except InputError as error:
        for said, _, _ in read:
            said["error"] = f"{said['image']}: {error}"
        return told
    for (said, target, _), image in zip(read, painted, strict=True):
        try:
            write_picture(target if outputs is None else outputs.claim(target), image)
        except FullDiskError:
            raise
        except InputError as error:
            said["error"] = str(error)
        else:
            said |= {"out": str(target), "size": list(image.shape[:2])}
    return told
