"""How well a recipe's priors cover the boxes of a data set, and scales that cover them better.

An object that no prior overlaps by half is learnt only through the one prior that the assignment forces on it;
anchors that do not fit the data are the commonest silent cause of a poor detector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from boxwright.boxes import iou
from boxwright.data import open_dataset, splits
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.images import image_size
from boxwright.model import changed_settings
from boxwright.recipes import find
from boxwright.recipes.recipe import Recipe
from boxwright.training.settings import changed

BANDS = (0.0, 16.0, 32.0, 64.0, 128.0, float("inf"))
"""Objects are listed by the square root of their area on the network's input, in pixels."""


@dataclass(frozen=True)
class Band:
    """Objects of one size.

    Attributes:
        low, high: square root of the area on the input, in pixels.
        objects: how many.
        best: mean over objects of the greatest IoU with any prior.
        half: part of the objects that some prior overlaps by at least .5.
    """

    low: float
    high: float
    objects: int
    best: float
    half: float


@dataclass(frozen=True)
class Coverage:
    """How well priors cover boxes.

    Attributes:
        recipe: whose priors.
        priors: how many an image has.
        objects: how many boxes were looked at.
        best: mean over objects of the greatest IoU with any prior.
        half: part of the objects that some prior overlaps by at least .5.
        bands: the same by size.
        worst: (width, height) on the input of the ten objects covered worst.
    """

    recipe: str
    priors: int
    objects: int
    best: float
    half: float
    bands: tuple[Band, ...]
    worst: tuple[tuple[float, float], ...]


def boxes_on_input(dataset: Dataset, recipe: Recipe, settings: Any) -> Float[Tensor, "object 4"]:
    """All objects of a data set in pixels of the network's input, ignored ones left out."""
    target = recipe.build(1, settings).preprocess.target
    scaled = []
    for sample in dataset:
        height, width = sample.size or image_size(sample.path)
        tall, wide = target(height, width)
        scaled.append(sample.boxes[~sample.ignore] * np.array([wide / width, tall / height] * 2))
    boxes = np.concatenate(scaled) if scaled else np.zeros((0, 4))
    if not len(boxes):
        raise InputError("no objects to cover", path=dataset.root, hint="choose another --split")
    return torch.from_numpy(boxes.astype(np.float32))


Lay = Callable[[Any], Float[Tensor, "prior 4"]]


def layer(recipe: Recipe, settings: Any) -> Lay:
    """What lays a recipe's priors for changed settings; no forward pass, since the levels state their cells."""
    parts = recipe.build(1, settings)
    dense = parts.net.dense
    if dense is None:
        raise InputError(f"{recipe.name} lays no priors on cells", hint="choose a detector with anchors")
    specs = dense.neck.specs
    height, width = parts.preprocess.size
    grids = [(spec.cells(height), spec.cells(width)) for spec in specs]
    size = torch.tensor([[height, width]])
    return lambda changed: changed.priors()(grids, (height, width), size, specs).boxes[0]


def measure(boxes: Float[Tensor, "object 4"], recipe: Recipe, settings: Any) -> Coverage:
    """Hold a recipe's priors against boxes on its input."""
    priors = layer(recipe, settings)(settings)
    best = torch.cat([iou(part, priors).amax(1) for part in boxes.split(256)])
    sides = boxes[:, 2:] - boxes[:, :2]
    size = sides.prod(1).sqrt()
    bands = []
    for low, high in pairwise(BANDS):
        inside = (size >= low) & (size < high)
        if inside.any():
            found = best[inside]
            bands.append(
                Band(low, high, len(found), float(found.mean()), float((found >= 0.5).float().mean()))
            )
    worst = sides[best.argsort()[:10]].tolist()
    return Coverage(
        recipe.name,
        len(priors),
        len(boxes),
        float(best.mean()),
        float((best >= 0.5).float().mean()),
        tuple(bands),
        tuple((round(w, 1), round(h, 1)) for w, h in worst),
    )


