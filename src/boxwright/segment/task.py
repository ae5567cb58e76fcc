"""Learning to segment, as the shared loop wants it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.errors import InputError, some
from boxwright.images import image_size
from boxwright.runtime.open_net import eager
from boxwright.segment.data import LabelledPictures
from boxwright.segment.losses import dice_loss, weighted_cross_entropy
from boxwright.segment.metrics import PixelFigures, confusion
from boxwright.segment.pictures import compared
from boxwright.segment.settings import LossSettings, VarySettings
from boxwright.segment.tiles import Tiling, tiled
from boxwright.segment.vary import moved, moved_labels, relit, window_places
from boxwright.segment.weight_map import border_weights, class_weights, objects_of
from boxwright.training.settings import DescentSettings
from boxwright.training.task import Example, Task

DESCENT = DescentSettings(
    epochs=40,
    batch=8,
    optimiser="adamw",
    lr=1e-3,
    weight_decay=1e-4,
    warmup=100,
    ema=0.99,
    ema_ramp=100,
)
"""How `boxwright segment train` descends unless it is told otherwise."""

KEPT_BYTES = 1 << 30
"""Decoded training pictures are kept in memory up to so much."""

LOOKED_AT = 4
"""Training pictures that are measured where none are held out."""


@dataclass(frozen=True)
class _Source:
    """A training picture, whole."""

    picture: UInt8[np.ndarray, "3 height width"]
    labels: UInt8[np.ndarray, "height width"]
    border: Float32[np.ndarray, "height width"]


class SegmentTask(Task):
    """A network for segmentation and the pictures that it learns from.

    An epoch shows each picture as often as windows of it have its area.

    Args:
        net: pictures -> logits.
        card: what its file says of it.
        tiling: how it is fed, in training and in use.
        train: what it learns from.
        val: what it is judged on; None judges it on some of the former, and the figures' names say so.
        vary: how pictures are varied.
        loss: what a wrong pixel costs.
    """

    larger = True

    def __init__(
        self,
        net: nn.Module,
        card: Card,
        tiling: Tiling,
        train: LabelledPictures,
        val: LabelledPictures | None,
        vary: VarySettings,
        loss: LossSettings,
    ) -> None:
        self.net, self.card, self.tiling = net, card, tiling
        self.train, self.val, self.vary, self.loss = train, val, vary, loss
        self._judged = val or train.only(entry.path.stem for entry in train.entries[:LOOKED_AT])
        self.figure = "miou" if val else "train_miou"
        self._kept: dict[int, _Source] = {}
        self._bytes = 0
        self._pixels = self._counted()
        self._weights = torch.from_numpy(self._balance()).float()
        areas = [math.prod(image_size(entry.path)) for entry in train.entries]
        self._windows = max(1, round(sum(areas) / len(areas) / tiling.tile**2))

    @property
    def count(self) -> int:
        """Windows in an epoch."""
        return len(self.train) * self._windows

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """One window: the picture, the labels, and the weights between objects."""
        number = index % len(self.train)
        source = self._source(number)
        margin = self.tiling.margin if self.tiling.cropped else 0
        side = self.tiling.tile + 2 * margin
        places = window_places(source.labels.shape, side, margin, self.vary, rng)
        picture = moved(source.picture.astype(np.float32) / np.float32(255), places)
        inner = places[:, margin : side - margin, margin : side - margin]
        labels = moved_labels(source.labels, inner).astype(np.int64)
        border = moved(source.border, inner)
        return Example((relit(picture, self.vary, rng), labels, border), str(self.train.entries[number].path))

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """Cross entropy, weighted by class and by the gaps between objects, and Dice where it is asked for."""
        pictures, labels, border = batch
        logits = net(pictures)
        table = nn.functional.pad(self._weights, (0, 256 - len(self._weights))).to(labels.device)
        loss = weighted_cross_entropy(logits, labels, table[labels] + border)
        if not self.loss.dice:
            return {"loss": loss}
        dice = dice_loss(logits, labels)
        return {"loss": loss + self.loss.dice * dice, "cross_entropy": loss, "dice": dice}

    def measure(self, net: nn.Module) -> dict[str, float]:
        """Mean IoU and Dice over classes, and the pixel error, over all pixels of whole pictures together."""
        classes = len(self.train.classes.names)
        total = np.zeros((classes, classes), np.int64)
        for index in range(len(self._judged)):
            labelled = self._judged.read(index)
            total += confusion(labelled.labels, self._predicted(net, labelled.picture), classes)
        figures = PixelFigures.of(total)
        found = {
            "miou": figures.mean_iou,
            "dice": figures.mean_dice,
            "pixel_error": figures.pixel_error,
        }
        return found if self.val else {f"train_{name}": value for name, value in found.items()}

    def picture(self, net: nn.Module) -> UInt8[np.ndarray, "height width 3"]:
        """The first picture that is judged, its truth, what is found, and what of that is wrong."""
        labelled = self._judged.read(0)
        return compared(labelled.picture, labelled.labels, self._predicted(net, labelled.picture))

    def facts(self) -> dict[str, Any]:
        """Settings, and what the pictures are."""
        values = {f"vary.{key}": value for key, value in asdict(self.vary).items()}
        values |= {f"loss.{key}": value for key, value in asdict(self.loss).items()}
        values |= {
            "the training pictures": self.train.fingerprint(),
            "the validation pictures": self.val.fingerprint() if self.val else "",
        }
        plain: dict[str, Any] = json.loads(json.dumps(values))
        return plain

    def _predicted(
        self, net: nn.Module, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "height width"]:
        found: np.ndarray = tiled(picture, eager(net), self.tiling).argmax(0).astype(np.uint8)
        return found

    def _source(self, number: int) -> _Source:
        if number in self._kept:
            return self._kept[number]
        labelled = self.train.read(number)
        border = np.zeros(labelled.labels.shape, np.float32)
        if self.loss.border:
            objects = objects_of(labelled.labels) if labelled.objects is None else labelled.objects
            border = border_weights(objects, self.loss.border, self.loss.sigma)
        source = _Source(np.ascontiguousarray(labelled.picture.transpose(2, 0, 1)), labelled.labels, border)
        size = source.picture.nbytes + source.labels.nbytes + border.nbytes
        if self._bytes + size <= KEPT_BYTES:
            self._kept[number] = source
            self._bytes += size
        return source

    def warnings(self) -> tuple[str, ...]:
        """Classes without a pixel, in training or validation pictures, and how these were read.

        Raises:
            InputError: all pixels are of one class, or of none.
        """
        names = self.train.classes.names
        there = [name for name, count in zip(names, self._pixels, strict=True) if count]
        if len(there) < 2:
            raise InputError(
                f"nothing to learn: all pixels are {there[0] if there else 'to be ignored'}",
                path=self.train.root,
                hint="see that the masks, their values and --classes belong together",
            )
        missing = [name for name in names if name not in there]
        told = self.train.warnings + (
            self.val.warnings if self.val and self.val.root != self.train.root else ()
        )
        return (*told, f"no training picture has a pixel of {some(missing)}") if missing else told

    def _counted(self) -> Int64[np.ndarray, " class"]:
        """Pixels of each class."""
        counts = np.zeros(256, np.int64)
        for number in range(len(self.train)):
            counts += np.bincount(self._source(number).labels.ravel(), minlength=256)
        return counts[: len(self.train.classes.names)]

    def _balance(self) -> np.ndarray:
        """What each class counts."""
        if self.loss.balance == "none":
            return np.ones(len(self._pixels))
        return class_weights(self._pixels, self.loss.balance)
