"""R-CNN's linear stages on cached features: support vector machines with mined negatives, and ridge regression.

Girshick et al. 2014: section 2.3, "Object category classifiers"; appendix B, "Positive vs. negative examples and
softmax"; appendix C, "Bounding-box regression". Solvers are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64

from boxwright.boxes import DeltaCoder
from boxwright.errors import InputError
from boxwright.files import read_arrays, replacing
from boxwright.training.region_features import AGAIN, ImageFeatures

TYPICAL_NORM = 20.0
"""Features are scaled to this mean length, for which the constants below were chosen (the released program's)."""
NEGATIVE_BELOW = 0.3
"""A region that overlaps every object of a class by less is background to that class (appendix B)."""
REFIT_AFTER = 2000
"""New hard negatives after which a machine is trained again."""
_C, _POSITIVE_WEIGHT, _BIAS = 1e-3, 2.0, 10.0
_LAMBDA = 1000.0

Features = Float32[np.ndarray, "_ feature"]


@dataclass(frozen=True)
class Linear:
    """One linear map of features as they are cached.

    Attributes:
        weight, bias: rows are outputs.
    """

    weight: Float32[np.ndarray, "output feature"]
    bias: Float32[np.ndarray, " output"]

    def write(self, path: Path, origin: str) -> None:
        """Keep it, with the name of what it was trained on; the file appears only when it is complete.

        Raises:
            InputError: the disk is full or the folder cannot be written.
        """
        with replacing(path) as file:
            np.savez(file, origin=np.array(origin), weight=self.weight, bias=self.bias)

    @classmethod
    def read(cls, path: Path, origin: str) -> Linear:
        """What `write` wrote.

        Raises:
            InputError: the file is missing, damaged, or of another origin.
        """
        arrays = read_arrays(path, ("origin", "weight", "bias"), kind="file of a linear judge", again=AGAIN)
        if str(arrays["origin"]) != origin:
            raise InputError(
                "was trained on features by other weights or of other regions",
                path=path,
                hint=f"delete it and {AGAIN}",
            )
        return cls(arrays["weight"], arrays["bias"])


@dataclass(eq=False)
class Miner:
    """The machine of one class, and the examples that it is trained on.

    Attributes:
        positives: features of the class's own objects.
        negatives: those that were hard when they were met, and have stayed so.
        fresh: how many came since the last training.
    """

    positives: list[Features] = field(default_factory=list)
    negatives: list[Features] = field(default_factory=list)
    fresh: int = 0
    weight: Float64[np.ndarray, " feature"] | None = None
    bias: float = 0.0

    def margins(self, features: Features) -> Float64[np.ndarray, " _"]:
        """How far on the positive side each example lies."""
        assert self.weight is not None
        return np.asarray(features @ self.weight + self.bias)

    def meet(self, candidates: Features) -> None:
        """Keep the background that this machine does not yet put behind its margin."""
        if not len(candidates):
            return
        hard = candidates if self.weight is None else candidates[self.margins(candidates) > -1.0001]
        if len(hard):
            self.negatives.append(hard)
            self.fresh += len(hard)
        if self.fresh >= REFIT_AFTER:
            self.fit()

    def fit(self) -> None:
        """Train on what there is, then drop the negatives that have become easy."""
        self.fresh = 0
        positives, negatives = np.concatenate(self.positives), np.concatenate(self.negatives)
        self.weight, self.bias = support_vectors(positives, negatives)
        self.negatives = [negatives[self.margins(negatives) > -1.2]]


def support_vectors(
    positives: Features, negatives: Features
) -> tuple[Float64[np.ndarray, " feature"], float]:
    """A linear support vector machine: its weights and bias."""
    from sklearn.svm import LinearSVC

    machine = LinearSVC(
        C=_C,
        loss="hinge",
        class_weight={1: _POSITIVE_WEIGHT, 0: 1.0},
        intercept_scaling=_BIAS,
        max_iter=5000,
        random_state=0,
    )
    truth = np.r_[np.ones(len(positives)), np.zeros(len(negatives))]
    machine.fit(np.concatenate((positives, negatives)), truth)
    return machine.coef_[0], float(machine.intercept_[0])


def typical_scale(images: Iterable[ImageFeatures]) -> float:
    """What features are multiplied by, so that their mean length is `TYPICAL_NORM`."""
    return _scale(image.features for image in images)


def _scale(parts: Iterable[np.ndarray]) -> float:
    total, count = 0.0, 0
    for features in parts:
        total += float(np.linalg.norm(features.astype(np.float32), axis=1).sum())
        count += len(features)
    return TYPICAL_NORM * count / total if total else 1.0


def machines(images: Iterable[ImageFeatures], classes: int, scale: float, rng: np.random.Generator) -> Linear:
    """One support vector machine for each class; one pass over the images finds the hard negatives.

    Args:
        images: can be gone through more than once.
        classes: how many.
        scale: of the features.
        rng: chooses the background that the first machines are trained on.

    Returns:
        margins of cached features; a class without an object has one that is always -2.
    """
    miners = [Miner() for _ in range(classes)]
    width = 0
    for image in images:
        features = image.features.astype(np.float32) * scale
        width = features.shape[1]
        own = features[len(features) - len(image.labels) :]
        some = rng.permutation(len(features))[:10]
        overlaps = image.overlaps()
        for label, miner in enumerate(miners):
            counted = (image.labels == label) & ~image.ignore
            if counted.any():
                miner.positives.append(own[counted])
            far = _background(overlaps[some], image, label)
            miner.negatives.append(features[some][far])
    able = {
        label: miner
        for label, miner in enumerate(miners)
        if miner.positives and sum(map(len, miner.negatives))
    }
    for miner in able.values():
        miner.fit()
    for image in images:
        features, overlaps = image.features.astype(np.float32) * scale, image.overlaps()
        for label, miner in able.items():
            miner.meet(features[_background(overlaps, image, label)])
    for miner in able.values():
        if miner.fresh:
            miner.fit()
    weight, bias = np.zeros((classes, width), np.float32), np.full(classes, -2.0, np.float32)
    for label, miner in enumerate(miners):
        if miner.weight is not None:
            weight[label], bias[label] = miner.weight * scale, miner.bias
    return Linear(weight, bias)


def ridges(images: Iterable[ImageFeatures], classes: int, scale: float | None = None) -> Linear:
    """For each class the regression from what boxes are moved by to how a region lies to the object it nearly covers.

    Args:
        images: can be gone through more than once.
        classes: how many.
        scale: of what boxes are moved by; None chooses it as `typical_scale` does, by the regions that are learnt from.

    Returns:
        4 outputs a class, offsets as `DeltaCoder()` has them; all 0 where a class has no region near an object.
    """
    from sklearn.linear_model import Ridge

    if scale is None:
        scale = _scale(_near(image)[1] for image in images)
    inputs: list[list[Features]] = [[] for _ in range(classes)]
    offsets: list[list[Features]] = [[] for _ in range(classes)]
    width = 0
    for image in images:
        near, seen = _near(image)
        width = max(width, seen.shape[1])
        if not len(near):
            continue
        counted = np.flatnonzero(~image.ignore)
        best = counted[image.overlaps()[near][:, counted].argmax(1)]
        boxes, objects = (torch.from_numpy(part) for part in (image.boxes[near], image.objects[best]))
        moves = DeltaCoder().encode(objects, boxes).numpy()
        for label in np.unique(image.labels[best]):
            own = image.labels[best] == label
            inputs[label].append(seen[own].astype(np.float32) * scale)
            offsets[label].append(moves[own])
    weight, bias = np.zeros((classes * 4, width), np.float32), np.zeros(classes * 4, np.float32)
    for label in range(classes):
        if inputs[label]:
            fitted = Ridge(alpha=_LAMBDA).fit(np.concatenate(inputs[label]), np.concatenate(offsets[label]))
            rows = slice(4 * label, 4 * label + 4)
            weight[rows], bias[rows] = fitted.coef_ * scale, fitted.intercept_
    return Linear(weight, bias)


def _near(image: ImageFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the regions that moving is learnt by, and what boxes are moved by there."""
    if len(image.near):
        return image.near, image.near_features
    near = image.near_objects()
    return near, image.features[near]


def _background(overlaps: Float32[np.ndarray, "roi gt"], image: ImageFeatures, label: int) -> np.ndarray:
    """Which regions are far from every object of the class, ignored ones too."""
    return np.asarray(overlaps[:, image.labels == label].max(1, initial=0.0) < NEGATIVE_BELOW)
