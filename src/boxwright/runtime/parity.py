"""Whether an engine detects what the model detects. Torch-free.

Two engines round differently, and where two scores are closer than rounding, suppression may keep the one box or
the other: both are right. So an engine's detections are not compared with another list of detections but held
against the candidates that they were chosen from and the rule of the choice: each must be a candidate, to within
the tolerance, and among the best of its pool; no two of a class may overlap; and none of the best of a pool may be
left out that nothing better overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from boxwright.inputs import pad_batch
from boxwright.predict import Engine

Image = Float32[np.ndarray, "3 _ _"]
Reference = Callable[[np.ndarray, np.ndarray], "list[Candidates]"]
"""Padded images and their (height, width) -> what each one's detections are chosen from."""


@dataclass(frozen=True)
class Rule:
    """How detections are chosen, as in `boxwright.decode.Decoder`.

    Attributes:
        floor: only scores above this are candidates.
        candidates: the best of each pool that reach suppression; what is a pool, a class or a level, the
            candidates say.
        iou: a box that overlaps a better one of its class by more is suppressed.
        detections: the best that remain, over all classes.
    """

    floor: float
    candidates: int
    iou: float
    detections: int


@dataclass(frozen=True)
class Tolerance:
    """How far two engines may differ.

    Attributes:
        box: pixels of the network's input, for the corner that differs most.
        score: of a detection.
        iou: of two boxes.
        share: of the detections that may be faulty.
    """

    box: float = 0.05
    score: float = 1e-4
    iou: float = 1e-3
    share: float = 0.0


@dataclass(frozen=True)
class Parity:
    """What a comparison found.

    Attributes:
        images: how many were compared, each in a batch of one and of three.
        detections: how many the engine made, over all batches.
        faults: detections that are no candidate, overlap another or are missing.
        box: greatest difference of a corner from the candidate's, in pixels of the network's input.
        score: greatest difference of a score.
        holds: whether the engine is right.
    """

    images: int
    detections: int
    faults: int
    box: float
    score: float
    holds: bool

    def __str__(self) -> str:
        """One line for the person."""
        return (
            f"{self.detections} detections on {self.images} images, in batches of 1 and 3: boxes within "
            f"{self.box:.2g} px, scores within {self.score:.2g}, {self.faults} wrong or missing"
        )


def compare(
    reference: Reference,
    engine: Engine,
    images: Sequence[Image],
    rule: Rule,
    *,
    multiple: int = 1,
    tolerance: Tolerance | None = None,
) -> Parity:
    """Hold an engine's detections against a reference's candidates, for every image alone and in threes.

    Args:
        reference: gives every candidate above `rule.floor - tolerance.score`, none suppressed.
        engine: what is to be judged.
        images: preprocessed, at least one.
        rule: by which the engine should have chosen.
        multiple: what the batch's height and width must be divisible by.
        tolerance: how far the engine may differ.
    """
    tolerance = tolerance or Tolerance()
    detections = faults = 0
    box = score = 0.0
    circle = [*images, *images[:1], *images[:1]]  # the last batch of three is full too
    batches = [[image] for image in images] + [circle[i : i + 3] for i in range(0, len(images), 3)]
    for batch in batches:
        padded = pad_batch(batch, multiple)
        sizes = np.array([image.shape[1:] for image in batch], np.int64)
        for all_, kept in zip(reference(padded, sizes), _rows(engine, padded, sizes), strict=True):
            found = judge(all_, kept, rule, tolerance)
            detections += len(kept.scores)
            faults += found.faults
            box, score = max(box, found.box), max(score, found.score)
    return Parity(len(images), detections, faults, box, score, faults <= tolerance.share * detections)


@dataclass(frozen=True)
class Row:
    """One image's candidates or detections."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def where(self, chosen: np.ndarray) -> Row:
        """Some of them."""
        return Row(self.boxes[chosen], self.scores[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Candidates:
    """All that one image's detections are chosen from.

    Attributes:
        row: boxes with their scores and classes.
        pools: by number, which `Rule.candidates` each competes for: those of its class (Liu et al. 2016), or those
            of its level, with all classes together (Lin et al. 2017, Focal loss, section 4).
    """

    row: Row
    pools: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """What is wrong with one image's detections."""

    faults: int
    box: float
    score: float


def judge(candidates: Candidates, kept: Row, rule: Rule, tolerance: Tolerance) -> Judgement:
    """Whether `kept` is what suppression leaves of `candidates`, up to rounding."""
    faults = int((np.diff(kept.scores) > tolerance.score).sum())  # the best comes first
    box = score = 0.0
    full = len(kept.scores) >= rule.detections
    least = max(rule.floor, float(kept.scores.min()) if full and len(kept.scores) else 0.0)
    # Which of a pool's last candidates reach suppression is open where rounding may exchange their scores.
    every = candidates.row
    may = every.scores >= _best(candidates, rule.candidates) - 2 * tolerance.score
    must = every.scores > _best(candidates, rule.candidates + 1) + 2 * tolerance.score
    for label in np.union1d(every.labels, kept.labels).tolist():
        own = may & (every.labels == label)
        some, left = every.where(own), kept.where(kept.labels == label)
        off = np.abs(left.boxes[:, None] - some.boxes[None]).max(-1)
        apart = np.abs(left.scores[:, None] - some.scores[None])
        same = (off <= tolerance.box) & (apart <= tolerance.score)
        faults += int((~same.any(1)).sum())
        for i in np.flatnonzero(same.any(1)):
            j = np.where(same[i], off[i], np.inf).argmin()
            box, score = max(box, float(off[i, j])), max(score, float(apart[i, j]))

        faults += int((np.triu(_iou(left.boxes, left.boxes), 1) > rule.iou + tolerance.iou).sum())

        needed = must[own] & (some.scores > least + tolerance.score)
        better = left.scores[:, None] >= some.scores[None] - tolerance.score
        covered = better & (_iou(left.boxes, some.boxes) > rule.iou - tolerance.iou)
        faults += int((needed & ~same.any(0) & ~covered.any(0)).sum())
    return Judgement(faults, box, score)


def _best(candidates: Candidates, place: int) -> np.ndarray:
    """For each candidate, the score in this place of its pool, from 1 on; -inf where the pool has fewer."""
    found = np.full(len(candidates.pools), -np.inf, np.float32)
    for pool in np.unique(candidates.pools):
        own = candidates.pools == pool
        if own.sum() >= place:
            found[own] = np.sort(candidates.row.scores[own])[-place]
    return found


def _rows(engine: Engine, images: np.ndarray, sizes: np.ndarray) -> list[Row]:
    boxes, scores, labels, valid = engine.run(images, sizes)
    return [Row(boxes[i][valid[i]], scores[i][valid[i]], labels[i][valid[i]]) for i in range(len(images))]


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each box of `a` with each of `b`; 0 where a box has no area."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(-1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    quotient: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return quotient
