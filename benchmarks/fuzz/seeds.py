"""The sound files that damage begins with: data sets, images, masks, models, tables, runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.cases.test_layouts import build as build_layouts
from tests.segment.scenes import write_pairs

from boxwright.card import Card
from boxwright.cluster.table import Described, Row, write_rows
from boxwright.loading import PACKAGED
from boxwright.modelfile import write_model
from boxwright.nets import export
from boxwright.perceptual import style_net, upscale
from boxwright.perceptual.vae import Vae, VaeSettings
from boxwright.regions.proposals import write as write_proposals
from boxwright.segment import networks
from boxwright.segment.masks import Classes
from boxwright.segment.model import describe
from boxwright.segment.settings import NetSettings
from boxwright.training.state import arrays

DETECTOR = "blood-cells"
RUN = [
    *[
        "upscale.patch=12",
        "upscale.held=2",
        "train.iterations=2",
        "train.warmup=1",
        "train.batch=2",
        "train.amp=off",
    ],
    "train.threads=1",
]
"""Settings of a training that takes a second."""


def make(folder: Path) -> None:
    """All of them: layouts/, images/, masks/, models/, weights/, tables/, comparison/, run/ under `folder`."""
    build_layouts(folder / "layouts")
    _images(folder / "images")
    write_pairs(folder / "masks", 4)
    _models(folder / "models")
    _weights(folder / "weights")
    _tables(folder / "tables", folder / "images")
    _comparison(folder / "comparison")
    _run(folder / "photographs", folder / "run")


def _run(photographs: Path, out: Path) -> None:
    """A training that has ended, to be gone on with."""
    from boxwright.cli.upscale import train

    rng = np.random.default_rng(2)
    photographs.mkdir()
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(photographs / f"{number}.png")
    train(photographs, out, blocks=1, channels=4, change=RUN, device="cpu")


def _images(folder: Path) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (12, 16, 3), np.uint8), 4, 0), 4, 1)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "a.jpg", exif=exif)
    image.convert("L").save(folder / "grey.jpg")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.save(folder / "p.jpg", progressive=True)
    image.save(folder / "a.png")
    image.convert("P").save(folder / "palette.png", transparency=3)
    image.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    image.save(folder / "two.gif", save_all=True, append_images=[image.rotate(90)])
    image.save(folder / "a.bmp")
    image.save(folder / "a.tif", compression="tiff_lzw")
    Image.fromarray(pixels[..., 0].astype(np.float32)).save(folder / "float.tiff")
    image.save(folder / "a.ppm")
    for name in ("a.webp", "a.jp2", "a.avif"):
        try:
            image.save(folder / name)
        except (OSError, KeyError, ValueError):  # a Pillow without that format
            (folder / name).unlink(missing_ok=True)


def _models(folder: Path) -> None:
    folder.mkdir(parents=True)
    for ending in ("safetensors", "onnx"):
        shutil.copy(PACKAGED / f"{DETECTOR}.{ending}", folder / f"detector.{ending}")
    torch.manual_seed(0)
    style = {"width": 4, "blocks": 1}
    _save(folder / "style.safetensors", style_net.build(style), "style", style)
    enlarge: dict[str, Any] = {"factor": 2, "blocks": 1, "channels": 4}
    _save(folder / "upscale.safetensors", upscale.build(enlarge), "upscale", enlarge)
    code = VaeSettings(size=32, latent=4, width=4)
    _save(folder / "vae.safetensors", Vae(code), "vae", asdict(code))
    net = NetSettings(width=4, depth=2, padded=True, norm=True, tile=32, margin=8)
    classes = Classes(("rest", "disc"), (0, 255))
    built = networks.begin("unet", 2, net)
    card = describe("unet", classes, net, networks.tiling(built, net), {})
    write_model(folder / "segment.safetensors", arrays(built), card)
    for task in ("style", "upscale", "segment"):
        export(folder / f"{task}.safetensors", task, folder / f"{task}.onnx")


def _save(path: Path, net: torch.nn.Module, task: str, settings: Mapping[str, Any]) -> None:
    write_model(path, arrays(net), Card(task, settings))


def _weights(folder: Path) -> None:
    folder.mkdir(parents=True)
    state = {
        "conv1.weight": torch.zeros(64, 3, 7, 7),
        "layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1),
        "fc.weight": torch.zeros(2, 4),
        "fc.bias": torch.zeros(2, dtype=torch.float16),
    }
    torch.save(state, folder / "plain.pth")
    torch.save({"state_dict": state, "epoch": 3, "lr": [0.1]}, folder / "inner.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "plain.safetensors")


def _tables(folder: Path, images: Path) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    settings: dict[str, Any] = {
        "backbone": "efficientnet-lite0",
        "tap": "stage2",
        "pool": "mean",
        "columns": 6,
    }
    settings |= {"preprocess": {"size": [64, 64]}}
    described = Described(settings, str(images), {"weights": "none"})
    rows = [
        Row(f"{number % 3}/{number:02}.jpg", 10, 20, (4, 5), rng.normal(size=6).astype(np.float32))
        for number in range(24)
    ]
    write_rows(folder / "features.parquet", described, sorted(rows, key=lambda row: row.path))
    boxes = [np.array([[0, 0, 20, 20], [5, 5, 40, 30]], np.float32)] * 2
    found = {"kind": "SelectiveSearch", "strategy": "fast", "count": 20, "side": 100, "seed": 0}
    write_proposals(folder / "proposals.npz", found, ["0.png", "1.png"], [(48, 64)] * 2, boxes)


def _comparison(folder: Path) -> None:
    for seed in range(2):
        run = folder / f"runs/a-{seed}"
        run.mkdir(parents=True)
        started = {
            "label": "a",
            "seed": seed,
            "number": 0,
            "recipe": "retinanet-efficientnet-lite0-fpn",
            "changes": ["model.size=32"],
            "parameters": 1000,
            "gflops": 0.5,
            "facts": {"train.select": "AP50", "train.lr": 0.1},
        }
        result = {
            "figures": {"AP": 0.3, "AP50": 0.5},
            "split": "val",
            "images": 2,
            "seconds": 1.5,
            "iterations": 4,
        }
        (run / "variant.json").write_text(json.dumps(started))
        (run / "result.json").write_text(json.dumps(result))
        (run / "metrics.csv").write_text(
            "iteration,epoch,images_per_second,AP50\n2,1,9.5,0.25\n4,2,9.5,0.5\n"
        )
    speed = {"a": {"ms": 3.0, "low": 2.5, "high": 3.5, "engine": "ONNX Runtime, CPU", "note": ""}}
    (folder / "speed.json").write_text(json.dumps(speed))
