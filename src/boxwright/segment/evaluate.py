"""How good a network for segmentation is on pictures with masks: pixels, classes and, of two classes, objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from boxwright.images import RGB8
from boxwright.segment.data import Labelled, LabelledPictures
from boxwright.segment.masks import IGNORED
from boxwright.segment.metrics import PixelFigures, confusion
from boxwright.segment.model import Segmenter, decided
from boxwright.segment.pictures import compared
from boxwright.segment.rand import Objects, foreground_rand, segments
from boxwright.segment.warping import warping_error

SCAN = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Thresholds that are tried."""

Watch = Callable[[Iterable[int], str], Iterable[int]]
Show = Callable[[str, RGB8], None]


@dataclass(frozen=True)
class PictureFigures:
    """Of one picture, or the means over all. Those of objects are nan where there are none, or not two classes.

    Attributes:
        name: of the picture.
        pixel_error: part of the pixels that have a wrong class.
        miou: mean over the classes that are there.
        rand, rand_split, rand_merge: the foreground-restricted Rand score and its parts; 1 less it is the Rand error.
        warping_error: part of the pixels that stay wrong when boundaries may move.
    """

    name: str
    pixel_error: float
    miou: float
    rand: float
    rand_split: float
    rand_merge: float
    warping_error: float


@dataclass(frozen=True)
class Judged:
    """What an evaluation found.

    Attributes:
        classes: names.
        threshold: that decided, or None where the most probable class did.
        pictures: figures of each.
        whole: of all pixels together.
        scan: of two classes, the means over pictures at each threshold, if that was asked for; a threshold that is
            chosen by it is chosen on the pictures that it is then judged on.
    """

    classes: tuple[str, ...]
    threshold: float | None
    pictures: tuple[PictureFigures, ...]
    whole: PixelFigures
    scan: tuple[tuple[float, PictureFigures], ...]

    @property
    def mean(self) -> PictureFigures:
        """Over pictures."""
        return _mean(self.pictures)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        by_class = zip(self.classes, self.whole.iou, self.whole.dice, strict=True)
        return {
            "pictures": [_plain(one) for one in self.pictures],
            "mean over pictures": _plain(self.mean),
            "threshold": self.threshold,
            "pixel_error": self.whole.pixel_error,
            "miou": _number(self.whole.mean_iou),
            "dice": _number(self.whole.mean_dice),
            "classes": [{"name": n, "iou": _number(i), "dice": _number(d)} for n, i, d in by_class],
            "scan on these pictures": [{"threshold": at, **_plain(one)} for at, one in self.scan],
        }

    def text(self) -> str:
        """Tables for a person."""
        wide = max(map(len, self.classes))
        lines = [f"{'class':{wide}}     IoU    Dice"]
        for name, iou, dice in zip(self.classes, self.whole.iou, self.whole.dice, strict=True):
            lines.append(f"{name:{wide}}  {iou:6.4f}  {dice:6.4f}")
        lines += [f"{'mean':{wide}}  {self.whole.mean_iou:6.4f}  {self.whole.mean_dice:6.4f}"]
        lines += ["", f"pixel error {self.whole.pixel_error:.4f}"]
        if len(self.classes) == 2:
            lines += ["", *_table([*self.pictures, self.mean])]
        if self.scan:
            lines += ["", "thresholds, chosen on these very pictures:"]
            for what, figures in self.best().items():
                lines.append(f"  best {what} {figures[1]:.4f} at {figures[0]:.2f}")
        return "\n".join(lines)

    def best(self) -> dict[str, tuple[float, float]]:
        """By figure, the threshold of the scan that is best, and the figure."""
        sides = {"rand": 1, "pixel_error": -1, "warping_error": -1}
        found = {}
        for what, sign in sides.items():
            at, one = max(self.scan, key=lambda entry: sign * getattr(entry[1], what))
            found[what] = (at, getattr(one, what))
        return found


def judge(
    segmenter: Segmenter,
    data: LabelledPictures,
    *,
    threshold: float | None = None,
    scan: bool = False,
    show: Show | None = None,
    watch: Watch = lambda items, what: items,
) -> Judged:
    """Measure a network.

    Args:
        segmenter: the network.
        data: pictures with masks, of its classes.
        threshold: of two classes, the second's probability from which on a pixel is of it.
        scan: try all thresholds, of two classes.
        show: is given a picture's name and a sheet of it: the picture, truth, prediction, what is wrong.
        watch: shows progress.

    Raises:
        InputError: a file that cannot be read; a threshold for more than two classes.
    """
    classes = len(segmenter.classes.names)
    total = np.zeros((classes, classes), np.int64)
    pictures, scans = [], []
    for index in watch(range(len(data)), "segmenting"):
        labelled, name = data.read(index), data.entries[index].path.stem
        probabilities = segmenter.probabilities(labelled.picture)
        predicted = decided(probabilities, threshold)
        total += confusion(labelled.labels, predicted, classes)
        pictures.append(_figures(name, labelled, predicted, classes))
        if scan and classes == 2:
            scans.append(_scanned(name, labelled, probabilities))
        if show is not None:
            show(name, compared(labelled.picture, labelled.labels, predicted))
    means = [(at, _mean([one[place] for one in scans])) for place, at in enumerate(SCAN)] if scans else []
    return Judged(segmenter.classes.names, threshold, tuple(pictures), PixelFigures.of(total), tuple(means))


def _scanned(
    name: str, labelled: Labelled, probabilities: Float32[np.ndarray, "class height width"]
) -> list[PictureFigures]:
    return [_figures(name, labelled, decided(probabilities, at), 2) for at in SCAN]


def _figures(name: str, labelled: Labelled, predicted: np.ndarray, classes: int) -> PictureFigures:
    pixels = PixelFigures.of(confusion(labelled.labels, predicted, classes))
    if classes != 2:
        nothing = float("nan")
        return PictureFigures(name, pixels.pixel_error, pixels.mean_iou, nothing, nothing, nothing, nothing)
    known = labelled.labels != IGNORED
    truth = (labelled.labels == 1) & known
    objects: Objects = segments(truth) if labelled.objects is None else labelled.objects
    # What nothing is known of cannot be wrong.
    inside = np.where(known, predicted == 1, truth)
    rand = foreground_rand(objects, inside)
    return PictureFigures(
        name,
        pixels.pixel_error,
        pixels.mean_iou,
        rand.score,
        rand.split,
        rand.merge,
        warping_error(truth, inside),
    )


def _mean(figures: Sequence[PictureFigures]) -> PictureFigures:
    """Each figure's mean over the pictures that have it: one without objects has no Rand score."""
    names = [name for name in asdict(figures[0]) if name != "name"]
    return PictureFigures(
        "mean", **{name: _mean_of([getattr(one, name) for one in figures]) for name in names}
    )


def _mean_of(values: Sequence[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def _table(figures: Sequence[PictureFigures]) -> list[str]:
    wide = max(7, *(len(one.name) for one in figures))
    head = f"{'picture':{wide}}  pixel error     IoU    Rand   split   merge  warping error"
    return [head] + [
        f"{one.name:{wide}}  {one.pixel_error:11.4f}  {one.miou:6.4f}  {one.rand:6.4f}  {one.rand_split:6.4f}  "
        f"{one.rand_merge:6.4f}  {one.warping_error:13.6f}"
        for one in figures
    ]


def _plain(figures: PictureFigures) -> dict[str, Any]:
    return {key: _number(value) if key != "name" else value for key, value in asdict(figures).items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
