"""A detector whose answers are known without training: it sees red and green cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from boxwright.assign import IoUAssigner
from boxwright.boxes import DeltaCoder
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.features import FeatureSpec, Step
from boxwright.losses import SmoothL1, softmax_cross_entropy
from boxwright.manifest import Manifest
from boxwright.model import Model
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.priors import GridPriors
from boxwright.recipes import RECIPES, Parts
from boxwright.sample import HardNegatives
from boxwright.types import Predictions

CLASSES = ("red", "green")
SIZE, CELL = 32, 8


class ColourNet(Network):
    """Scores each 8 x 8 cell by its mean red and green; two priors a cell, suppression leaves one."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(CELL)
        self.head = nn.Conv2d(3, 2 * (len(CLASSES) + 4), 1)
        self.priors = GridPriors((((8.0, 8.0), (8.0, 7.0)),))
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()
            for prior in range(2):
                for colour in range(2):  # logit 10 at full colour, less for the second prior; -10 at none
                    self.head.weight[6 * prior + colour, colour] = 20 - prior
                    self.head.bias[6 * prior + colour] = -10
            self.head.weight[2:6, 2] = 0.25  # blue moves and grows the first prior a little

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> Predictions:
        out = self.head(self.pool(images))
        grid = (out.shape[2], out.shape[3])
        flat = out.permute(0, 2, 3, 1).unflatten(3, (2, len(CLASSES) + 4)).flatten(1, 3)
        specs = (FeatureSpec(3, (Step(CELL, CELL, 0),)),)
        priors = self.priors([grid], (images.shape[2], images.shape[3]), sizes, specs)
        return Predictions(flat[..., : len(CLASSES)], flat[..., None, len(CLASSES) :], priors)


@dataclass(frozen=True)
class NoSettings:
    """The toy has none."""


def toy_parts(net: Network) -> Parts:
    coder = DeltaCoder((10.0, 10.0, 5.0, 5.0))
    return Parts(
        net=net,
        objective=Objective(
            assign=IoUAssigner(force="bipartite"),
            sample=HardNegatives(),
            coder=coder,
            classification=softmax_cross_entropy,
            localisation=SmoothL1(),
        ),
        decoder=Decoder(coder, "sigmoid", 0.05, candidates=20, iou=0.45, detections=12),
        preprocess=Preprocess((SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )


def toy_model(net: nn.Module | None = None) -> Model:
    parts = toy_parts(ColourNet() if net is None else net)
    return Model(parts, Manifest("toy", {}, CLASSES, (7, 3), parts.preprocess, 0.5, notes={"licence": "CC0"}))


TOY = replace(
    RECIPES["ssd320-efficientnet-lite0"],
    name="toy",
    settings=NoSettings(),
    build=lambda classes, settings: toy_parts(ColourNet()),
)


def picture(cells: dict[tuple[int, int], str], side: int = 2 * SIZE) -> np.ndarray:
    """Black, with cells (row, column) of a 4 x 4 grid in a colour; later ones are dimmer: scores differ."""
    image = np.zeros((side, side, 3), np.uint8)
    step = side // 4
    for number, ((row, column), colour) in enumerate(cells.items()):
        patch = image[row * step : (row + 1) * step, column * step : (column + 1) * step]
        patch[..., CLASSES.index(colour)] = 255 - 12 * number
        patch[..., 2] = 20 * number
    return image


def pictures() -> list[np.ndarray]:
    return [
        picture({(0, 0): "red", (2, 3): "green"}),
        picture({(1, 1): "green", (1, 2): "green", (3, 0): "red", (3, 3): "red"}),
        picture({}),
        picture({(0, 3): "red"}, side=100),
    ]


def photograph(folder: Path, seed: int = 0) -> Path:
    """A noisy picture with a red and a green cell, as a JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 40, (96, 128, 3)).astype(np.uint8)
    image = Image.fromarray(np.maximum(noise, np.asarray(Image.fromarray(pictures()[0]).resize((128, 96)))))
    image.save(folder / f"{seed}.jpg", quality=95)
    return folder / f"{seed}.jpg"
