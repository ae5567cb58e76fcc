"""A backbone's map as one vector an image, in torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from boxwright.backbones.classifiers import find_classifier
from boxwright.card import Card
from boxwright.cluster.extractor import TASK
from boxwright.errors import InputError, near
from boxwright.preprocess import Preprocess
from boxwright.weights.trunk import fingerprint, pretrained_trunk

Pool = Literal["mean", "max", "grid", "flatten"]
POOLS: tuple[Pool, ...] = get_args(Pool)


class Pooled(nn.Module):
    """Normalised images -> one vector each.

    Args:
        backbone: normalised images -> a list of one map.
        pool: "mean" or "max" over all places, "grid" the means of 2 x 2 quarters, "flatten" the map as it is. The
            latter two keep places, and count channel by channel.
    """

    def __init__(self, backbone: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature"]:
        """The features.

        Args:
            images: RGB, normalised as the backbone wants them.
        """
        (maps,) = self.backbone(images)
        if self.pool == "mean":
            return maps.mean((2, 3))
        if self.pool == "max":
            return maps.amax((2, 3))
        if self.pool == "grid":
            return torch.stack(_quarters(maps), 2).flatten(1)
        return maps.flatten(1)


def build_net(
    backbone: str, tap: str, pool: str, size: int | None, weights: str | Path, say: Callable[[str], None]
) -> tuple[Pooled, Card, list[tuple[Tensor]]]:
    """The network behind `boxwright.cluster.extractor.build_graph`, whose arguments are the same.

    Returns:
        The network in evaluation mode, its card, and some inputs of several batches.

    Raises:
        InputError: as there.
    """
    if pool not in POOLS:
        raise InputError(f"no pooling {pool!r}", hint=near(pool, POOLS))
    if size is not None and size < 1:
        raise InputError(f"images of {size} pixels", hint="give --size at least 1")
    with torch.random.fork_rng(devices=[]):
        # Fresh weights are the same in each process, so that a job with them can go on.
        torch.manual_seed(0)
        trunk, origin = pretrained_trunk(backbone, (tap,), weights, say=say)
        side = size or origin.size
        examples = [(torch.randn(count, 3, side, side),) for count in (2, 1, 3)]
    net = Pooled(trunk.backbone, pool).eval()
    try:
        with torch.inference_mode():
            columns = net(*examples[0]).shape[1]
    except RuntimeError as error:
        raise InputError(
            f"{backbone} has no {tap} of an image of {side} pixels", hint="give a larger --size"
        ) from error
    spec = find_classifier(backbone)
    preprocess = Preprocess((side, side), filter=spec.filter, mean=spec.mean, std=spec.std)
    settings = {
        "backbone": backbone,
        "tap": tap,
        "pool": pool,
        "columns": columns,
        "preprocess": preprocess.to_dict(),
        "weights": fingerprint(net),
    }
    return net, Card(TASK, settings, {"weights": origin.said}), examples


class EagerExtractor:
    """Features in torch, on any device; acts as `boxwright.cluster.extractor.Extractor`.

    Args:
        net, card: what `build_net` returned.
        device: where it runs.
    """

    def __init__(self, net: Pooled, card: Card, device: torch.device | str = "cpu") -> None:
        self.card = card
        self.columns = int(card.settings["columns"])
        self.preprocess = Preprocess.from_dict(card.settings["preprocess"])
        self._device = torch.device(device)
        self._net = net.to(self._device)

    def prepare(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "3 size size"]:
        """One image, resized and normalised."""
        return self.preprocess(image)

    @torch.inference_mode()
    def run(self, images: Float32[np.ndarray, "batch 3 size size"]) -> Float32[np.ndarray, "batch feature"]:
        """The features of prepared images."""
        features: Float32[np.ndarray, "batch feature"] = (
            self._net(torch.from_numpy(images).to(self._device)).cpu().numpy()
        )
        return features


def _quarters(maps: Float[Tensor, "batch channel height width"]) -> list[Float[Tensor, "batch channel"]]:
    """Means of the quarters, row by row; a middle row or column counts on both sides."""
    height, width = maps.shape[2:]
    rows = (slice(0, (height + 1) // 2), slice(height // 2, height))
    columns = (slice(0, (width + 1) // 2), slice(width // 2, width))
    return [maps[:, :, row, column].mean((2, 3)) for row in rows for column in columns]
