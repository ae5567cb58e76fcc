"""A trained network for segmentation in use: from a picture to classes, by torch or, exported, by ONNX Runtime alone.

Torch-free at import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.runtime.open_net import Run, open_net
from boxwright.segment.masks import Classes
from boxwright.segment.settings import NetSettings
from boxwright.segment.tiles import Tiling, tiled

if TYPE_CHECKING:
    from torch import nn

TASK = "segment"


def describe(
    model: str, classes: Classes, net: NetSettings, tiling: Tiling, notes: Mapping[str, str | float]
) -> Card:
    """What a network's file says of it.

    Args:
        model: "unet", "unet-BACKBONE" or "fpn-BACKBONE".
        classes: of its pixels.
        net: how it is built.
        tiling: how it is fed.
        notes: provenance.
    """
    settings = {
        "model": model,
        "classes": classes.names,
        "values": classes.values,
        "net": asdict(net),
        "tiling": asdict(tiling),
    }
    return Card(TASK, settings, notes)


def classes_of(card: Card) -> Classes:
    """The classes of a network's pixels, and their values in masks."""
    return Classes(tuple(card.settings["classes"]), tuple(card.settings["values"]))


def graph_tiling(settings: Mapping[str, Any]) -> Tiling:
    """How a trained network is fed, exported or not.

    The paper's padded net takes any multiple of its coarsest cell. The unpadded one takes its tile alone, and so do
    those on backbones, whose padding may depend on the size.

    Args:
        settings: the card's.
    """
    fed = Tiling(**settings["tiling"])
    return replace(fed, fixed=fed.cropped or settings["model"] != "unet")


@dataclass(frozen=True)
class Segmenter:
    """A network that tells the class of every pixel of pictures of any size.

    Attributes:
        card: what it is.
        run: the network itself: pictures -> logits.
        tiling: how it is fed.
    """

    card: Card
    run: Run
    tiling: Tiling

    @property
    def classes(self) -> Classes:
        """Of its pixels."""
        return classes_of(self.card)

    def probabilities(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "class height width"]:
        """Of each class at each pixel.

        Args:
            picture: RGB.
        """
        return _softmax(tiled(picture, self.run, self.tiling))

    def labels(
        self, picture: UInt8[np.ndarray, "height width 3"], threshold: float | None = None
    ) -> UInt8[np.ndarray, "height width"]:
        """The class of each pixel: the most probable one.

        Args:
            picture: RGB.
            threshold: of two classes, the second's probability from which on a pixel is of it.
        """
        return decided(self.probabilities(picture), threshold)


def decided(
    probabilities: Float32[np.ndarray, "class height width"], threshold: float | None = None
) -> UInt8[np.ndarray, "height width"]:
    """Classes from probabilities; see `Segmenter.labels`.

    Raises:
        InputError: a threshold for more than two classes.
    """
    if threshold is None:
        labels: np.ndarray = probabilities.argmax(0)
    elif len(probabilities) == 2:
        labels = probabilities[1] >= threshold
    else:
        raise InputError(
            f"a threshold for {len(probabilities)} classes",
            hint="leave --threshold out: the most probable class wins",
        )
    return labels.astype(np.uint8)


def load_segmenter(path: str | Path, device: str = "auto", threads: int | None = None) -> Segmenter:
    """Open a trained network.

    Args:
        path: `.safetensors`, which needs torch, or `.onnx`, which does not.
        device: of torch: "auto", "cpu", "cuda" or "cuda:N".
        threads: that ONNX Runtime may use; None is all cores.

    Raises:
        InputError: missing, damaged, or a network for something else.
    """
    opened = open_net(path, TASK, _build, threads=threads, device=device)
    # Alike whether it was exported: a network that sees further than its margin would say other things at other sides.
    return Segmenter(opened.card, opened.run, graph_tiling(opened.card.settings))


def _build(settings: Mapping[str, Any]) -> nn.Module:
    from boxwright.segment.networks import build

    return build(settings)


def _softmax(logits: Float32[np.ndarray, "class height width"]) -> Float32[np.ndarray, "class height width"]:
    powers = np.exp(logits - logits.max(0))
    found: np.ndarray = powers / powers.sum(0)
    return found
