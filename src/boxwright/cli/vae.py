"""`boxwright vae`: teach a variational auto-encoder pictures; decode, draw and blend them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright.cli.passed_over import tell_passed_over
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
    import numpy as np

    from boxwright.perceptual.loss import FeatureDistance
    from boxwright.perceptual.vae_coder import Coder

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Teach a variational auto-encoder pictures; decode them, draw new ones, blend two.",
)

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A run's best.safetensors, or the folder that `boxwright export` wrote."
    ),
]
Sheet = Annotated[Path, typer.Option("--out", "-o", metavar="PICTURE", help="The sheet: .png, .jpg, .webp.")]
JUDGE_TAPS = "stage1,stage2,stage3"
BACKBONE, TAPS = "efficientnet-lite0", "stage3,stage5,stage7"


@app.command("train")
def train(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="A folder of images, at any depth.")],
    out: Annotated[Path, typer.Option(help="The run's folder: weights, tables, pictures.")],
    reconstruction: Annotated[
        str,
        typer.Option(
            help="What a decoded picture should be near by: pixels, features (of --backbone), both, or hou: features "
            "by value and weights as Hou et al. 2017 have them, of VGG-19 unless --backbone says another."
        ),
    ] = "pixels",
    size: Annotated[int, typer.Option(help="Side of the pictures, a multiple of 16.", min=32)] = 64,
    latent: Annotated[
        int,
        typer.Option(
            help="Numbers that stand for a picture: with fewer draws are better, with more reconstructions.",
            min=1,
        ),
    ] = 128,
    beta: Annotated[
        float, typer.Option(help="Weight of the divergence from the prior: more makes draws better.", min=0)
    ] = 1.0,
    start: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Begin with the weights of another of the same size."),
    ] = None,
    backbone: Backbone = BACKBONE,
    taps: Taps = TAPS,
    weights: Weights = "auto",
    judge: Annotated[
        str,
        typer.Option(help="Backbone that says how near decoded pictures look, never what to learn; or none."),
    ] = "efficientnet-lite0",
    judge_taps: Taps = JUDGE_TAPS,
    judge_weights: Annotated[str, typer.Option(help="The judge's, as --weights.")] = "auto",
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch: Batch = None,
    lr: Lr = None,
    seed: Seed = 0,
    device: Device = "auto",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: train.KEY=VALUE or vae.KEY=VALUE. Repeatable."),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The last line of standard output is one JSON object.")
    ] = False,
) -> None:
    """Train a variational auto-encoder (Kingma and Welling 2014) on pictures as they are, without labels.

    OUT/best.safetensors is best on a tenth of the pictures, which is held out; OUT/preview.png shows some of them
    decoded, and new ones. By features (Hou et al. 2017) pictures keep texture where pixels blur it. Ctrl-C saves;
    with --resume the same command goes on.

    **Examples**

    `boxwright vae train flowers --out runs/flowers --minutes 15`

    `boxwright vae train flowers --out runs/sharp --reconstruction features --latent 32 --set vae.pixels=0.1`

    `boxwright vae train flowers --out runs/vgg --reconstruction both --backbone vgg16 --taps conv1,conv2,conv3
    --weights vgg16.safetensors --start runs/flowers/best.safetensors`

    `boxwright vae train flowers --out runs/flowers --set vae.free_bits=0.05 --set train.ema=0.995`

    `boxwright vae train faces --out runs/hou --reconstruction hou --latent 100 --weights imagenet`
    """
    from boxwright.cli.console import say
    from boxwright.cli.teach import given, listed, teach
    from boxwright.errors import InputError, near
    from boxwright.perceptual.squares import find_pictures, hold_back
    from boxwright.perceptual.vae import HOU_BACKBONE, HOU_BETA, HOU_TAPS, VaeSettings
    from boxwright.training.settings import changed, sorted_changes

    weighed = {"pixels": (1.0, 0.0), "features": (0.0, 1.0), "both": (0.5, 0.5), "hou": (0.0, HOU_BETA)}
    if reconstruction not in weighed:
        raise InputError(f"no reconstruction by {reconstruction!r}", hint=near(reconstruction, weighed))
    by_pixels, by_features = weighed[reconstruction]
    published = reconstruction == "hou"
    if published and (backbone, taps) == (BACKBONE, TAPS):
        backbone, taps = HOU_BACKBONE, ",".join(HOU_TAPS)
    asked = VaeSettings(
        size=size,
        latent=latent,
        beta=beta,
        pixels=by_pixels,
        features=by_features,
        feature_loss="value" if published else "direction",
        backbone=backbone,
        taps=listed(taps),
        seed=seed,
    )
    changes = sorted_changes(change or [], ["train", "vae"])
    settings = changed(asked, changes["vae"], name="vae")
    steps = given(epochs=epochs, minutes=minutes, batch=batch, lr=lr, seed=seed)

    tell_passed_over([images])
    learned, held = hold_back(find_pictures(images), settings.held, settings.seed)
    say(f"{len(held)} of {len(learned) + len(held)} pictures are held out for validation (seed {seed})")

    from boxwright.perceptual.vae_task import VAE_TRAINING, VaeTask
    from boxwright.weights.trunk import pretrained_trunk

    descent = changed(VAE_TRAINING, changes["train"] | steps, name="train")
    notes, trunk = {"data": str(images)}, None
    if settings.features:
        trunk, origin = pretrained_trunk(settings.backbone, settings.taps, weights, say=say)
        notes["features"] = origin.said
    judges = {}
    if judge != "none":
        judges[judge] = _judge(judge, judge_taps, judge_weights)
    begun = None
    if start is not None:
        from boxwright.perceptual.vae_coder import read_vae

        begun, _ = read_vae(start)
        notes["start"] = str(start)
    task = VaeTask(settings, learned, held, trunk, judges, notes, begun)
    teach(task, descent, out, resume=resume, overwrite=overwrite, device=device, as_json=as_json)


@app.command("reconstruct")
def reconstruct(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Images, or folders of them.")],
    out: Sheet,
    count: Annotated[int, typer.Option(help="Pictures on the sheet; figures are of all.", min=1)] = 12,
    held: Annotated[
        bool, typer.Option("--held", help="Of the folder that was trained on, only what was held out.")
    ] = False,
    judge: Annotated[
        str, typer.Option(help="Backbone whose features say how near the decoded pictures are, or none.")
    ] = "none",
    judge_taps: Annotated[str, typer.Option(help="Which of its activations, by commas.")] = JUDGE_TAPS,
    judge_weights: Annotated[str, typer.Option(help="Its weights, as --weights of train.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Encode pictures, decode the means of what was found, and lay both side by side.

    **Examples**

    `boxwright vae reconstruct runs/flowers/best.safetensors a.jpg b.jpg -o decoded.png`

    `boxwright vae reconstruct runs/flowers/best.safetensors flowers --held -o held.png --judge efficientnet-lite0`
    """
    import json

    from boxwright.cli.console import say
    from boxwright.draw import write_picture
    from boxwright.perceptual.sheets import as_images, sheet, spaced
    from boxwright.perceptual.vae_coder import open_coder
    from boxwright.perceptual.vae_latents import psnr

    coder = open_coder(model)
    paths = _held(coder, images) if held else _files(images)
    pictures = _squares(coder, paths)
    decoded = coder.decode(coder.encode(pictures))
    shown = spaced(len(paths), count)
    write_picture(
        out, sheet([("pictures", as_images(pictures[shown])), ("decoded", as_images(decoded[shown]))])
    )
    each = psnr(decoded, pictures)
    said: dict[str, Any] = {"pictures": len(paths), "psnr": round(float(each.mean()), 3)}
    if judge != "none":
        import torch

        distance = _judge(judge, judge_taps, judge_weights)
        pairs = zip(*(torch.from_numpy(array).split(50) for array in (decoded, pictures)), strict=True)
        with torch.inference_mode():
            said["distance"] = round(float(torch.cat([distance(a, b) for a, b in pairs]).mean()), 5)
        said["judge"] = f"{judge} {judge_taps}"
    if as_json:
        rows = [{"path": str(path), "psnr": round(float(v), 3)} for path, v in zip(paths, each, strict=True)]
        typer.echo(json.dumps(said | {"sheet": str(out), "each": rows}))
    told = f", distance {said['distance']:.4f} by {said['judge']}" if "distance" in said else ""
    say(f"{len(paths)} pictures, {said['psnr']:.2f} dB{told}; see {out}")


