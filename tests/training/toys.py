"""A detector and a data set small enough to train within a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from boxwright.assign import IoUAssigner
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import Augment
from boxwright.data.records import Dataset, Sample
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.features import FeatureSpec, Step
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.manifest import Manifest
from boxwright.model import Model
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.priors import GridPriors
from boxwright.recipes import Parts
from boxwright.sample import HardNegatives
from boxwright.training import train
from boxwright.training.settings import TrainSettings
from boxwright.types import Predictions

CLASSES = ("dark", "light")
VARIED = Augment(distort=0.5, flip_horizontal=0.5, scale=(0.8, 1.2))
QUICK = TrainSettings(
    epochs=3,
    batch=4,
    lr=0.02,
    warmup=2,
    ema=0.9,
    ema_ramp=3,
    workers=0,
    save_minutes=1e9,
    threads=1,
    amp="off",
)


class ToyNet(Network):
    """Three convolutions to an 8 x 8 map, one square prior a cell; with dropout torch's generator matters."""

    def __init__(self, *, norm: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()
        )
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Conv2d(16, len(CLASSES) + 1 + 4, 3, 1, 1)
        self.priors = GridPriors((((12.0, 12.0),),))

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> Predictions:
        out = self.head(self.body(self.stem(images)))
        grid = (out.shape[2], out.shape[3])
        flat = out.permute(0, 2, 3, 1).flatten(1, 2)
        specs = (FeatureSpec(16, (Step(3, 2, 1), Step(3, 2, 1))),)
        priors = self.priors([grid], (images.shape[2], images.shape[3]), sizes, specs)
        columns = len(CLASSES) + 1
        return Predictions(flat[..., :columns], flat[..., None, columns:], priors)

    def stages(self) -> tuple[nn.Module, ...]:
        return (self.stem, self.body)


def toy_model(seed: int = 0, *, norm: bool = True, dropout: float = 0.2) -> Model:
    torch.manual_seed(seed)
    coder = DeltaCoder((10.0, 10.0, 5.0, 5.0))
    parts = Parts(
        net=ToyNet(norm=norm, dropout=dropout),
        objective=Objective(
            assign=IoUAssigner(force="bipartite"),
            sample=HardNegatives(least=2),
            coder=coder,
            classification=softmax_cross_entropy,
            localisation=SmoothL1(),
        ),
        decoder=Decoder(coder, "softmax", 0.01, candidates=20, iou=0.45, detections=20),
        preprocess=Preprocess((32, 32)),
    )
    return Model(parts, Manifest("toy", {}, CLASSES, (1, 2), parts.preprocess))


def toy_data(folder: Path, images: int = 10, seed: int = 0, size: int = 40) -> Dataset:
    """Grey pictures with one or two dark or light squares, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(images):
        pixels = rng.integers(110, 140, (size, size, 3), dtype=np.uint8)
        boxes, labels = [], []
        for left in (3, 22)[: rng.integers(1, 3)]:
            side, top = int(rng.integers(11, 15)), int(rng.integers(2, 24))
            label = int(rng.integers(2))
            pixels[top : top + side, left : left + side] = 230 if label else 20
            boxes.append([left, top, left + side, top + side])
            labels.append(label)
        path = folder / f"picture{number:02}.png"
        Image.fromarray(pixels).save(path)
        count = len(labels)
        samples.append(
            Sample(
                path=path,
                size=(size, size),
                boxes=np.array(boxes, np.float64),
                labels=np.array(labels, np.int64),
                crowd=np.zeros(count, np.bool_),
                difficult=np.zeros(count, np.bool_),
                areas=np.prod(np.array(boxes)[:, 2:] - np.array(boxes)[:, :2], axis=1).astype(np.float64),
            )
        )
    return Dataset(tuple(samples), CLASSES, (1, 2), folder)


def train_together(data: Path, out: Path) -> None:
    """What each process of a distributed run does, and what one alone does to be compared with."""
    images = toy_data(data)
    settings = replace(QUICK, iterations=5, freeze_norms=True, ema=0.5)
    train(
        toy_model(dropout=0.0), images, val=images, out=out, settings=settings, augment=VARIED, device="cpu"
    )
