"""The lineage on one backbone and one data set: what each step of it cost and bought.

An image's time is split as the papers split it (Ren et al. 2015, table 5): making regions, the network, what follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.hooks import RemovableHandle

from boxwright.compare.record import Run
from boxwright.compare.speed import IMAGES, in_turns
from boxwright.compare.variants import Variant
from boxwright.data.records import Dataset, Sample
from boxwright.detectors import TwoStage
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.loading import load
from boxwright.model import Model
from boxwright.predict import Propose, Ready, stacked
from boxwright.regions.recall import ENOUGH, best_overlaps
from boxwright.training.journal import BEST
from boxwright.types import TwoStageOutput, given

FILE = "lineage.json"

# What cuts regions out sees dozens of crops where others see one image: half the passes, one validation.
_CROPS = ("train.epochs=12", "train.eval_every=12")
VARIANTS = (
    Variant("localizer", "localizer-efficientnet-lite0"),
    Variant("sliding-window", "sliding-window-efficientnet-lite0", _CROPS),
    Variant("r-cnn", "rcnn-efficientnet-lite0", _CROPS),
    Variant("fast-r-cnn", "fast-rcnn-efficientnet-lite0"),
    Variant("faster-r-cnn", "faster-rcnn-efficientnet-lite0-fpn"),
    Variant("ssd", "ssd320-efficientnet-lite0"),
    Variant("retinanet", "retinanet-efficientnet-lite0-fpn"),
)
"""In the order of their history."""
QUESTION = "What did each step of the lineage buy, and what did it cost?"


@dataclass(frozen=True)
class Split:
    """Where an image's time goes, and what its boxes start from.

    Attributes:
        proposals: seconds an image to make the regions that are judged; 0 where priors are laid once.
        network: seconds for all else that is computed before decoding.
        after: seconds of decoding and suppression.
        priors: mean number of boxes that are judged in an image: regions, windows or anchors.
        recall: part of the objects that one of those overlaps by .5 or more, before any is moved.
    """

    proposals: float
    network: float
    after: float
    priors: float
    recall: float

    @property
    def seconds(self) -> float:
        """An image in all, reading and resizing left out."""
        return self.proposals + self.network + self.after


def measure(runs: Sequence[Run], images: Dataset, say: Callable[[str], None]) -> dict[str, Split]:
    """Time the first finished run of each variant in eager torch, one image at a time and in turns.

    Args:
        runs: of all variants.
        images: some of these are timed; recall is of all.
        say: receives a line before the work.

    Returns:
        by label.

    Raises:
        InputError: an image cannot be read.
    """
    first = {run.started.label: run.folder / BEST for run in reversed(runs) if run.result is not None}
    say(f"timing {len(first)} detectors part by part")
    models = {label: _opened(path) for label, path in first.items()}
    samples = images.samples[:IMAGES]
    taken = in_turns({label: partial(_timed, model, samples) for label, model in models.items()})
    found = {}
    for label, model in models.items():
        proposals, network, after = np.median(taken[label], axis=0).tolist()
        found[label] = Split(proposals, network, after, *_coverage(model, images))
    return found


def _opened(path: Path) -> Model:
    model = load(path, engine="torch")
    assert isinstance(model, Model)
    return model


def _timed(model: Model, samples: Sequence[Sample], number: int) -> tuple[float, float, float]:
    """Seconds of one image: regions, network, what follows."""
    clock, watch = time.perf_counter, Stopwatch(model)
    ready = _read(model, samples[number % len(samples)].path, watch.propose)
    pixels, sizes, *judged = _fed(model, ready)
    with torch.inference_mode(), watch:
        began = clock()
        before = watch.seconds
        out = model.net(pixels, sizes, *judged)
        seen = clock()
        model.decoder(out, sizes)
        done = clock()
    return watch.seconds, seen - began - (watch.seconds - before), done - seen


class Stopwatch:
    """How long regions took, before the network, or in one that makes its own from its levels to its second stage.

    Args:
        model: any; of a network that makes no regions `seconds` stays 0.
    """

    def __init__(self, model: Model) -> None:
        self._net, self._source = model.net, model.manifest.regions
        self._hooks: list[RemovableHandle] = []
        self.seconds = 0.0

    @property
    def propose(self) -> Propose | None:
        """The model's own source of regions, watched; None where it has none."""
        return self._propose if self._source is not None else None

    def __enter__(self) -> Stopwatch:
        if isinstance(self._net, TwoStage):
            neck, head = self._net.get_submodule("proposals.neck"), self._net.get_submodule("regions")
            self._hooks = [
                neck.register_forward_hook(lambda *_: self._add(-time.perf_counter())),
                head.register_forward_pre_hook(lambda *_: self._add(time.perf_counter())),
            ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _propose(self, image: np.ndarray, path: Path | None) -> np.ndarray:
        assert self._source is not None
        began = time.perf_counter()
        boxes = self._source(image)
        self._add(time.perf_counter() - began)
        return boxes

    def _add(self, seconds: float) -> None:
        self.seconds += seconds


def _coverage(model: Model, images: Dataset) -> tuple[float, float]:
    """Mean number of priors of an image, and the part of the objects that they cover."""
    counts, overlaps = [], []
    for sample in images:
        boxes = _priors(model, sample.path)
        counts.append(len(boxes))
        overlaps.append(best_overlaps(sample.boxes[~sample.ignore], boxes))
    best = np.concatenate(overlaps)
    return float(np.mean(counts)), float((best >= ENOUGH).mean()) if len(best) else float("nan")


def _priors(model: Model, path: Path) -> Float[np.ndarray, "prior 4"]:
    """What a detector judges in an image, in the image's pixels: a proposal is a prior."""
    source = model.manifest.regions
    if source is not None:
        return source(read_image(path))
    ready = _read(model, path)
    pixels, sizes = _fed(model, ready)
    with torch.inference_mode():
        out = model.net(pixels, sizes)
    priors = (out.regions if isinstance(out, TwoStageOutput) else out).priors
    boxes: np.ndarray = priors.boxes[0, priors.valid[0]].numpy()
    scale = [there / here for there, here in zip(ready.size, ready.pixels.shape[1:], strict=True)]
    return boxes * np.array([scale[1], scale[0]] * 2, np.float32)


def _read(model: Model, path: Path, propose: Propose | None = None) -> Ready:
    ready = model.predictor(propose).read(path)
    if isinstance(ready, InputError):
        raise ready
    return ready


def _fed(model: Model, ready: Ready) -> tuple[Any, ...]:
    """Tensors that the network takes."""
    images, sizes, *regions = stacked([ready], model.preprocess.pad_multiple)
    judged = [given(*one) for one in regions]
    pixels = torch.from_numpy(images).to(memory_format=torch.channels_last)
    return (pixels, torch.from_numpy(sizes), *judged)