@app.command("sample")
def sample(
    model: Model,
    out: Sheet,
    count: Annotated[int, typer.Option(help="How many.", min=1)] = 64,
    columns: Annotated[int, typer.Option(help="In a row.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="The same seed draws the same.", min=0)] = 0,
    temperature: Annotated[
        float, typer.Option(help="Below 1: more usual and less various; 1 is the prior.", min=0)
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Draw new pictures from the prior.

    **Example**

    `boxwright vae sample runs/flowers/best.safetensors -o new.png --count 64 --temperature 0.8`
    """
    import json

    from boxwright.cli.console import say
    from boxwright.draw import write_picture
    from boxwright.perceptual.sheets import as_images, in_rows, sheet
    from boxwright.perceptual.vae_coder import open_coder
    from boxwright.perceptual.vae_latents import draw_latents

    coder = open_coder(model)
    drawn = coder.decode(draw_latents(count, coder.latent, seed, temperature))
    write_picture(out, sheet(in_rows(as_images(drawn), columns)))
    if as_json:
        said = {"sheet": str(out), "count": count, "seed": seed, "temperature": temperature}
        typer.echo(json.dumps(said))
    say(f"{count} drawn pictures; see {out}")


@app.command("interpolate")
def interpolate(
    model: Model,
    first: Annotated[Path, typer.Argument(metavar="A", help="The picture to begin with.")],
    last: Annotated[Path, typer.Argument(metavar="B", help="The picture to end with.")],
    out: Sheet,
    steps: Annotated[int, typer.Option(help="Decoded pictures from one to the other.", min=2)] = 9,
    as_json: AsJson = False,
) -> None:
    """Decode the way from one picture to another.

    **Example**

    `boxwright vae interpolate runs/flowers/best.safetensors rose.jpg tulip.jpg -o strip.png`
    """
    import json

    import numpy as np

    from boxwright.cli.console import say
    from boxwright.draw import write_picture
    from boxwright.perceptual.sheets import as_images, sheet
    from boxwright.perceptual.vae_coder import open_coder
    from boxwright.perceptual.vae_latents import between

    coder = open_coder(model)
    pictures = _squares(coder, [first, last])
    a, b = coder.encode(pictures)
    way = coder.decode(between(a, b, steps))
    # The pictures themselves at both ends, beside what they are decoded to.
    row = as_images(np.concatenate([pictures[:1], way, pictures[1:]]))
    write_picture(out, sheet([("", row)]))
    if as_json:
        typer.echo(json.dumps({"sheet": str(out), "from": str(first), "to": str(last), "steps": steps}))
    say(f"{steps} steps from {first.name} to {last.name}; see {out}")


def _files(images: list[Path]) -> list[Path]:
    """Images, and those of folders."""
    from boxwright.perceptual.squares import find_pictures

    return [file for one in images for file in (find_pictures(one) if one.is_dir() else (one,))]


def _held(coder: Coder, images: list[Path]) -> list[Path]:
    """What training held out of a folder."""
    from boxwright.errors import InputError
    from boxwright.perceptual.squares import find_pictures, hold_back

    if len(images) != 1:
        raise InputError("--held is of one folder", hint="give the folder that was trained on")
    settings = coder.card.settings
    return list(hold_back(find_pictures(images[0]), settings["held"], settings["seed"])[1])


def _squares(coder: Coder, paths: list[Path]) -> np.ndarray:
    from boxwright.perceptual.squares import Squares

    return Squares(paths, coder.size).middles()


def _judge(name: str, taps: str, weights: str) -> FeatureDistance:
    from boxwright.cli.console import say
    from boxwright.cli.teach import listed
    from boxwright.perceptual.loss import FeatureDistance
    from boxwright.weights.trunk import pretrained_trunk

    return FeatureDistance(pretrained_trunk(name, listed(taps), weights, say=say)[0])
