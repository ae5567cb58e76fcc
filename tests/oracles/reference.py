"""Rebuild the weights and images of the reference cases (their README says how)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from boxwright.data.collate import collate
from boxwright.data.prepare import Prepared
from boxwright.model import Model
from boxwright.results import Result
from boxwright.types import Batch
from boxwright.weights import from_torchvision


@dataclass(frozen=True)
class Case:
    """A model of torchvision 0.28.0, its inputs, and what it computed."""

    spec: dict[str, Any]
    outputs: Any

    def state_dict(self) -> dict[str, Tensor]:
        gains, offsets = self.spec["gains"], self.spec.get("offsets", {})
        return {
            key: _tensor(key, tuple(shape), gains.get(key, 1.0), offsets.get(key, 0.0))
            for key, shape in self.spec["layout"].items()
        }

    def images(self) -> list[Tensor]:
        return [torch.from_numpy(picture(**item)) for item in self.spec["inputs"]]


def load(folder: Path, name: str) -> Case:
    return Case(json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz"))


@lru_cache(maxsize=1)
def built(folder: Path, name: str) -> tuple[Case, Model]:
    """A case and the model with its weights."""
    case = load(folder, name)
    return case, from_torchvision(name, case.state_dict())


def picture(h: int, w: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype("float32")
    planes = [0.5 + 0.4 * np.sin(x / (9 + 5 * c) + seed) * np.cos(y / (13 + 3 * c)) for c in range(3)]
    noisy = np.stack(planes) + 0.1 * rng.standard_normal((3, h, w))
    return np.clip(noisy, 0, 1).astype("float32")


def batch(case: reference.Case, model: Model, *which: int) -> Batch:
    """The first images, each with one of the case's targets, in the input's pixels."""
    samples = []
    for number, (target, image) in enumerate(zip(which, case.images(), strict=False)):
        fed, found = model.preprocess(image.numpy()), case.spec["targets"][target]
        height, width = image.shape[1:]
        scale = np.array([fed.shape[2] / width, fed.shape[1] / height] * 2, np.float32)
        boxes = np.array(found["boxes"], np.float32).reshape(-1, 4) * scale
        labels = np.array([model.manifest.ids.index(label) for label in found["labels"]], np.int64)
        ignore = np.zeros(len(labels), np.bool_)
        samples.append(Prepared(fed, boxes, labels, ignore, (height, width), number, str(number)))
    return collate(samples, multiple=model.preprocess.pad_multiple)


def same_detections(case: Case, results: Sequence[Result]) -> None:
    """Within the tolerances: boxes .05 px, scores 1e-4, the same labels."""
    for number, result in enumerate(results):
        boxes, scores, labels = (
            case.outputs[f"det{number}_{part}"] for part in ("boxes", "scores", "labels")
        )
        np.testing.assert_allclose(result.scores, scores, atol=1e-4)
        # Where scores differ by less than the tolerance the order is free: each finds a partner of its own.
        free = np.ones(len(scores), bool)
        for box, score, label in zip(boxes, scores, labels, strict=True):
            near = (result.labels == label) & free & (np.abs(result.scores - score) < 1e-4)
            distance = np.where(near, np.abs(result.boxes - box).max(1), np.inf)
            assert distance.min() < 0.05
            free[distance.argmin()] = False


def _tensor(key: str, shape: tuple[int, ...], gain: float, offset: float) -> Tensor:
    z = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype("float32")
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.long)
    if leaf == "running_mean":
        values = 0.1 * z
    elif leaf == "running_var":
        values = 1 + 0.1 * np.abs(z)
    elif len(shape) <= 1:
        values = gain * (1 + 0.1 * z) if leaf in ("weight", "scale_weight") else 0.05 * z
    else:
        values = gain * np.sqrt(2 / np.prod(shape[1:])) * z
    return torch.from_numpy(np.asarray(values + offset, dtype="float32"))
