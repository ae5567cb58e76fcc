"""Why average precision is lost: TIDE's six kinds of error (Bolya et al. 2020, "TIDE: A General Toolbox for
Identifying Object Detection Errors", section 2).

Each false positive is of exactly one kind, by its overlap with the objects of its image; each kind is put
right on its own, by an oracle, and the gain in AP50 says what that kind costs. The gains do not add up to
the whole.

Where the paper leaves the order of the tests open, this follows its authors' program (tidecv): localisation,
classification, duplicate, background, both. Where a class has lost all its objects to the oracle for missed
objects, this leaves the class out of the mean, as everywhere else a class without objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from boxwright.evaluate.curves import class_curves, mean
from boxwright.evaluate.matching import Match, Overlaps, Tables, match_coco

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
_CLS, _LOC, _BOTH, _DUPE, _BKG, _MISS = range(6)


@dataclass(frozen=True)
class TideErrors:
    """What each kind of error costs.

    Attributes:
        ap50: AP at IoU .5 as it is (COCO's 101 points, mean over classes).
        counts: per kind (see `KINDS`), how many detections, or for "missed" objects, are of it.
        delta: per kind, how much AP50 rises when that kind alone is put right; never negative.
    """

    ap50: float
    counts: dict[str, int]
    delta: dict[str, float]


@dataclass(frozen=True)
class Blame:
    """The error that each detection and object is.

    Attributes:
        kind: per detection an index into `KINDS`, or -1 if it is right or ignored.
        target: per detection the object that it was about (for classification, localisation, duplicate), or
            -1.
        missed: per object, nothing found it, and no detection only mislabelled or misplaced it.
    """

    kind: Int64[np.ndarray, " det"]
    target: Int64[np.ndarray, " det"]
    missed: Bool[np.ndarray, " gt"]


def blame(
    rows: Tables, pairs: Overlaps, match: Match, *, found: float = 0.5, background: float = 0.1
) -> Blame:
    """Sort the false positives of `match` into kinds.

    Args:
        rows, pairs, match: from `boxwright.evaluate.matching`; `pairs` must reach down to `background`.
        found: the IoU from which an object counts as found (the paper's t_f).
        background: the IoU up to which a detection has nothing to do with an object (the paper's t_b).
    """
    count, real = len(rows.det_label), ~pairs.ignore
    own, own_iou = pairs.best(real & pairs.same, count)
    other, other_iou = pairs.best(real & ~pairs.same, count)
    nearest = np.maximum(own_iou, other_iou)
    tests = (
        ((own_iou >= background) & (own_iou < found), _LOC, own),
        (other_iou >= found, _CLS, other),
        (own_iou >= found, _DUPE, own),
        (nearest <= background, _BKG, np.full(count, -1)),
        (np.ones(count, bool), _BOTH, np.full(count, -1)),
    )
    kind, target = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    for holds, which, about in tests:
        now = match.false & (kind < 0) & holds
        kind[now], target[now] = which, about[now]
    missed = ~rows.gt_ignore
    missed[match.gt[match.hit]] = False
    missed[target[(kind == _CLS) | (kind == _LOC)]] = False
    return Blame(kind, target, missed)


def tide_errors(rows: Tables, pairs: Overlaps, *, found: float = 0.5, background: float = 0.1) -> TideErrors:
    """What each kind of error costs in AP at IoU `found`; arguments as for `blame`."""
    match = match_coco(rows, pairs, found)
    errors = blame(rows, pairs, match, found=found, background=background)
    base = _Count(rows.det_label, match.hit, ~match.ignored, rows.objects())
    before = base.ap(rows.det_score)
    delta = {}
    for which, name in enumerate(KINDS):
        gain = _fixed(rows, base, match, errors, which).ap(rows.det_score) - before
        # Sampling at 101 recalls can make a repair look like a loss of a few thousandths.
        delta[name] = max(gain, 0.0)
    counts = {name: int(np.sum(errors.kind == which)) for which, name in enumerate(KINDS)}
    return TideErrors(before, counts | {"missed": int(errors.missed.sum())}, delta)


@dataclass(frozen=True)
class _Count:
    """All that average precision depends on but the scores."""

    label: Int64[np.ndarray, " det"]
    hit: Bool[np.ndarray, " det"]
    counted: Bool[np.ndarray, " det"]
    objects: Int64[np.ndarray, " class"]

    def ap(self, score: Float64[np.ndarray, " det"]) -> float:
        curves = class_curves(self.label, score, self.hit, self.counted, self.objects)
        return mean([c.ap_coco() for c in curves])


def _fixed(rows: Tables, base: _Count, match: Match, errors: Blame, which: int) -> _Count:
    """The count after an oracle has put right all errors of one kind."""
    if which == _MISS:
        gone = np.bincount(rows.gt_label[errors.missed], minlength=len(base.objects))
        return replace(base, objects=base.objects - gone)
    mine = errors.kind == which
    counted = base.counted & ~mine
    if which not in (_CLS, _LOC):
        return replace(base, counted=counted)
    # Of the detections that mislabelled or misplaced one object that nothing found, only the best is put
    # right (as one of its own kind, hence perhaps not here); the others would be duplicates and go.
    free = np.ones(len(rows.gt_label), bool)
    free[match.gt[match.hit]] = False
    claims = np.flatnonzero((errors.kind == _CLS) | (errors.kind == _LOC))
    claims = claims[free[errors.target[claims]]]
    _, first = np.unique(errors.target[claims], return_index=True)
    winners = claims[first]
    winners = winners[mine[winners]]
    label, hit = base.label.copy(), base.hit.copy()
    label[winners], hit[winners], counted[winners] = rows.gt_label[errors.target[winners]], True, True
    return replace(base, label=label, hit=hit, counted=counted)
