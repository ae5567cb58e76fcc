"""Which images a person should look at: the surest false positives, the largest misses, a few typical ones.

Chosen, not picked: by rules that the report states, so that the pictures are neither flattered nor slandered.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool

from boxwright.data.records import Dataset
from boxwright.evaluate.errors_tide import KINDS, Blame
from boxwright.evaluate.matching import Match, Overlaps, Tables

MOST = 24
"""False positives, and misses, that a report shows."""
_PER_IMAGE = 3
_TYPICAL = (0.05, 0.23, 0.41, 0.59, 0.77, 0.95)
_NEAR = 0.1

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Marked:
    """A box to draw: an annotated object (score nan) or a detection; `right` if found, or if it found one."""

    box: Box
    name: str
    score: float
    right: bool


@dataclass(frozen=True)
class Example:
    """One picture of a report, as data.

    Attributes:
        kind: what it shows.
        image: the file, relative to the data set's folder where it lies in it.
        title: what it is ("cat 0.97").
        reason: why it is wrong, in words.
        error: its TIDE kind for a false positive, else "".
        focus: the box it is about; the whole image for a typical one.
        objects, detections: what to draw of the image: all its objects; the detections shown at the report's
            threshold (of a false positive: that one alone).
    """

    kind: Literal["false positive", "missed", "typical"]
    image: str
    title: str
    reason: str
    error: str
    focus: Box
    objects: tuple[Marked, ...]
    detections: tuple[Marked, ...]


@dataclass(frozen=True)
class Evidence:
    """All that the choice of examples looks at."""

    dataset: Dataset
    rows: Tables
    pairs: Overlaps
    match: Match
    blame: Blame
    threshold: float

    def found(self) -> Bool[np.ndarray, " gt"]:
        """Objects that a detection above the threshold found."""
        found = np.zeros(len(self.rows.gt_label), bool)
        found[self.match.gt[self.match.hit & (self.rows.det_score >= self.threshold)]] = True
        return found


def choose(evidence: Evidence) -> tuple[Example, ...]:
    """The examples of a report, false positives first, then misses, then typical images."""
    return (*_false_positives(evidence), *_misses(evidence), *_typical(evidence))


def _false_positives(given: Evidence) -> Iterable[Example]:
    """The best scores of each kind of error in turn, at most three of one image, none below the threshold."""
    rows = given.rows
    wrong = np.flatnonzero((given.blame.kind >= 0) & (rows.det_score >= given.threshold))
    for det in _in_turn(wrong, given.blame.kind[wrong], rows.det_image[wrong]):
        kind, name = KINDS[given.blame.kind[det]], rows.classes[rows.det_label[det]]
        mine = _marked(rows.det_box[det], name, float(rows.det_score[det]), right=False)
        yield Example(
            kind="false positive",
            image=_name(given.dataset, int(rows.det_image[det])),
            title=f"{name} {mine.score:.2f}",
            reason=_why_false(given, det),
            error=kind,
            focus=mine.box,
            objects=_objects(given, int(rows.det_image[det])),
            detections=(mine,),
        )


def _why_false(given: Evidence, det: int) -> str:
    rows, target = given.rows, int(given.blame.target[det])
    kind = KINDS[given.blame.kind[det]]
    about = rows.classes[rows.gt_label[target]] if target >= 0 else ""
    iou = float(given.pairs.iou[(given.pairs.det == det) & (given.pairs.gt == target)].max(initial=0.0))
    return {
        "background": "nothing annotated fits (IoU at most 0.1)",
        "localisation": f"the box fits its object badly (IoU {iou:.2f})",
        "classification": f"this is annotated as {about}",
        "duplicate": "a better score has found this object already",
        "both": "wrong class, and the box fits badly",
    }[kind]


def _misses(given: Evidence) -> Iterable[Example]:
    """The largest objects that no detection above the threshold found, of each class in turn."""
    rows = given.rows
    lost = np.flatnonzero(~given.found() & ~rows.gt_ignore)
    size = np.prod(rows.gt_box[lost, 2:] - rows.gt_box[lost, :2], axis=1)
    lost = lost[np.argsort(-size, kind="stable")]
    for gt in _in_turn(lost, rows.gt_label[lost], rows.gt_image[lost]):
        image, name = int(rows.gt_image[gt]), rows.classes[rows.gt_label[gt]]
        yield Example(
            kind="missed",
            image=_name(given.dataset, image),
            title=name,
            reason=_why_missed(given, gt),
            error="",
            focus=_marked(rows.gt_box[gt], name, right=False).box,
            objects=_objects(given, image),
            detections=_shown(given, image),
        )


def _why_missed(given: Evidence, gt: int) -> str:
    rows, pairs = given.rows, given.pairs
    weak = np.flatnonzero(given.match.gt == gt)
    if len(weak):
        return f"found, but only with score {rows.det_score[weak[0]]:.2f}"
    near = np.flatnonzero((pairs.gt == gt) & (pairs.iou >= _NEAR))
    near = near[rows.det_score[pairs.det[near]] >= given.threshold]
    if not len(near):
        return "nothing above the threshold comes near"
    best = near[np.argmax(pairs.iou[near])]
    name, iou = rows.classes[rows.det_label[pairs.det[best]]], pairs.iou[best]
    if iou < 0.5:
        return f"the nearest box ({name}) fits badly (IoU {iou:.2f})"
    return "its box counts for a neighbour" if pairs.same[best] else f"detected as {name}"


def _typical(given: Evidence) -> Iterable[Example]:
    """Images with objects, at even distances in the order of F1, the worst first."""
    rows = given.rows
    shown = rows.det_score >= given.threshold
    objects = np.bincount(rows.gt_image[~rows.gt_ignore], minlength=rows.images)
    right = np.bincount(rows.det_image[shown & given.match.hit], minlength=rows.images)
    wrong = np.bincount(rows.det_image[shown & given.match.false], minlength=rows.images)
    images = np.flatnonzero(objects > 0)
    f1 = 2 * right[images] / np.maximum(right[images] + wrong[images] + objects[images], 1)
    images = images[np.argsort(f1, kind="stable")]
    places = dict.fromkeys(round(share * (len(images) - 1)) for share in _TYPICAL) if len(images) else {}
    for place in places:
        image = int(images[place])
        better = 100 * place / max(len(images) - 1, 1)
        yield Example(
            kind="typical",
            image=_name(given.dataset, image),
            title=f"{right[image]} of {objects[image]} found, {wrong[image]} wrong",
            reason=f"better than {better:.0f} % of the images",
            error="",
            focus=(0.0, 0.0, 0.0, 0.0),
            objects=_objects(given, image),
            detections=_shown(given, image),
        )


def _in_turn(rows: np.ndarray, groups: np.ndarray, images: np.ndarray) -> list[int]:
    """At most `MOST` of `rows`: the first of each group, then the second of each, ...; few of one image."""
    waiting: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, group, image in zip(rows.tolist(), groups.tolist(), images.tolist(), strict=True):
        waiting[group].append((row, image))
    taken: list[int] = []
    used: dict[int, int] = defaultdict(int)
    queues = [iter(waiting[group]) for group in sorted(waiting)]
    while queues and len(taken) < MOST:
        for queue in list(queues):
            chosen = next(((row, image) for row, image in queue if used[image] < _PER_IMAGE), None)
            if chosen is None:
                queues.remove(queue)
            elif len(taken) < MOST:
                taken.append(chosen[0])
                used[chosen[1]] += 1
    return taken


def _objects(given: Evidence, image: int) -> tuple[Marked, ...]:
    rows, found = given.rows, given.found()
    return tuple(
        _marked(rows.gt_box[gt], rows.classes[rows.gt_label[gt]], right=bool(found[gt]))
        for gt in np.flatnonzero((rows.gt_image == image) & ~rows.gt_ignore)
    )


def _shown(given: Evidence, image: int) -> tuple[Marked, ...]:
    rows, match = given.rows, given.match
    shown = (rows.det_image == image) & (rows.det_score >= given.threshold) & ~match.ignored
    return tuple(
        _marked(
            rows.det_box[det],
            rows.classes[rows.det_label[det]],
            float(rows.det_score[det]),
            right=bool(match.hit[det]),
        )
        for det in np.flatnonzero(shown)
    )


def _marked(box: np.ndarray, name: str, score: float = math.nan, *, right: bool) -> Marked:
    left, top, east, bottom = (round(float(v), 2) for v in box)
    return Marked((left, top, east, bottom), name, round(score, 4), right)


def _name(dataset: Dataset, image: int) -> str:
    path = dataset[image].path
    try:
        return path.relative_to(dataset.root).as_posix()
    except ValueError:
        return Path(path).as_posix()
