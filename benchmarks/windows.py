"""Sliding windows of a picture, each by itself and from one map for each shape, by the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Figure
from boxwright.detectors import RegionClassifier
from boxwright.model import Model, create, with_settings
from boxwright.types import Priors, given

PICTURE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def sharing() -> list[Figure]:
    """EfficientNet-Lite0 on all windows of its recipe; VGG-16, which takes minutes on all, on those of one shape."""
    one = {"sides": (0.35,), "ratios": (1.0,)}
    lite = _compared("sliding-window-efficientnet-lite0", {}, repeats=5)
    return [*lite, *_compared("sliding-window-vgg16", one, repeats=3)]


def _compared(recipe: str, settings: dict[str, Any], repeats: int) -> list[Figure]:
    shared = create(recipe, classes=["a"], weights=None, settings={**settings, "shared": True})
    shared.net.eval()
    alone = with_settings(shared, {"shared": False})
    # Both judge the same windows: those that can share.
    windows = shared.manifest.regions
    images = torch.from_numpy(shared.preprocess(PICTURE))[None]
    scale = np.array([images.shape[3] / PICTURE.shape[1], images.shape[2] / PICTURE.shape[0]] * 2, np.float32)
    assert windows is not None
    boxes = windows(PICTURE)[None] * scale
    regions = given(boxes, np.ones(boxes.shape[:2], np.bool_))

    apart, together = _in_turns([_judge(model, images, regions) for model in (alone, shared)], repeats)
    kind = recipe.removeprefix("sliding-window-")
    name = f"{boxes.shape[1]} windows of {images.shape[3]} x {images.shape[2]}, {kind}"
    ratio = f"{apart.value / together.value:.1f}x the speed of one by one"
    return [
        replace(apart, name=f"{name}, one by one"),
        replace(together, name=f"{name}, from shared maps", versus=ratio),
    ]


def _judge(model: Model, images: torch.Tensor, regions: Priors) -> Callable[[], object]:
    net = model.net
    assert isinstance(net, RegionClassifier)
    sizes = torch.tensor([images.shape[2:]])

    @torch.inference_mode()
    def judge() -> object:
        return model.decoder(net(images, sizes, regions), sizes)

    return judge


def _in_turns(works: list[Callable[[], object]], repeats: int) -> list[Figure]:
    """Each once unmeasured, then in turns, so that whatever else slows the machine slows all of them."""
    times: list[list[float]] = [[] for _ in works]
    for repeat in range(repeats + 1):
        for work, own in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            if repeat:
                own.append(time.perf_counter() - started)
    return [Figure("", statistics.median(own), "s/image", "", (min(own), max(own))) for own in times]
