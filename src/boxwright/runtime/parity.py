"""Whether two engines say the same of the same images. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from boxwright.predict import Engine, pad_batch

Image = Float32[np.ndarray, "3 _ _"]


@dataclass(frozen=True)
class Tolerance:
    """How far two engines may differ.

    Attributes:
        box: pixels of the network's input, for the corner that differs most.
        score: of a detection.
        edge: the share of detections that may have no counterpart because rounding put an overlap on the
            other side of a threshold.
    """

    box: float = 0.05
    score: float = 1e-4
    edge: float = 0.002


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    Attributes:
        images: how many were compared, each in a batch of one and of three.
        detections: how many the reference made, over all batches.
        unmatched: how many of either engine have no counterpart within the tolerance.
        box: greatest difference of a corner among the matched, in pixels of the network's input.
        score: greatest difference of a score among the matched.
        holds: whether the engines agree.
    """

    images: int
    detections: int
    unmatched: int
    box: float
    score: float
    holds: bool

    def __str__(self) -> str:
        """One line for the person."""
        return (
            f"{self.detections} detections on {self.images} images, in batches of 1 and 3: boxes within "
            f"{self.box:.2g} px, scores within {self.score:.2g}, {self.unmatched} without a counterpart"
        )


def compare(
    reference: Engine, other: Engine, images: Sequence[Image], *, multiple: int, tolerance: Tolerance
) -> Parity:
    """Run both engines on every image alone and in batches of three, and match what they find.

    Args:
        reference: what is right.
        other: what is to be judged.
        images: preprocessed, at least one.
        multiple: what the batch's height and width must be divisible by.
        tolerance: how far they may differ.
    """
    detections = unmatched = 0
    box = score = 0.0
    circle = [*images, *images[:2], *images[:2]]  # the last batch of three is full too
    batches = [[image] for image in images] + [circle[i : i + 3] for i in range(0, len(images), 3)]
    for batch in batches:
        padded = pad_batch(batch, multiple)
        sizes = np.array([image.shape[1:] for image in batch], np.int64)
        for mine, theirs in zip(_rows(reference, padded, sizes), _rows(other, padded, sizes), strict=True):
            found = _match(mine, theirs, tolerance)
            detections += len(mine.scores)
            unmatched += found.unmatched
            box, score = max(box, found.box), max(score, found.score)
    holds = unmatched <= tolerance.edge * detections
    return Parity(len(images), detections, unmatched, box, score, holds)


@dataclass(frozen=True)
class _Row:
    """One engine's detections on one image."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    full: bool


@dataclass(frozen=True)
class _Match:
    unmatched: int
    box: float
    score: float


def _rows(engine: Engine, images: np.ndarray, sizes: np.ndarray) -> list[_Row]:
    boxes, scores, labels, valid = engine.run(images, sizes)
    return [
        _Row(
            boxes[i][valid[i]],
            scores[i][valid[i]],
            labels[i][valid[i]],
            valid.shape[1] > 0 and bool(valid[i].all()),
        )
        for i in range(len(images))
    ]


def _match(mine: _Row, theirs: _Row, tolerance: Tolerance) -> _Match:
    """Pair detections of the same class, nearest box first, each once; order among equal scores is free."""
    cost = np.abs(mine.boxes[:, None] - theirs.boxes[None]).max(-1, initial=0)
    apart = np.abs(mine.scores[:, None] - theirs.scores[None])
    allowed = (
        (mine.labels[:, None] == theirs.labels[None]) & (cost <= tolerance.box) & (apart <= tolerance.score)
    )
    left, right = set(range(len(mine.scores))), set(range(len(theirs.scores)))
    box = score = 0.0
    pairs = np.argwhere(allowed)
    for i, j in pairs[np.argsort(cost[allowed], kind="stable")].tolist():
        if i in left and j in right:
            left.remove(i)
            right.remove(j)
            box, score = max(box, float(cost[i, j])), max(score, float(apart[i, j]))
    # The last place of two full lists goes to either of two detections of equal score.
    full = mine.full and theirs.full
    least = max(float(mine.scores.min()), float(theirs.scores.min())) if full else -np.inf
    clear = least + tolerance.score
    alone = [*(mine.scores[i] for i in left), *(theirs.scores[j] for j in right)]
    return _Match(sum(not value <= clear for value in alone), box, score)  # NaN is not below anything