def fit_scales(
    boxes: Float[Tensor, "object 4"], recipe: Recipe, settings: Any, rounds: int = 10
) -> tuple[float, ...]:
    """Scales whose priors overlap the boxes best where both really lie; ratios stay as they are.

    Coordinate descent on the logarithms of the scales, which stay in order. Shapes alone (k-means on 1 - IoU)
    would put too many scales on coarse levels, whose few cells no object is centred on.

    Args:
        boxes: on the network's input.
        recipe: of settings with `scales`.
        settings: to start from.
        rounds: passes over all scales at most.
    """
    if not hasattr(settings, "scales"):
        raise InputError(f"{recipe.name} has no scales to fit")
    some = boxes[torch.linspace(0, len(boxes) - 1, min(len(boxes), 400)).long()]

    lay = layer(recipe, settings)

    def quality(scales: Sequence[float]) -> float:
        best = iou(some, lay(replace(settings, scales=tuple(scales)))).amax(1)
        return float((best + (best >= 0.5)).mean())

    scales = list(settings.scales)
    best, step = quality(scales), 0.25
    for _ in range(rounds):
        improved = False
        for i in range(len(scales)):
            for factor in (1 + step, 1 / (1 + step)):
                trial = [*scales[:i], scales[i] * factor, *scales[i + 1 :]]
                if trial == sorted(trial) and (found := quality(trial)) > best + 1e-4:
                    scales, best, improved = trial, found, True
        if not improved:
            step /= 2
    return tuple(round(scale, 4) for scale in scales)


def report(
    data: Path, *, model: str, split: str | None, fit: bool, changes: Sequence[str], as_json: bool
) -> str:
    """What `boxwright anchors` prints.

    Args:
        data: a data set.
        model: a recipe's name.
        split: which part of it; None is train, or all where nothing is called so.
        fit: also fit scales.
        changes: "model.KEY=VALUE" settings of the recipe.
        as_json: one JSON object instead of text.
    """
    recipe = find(model)
    settings = recipe.settings
    for change in changes:
        key, found, value = change.partition("=")
        if not found or not key.startswith("model."):
            raise InputError(f"--set {change}: not model.KEY=VALUE", hint="such as model.scales=0.05,0.1,0.2")
        settings = changed(settings, {key.removeprefix("model."): value}, name="model")
    if split is None and "train" in splits(data):
        split = "train"
    boxes = boxes_on_input(open_dataset(data, split), recipe, settings)
    now = measure(boxes, recipe, settings)
    better = None
    if fit:
        scales = fit_scales(boxes, recipe, settings)
        better = (scales, measure(boxes, recipe, changed_settings(settings, {"scales": scales})))
    if as_json:
        fitted = None if better is None else {"scales": better[0], **asdict(better[1])}
        return json.dumps({"now": asdict(now), "fitted": fitted}, default=str)
    lines = [*_text(now)]
    if better is not None:
        lines += ["", "fitted scales:", *_text(better[1])]
        lines.append(f"train with --set model.scales={','.join(map(str, better[0]))}")
    elif now.half < 0.9:
        lines.append("try --fit for scales that cover these boxes better")
    return "\n".join(lines)


def _text(coverage: Coverage) -> list[str]:
    lines = [
        f"{coverage.recipe}: {coverage.priors} priors an image, {coverage.objects} objects",
        f"  best prior: mean IoU {coverage.best:.3f}; {coverage.half:.1%} of the objects are covered (IoU >= .5)",
    ]
    for band in coverage.bands:
        size = f"{band.low:.0f}-{band.high:.0f} px" if band.high < float("inf") else f"from {band.low:.0f} px"
        lines.append(
            f"  {size:>12}: {band.objects:6d} objects, mean IoU {band.best:.3f}, {band.half:6.1%} covered"
        )
    return lines
