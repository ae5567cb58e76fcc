"""Losses, detections and COCO's numbers of a data set, from one forward pass of each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from boxwright.data.records import Dataset
from boxwright.decode import Decoder
from boxwright.evaluate.accuracy import label_metrics
from boxwright.evaluate.coco import coco_metrics
from boxwright.manifest import Manifest
from boxwright.predict import in_original_pixels, labelled
from boxwright.results import Result
from boxwright.training.loader import Loaded
from boxwright.types import Batch, Detections, Losses, Targets, TwoStageLosses

if TYPE_CHECKING:
    from boxwright.training.setup import Run


@dataclass(frozen=True)
class Validation:
    """What one pass over the validation images gave.

    Attributes:
        results: one per image, in the data set's order; images that could not be read have none in them. Of several
            processes the first one has them.
        losses: means over images, by part, and their sum as "loss".
        metrics: COCO's twelve numbers by name.
        broken: files that could not be read so far, in training too, with the reason; of several processes the
            first one has all of them.
    """

    results: tuple[Result, ...]
    losses: dict[str, float]
    metrics: dict[str, float]
    broken: dict[str, str]


@torch.inference_mode()
def validate(run: Run, loaded: Iterator[Loaded]) -> Validation:
    """Measure the weights that a run would keep on its validation images; each process takes its share of them.

    Args:
        run: its `best_net` is put into evaluation mode and left there.
        loaded: this process's share of the images, in order.

    Raises:
        InputError: an image could not be read and the loader's policy is "error".
    """
    model, dataset, precision = run.plan.model, run.plan.val, run.moving.precision
    net = run.best_net.eval()
    results: dict[int, Result] = {}
    sums: dict[str, float] = {}
    broken = dict(run.broken)
    for part in loaded:
        broken |= {one.path: one.reason for one in part.broken}
        if part.batch is None:
            continue
        batch = to_device(part.batch, precision.device, channels_last=run.plan.settings.channels_last)
        with precision.autocast():
            taught, seen = net.taught_and_seen(batch)
        for name, value in named(model.objective(taught, batch.targets)).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part.indices)
        # What looks at sizes alone need not know of scales.
        scaled = isinstance(model.decoder, Decoder) and model.decoder.min_size_in == "image"
        fed = (batch.sizes, batch.scales) if scaled else (batch.sizes,)
        found = as_results(model.decoder(seen, *fed), part, model.manifest)
        results |= dict(zip(part.indices, found, strict=True))
    parts = run.team.gathered((results, sums, broken))
    losses, metrics = run.team.told(_figures(dataset, parts) if parts else None) or ({}, {})
    shares = [share for share, _, _ in parts]
    return Validation(
        results=_everything(dataset, shares) if parts else (),
        losses=losses,
        metrics=metrics,
        broken={path: reason for _, _, some in parts for path, reason in some.items()} or broken,
    )


def _figures(
    dataset: Dataset, parts: Sequence[tuple[dict[int, Result], dict[str, float], dict[str, str]]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean losses and metrics over the shares of all processes."""
    shares = [results for results, _, _ in parts]
    images, sums = sum(map(len, shares)), Counter[str]()
    for _, some, _ in parts:
        sums.update(some)
    everything = _everything(dataset, shares)
    metrics = coco_metrics(dataset, everything).numbers() | label_metrics(dataset, everything)
    return {name: value / max(1, images) for name, value in sums.items()}, metrics


def _everything(dataset: Dataset, shares: Sequence[dict[int, Result]]) -> tuple[Result, ...]:
    """One result per image, in the data set's order."""
    known = {index: result for share in shares for index, result in share.items()}
    return tuple(
        known[i] if i in known else _nothing(sample.size or (1, 1)) for i, sample in enumerate(dataset)
    )


def named(losses: Losses | TwoStageLosses) -> dict[str, Float[Tensor, ""]]:
    """The losses by name, their sum first."""
    parts = {field.name: getattr(losses, field.name) for field in fields(losses)}
    return {"loss": losses.total, **parts}


def to_device(batch: Batch, device: torch.device, *, channels_last: bool) -> Batch:
    """The batch where the network is; copies to a GPU run beside what it computes."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    if device.type != "cuda":
        return replace(batch, images=batch.images.to(device, memory_format=layout))
    proposals = None if batch.proposals is None else batch.proposals.to(device)

    def move(value: Tensor) -> Tensor:
        return value.pin_memory().to(device, non_blocking=True)

    found = {field.name: getattr(batch.targets, field.name) for field in fields(Targets)}
    targets = Targets(**{name: move(value) for name, value in found.items() if value is not None})
    images = move(batch.images).contiguous(memory_format=layout)
    scales = None if batch.scales is None else move(batch.scales)
    return Batch(images, move(batch.sizes), targets, batch.paths, proposals, scales)


def as_results(found: Detections, loaded: Loaded, manifest: Manifest) -> list[Result]:
    """Every valid detection, whatever its score, in the pixels of the images' own files."""
    if loaded.batch is None:
        return []
    boxes, scores, labels, valid = (
        part.cpu().numpy() for part in (found.boxes, found.scores, found.labels, found.valid)
    )
    results = []
    for row, original in enumerate(loaded.originals):
        shown = valid[row]
        fed = tuple(loaded.batch.sizes[row].tolist())
        scaled = in_original_pixels(boxes[row][shown], fed, original)
        path = Path(loaded.batch.paths[row])
        results.append(labelled(manifest, scaled, scores[row][shown], labels[row][shown], original, path))
    return results


def _nothing(size: tuple[int, int]) -> Result:
    none = np.zeros(0, np.int64)
    return Result(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, none, (), size)
