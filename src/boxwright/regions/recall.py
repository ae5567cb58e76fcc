"""How well proposals cover what is in the pictures: recall, and the mean average best overlap (MABO).

After Uijlings et al. 2013, section 5: the best overlap of an object is its greatest IoU with any proposal, a
class's average best overlap is the mean over its objects, and MABO the mean over the classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Num

from boxwright.data.records import Dataset
from boxwright.regions.proposals import Proposals

ENOUGH = 0.5
"""The IoU from which on an object counts as found."""


@dataclass(frozen=True)
class ClassRecall:
    """How well one class is covered.

    Attributes:
        name: of the class.
        objects: how many, ignored ones left out.
        recall: the part of them that some proposal overlaps by at least .5.
        overlap: mean over them of the greatest IoU with a proposal.
        boxes: mean number of proposals of an image that shows the class.
    """

    name: str
    objects: int
    recall: float
    overlap: float
    boxes: float


@dataclass(frozen=True)
class Recall:
    """How well all objects are covered.

    Attributes:
        images: how many were looked at.
        objects: in them, ignored ones left out.
        recall: part of the objects that some proposal overlaps by at least .5.
        overlap: mean over objects of the greatest IoU with a proposal.
        mabo: mean over classes of that mean.
        boxes: mean number of proposals of an image.
        classes: those that have objects.
    """

    images: int
    objects: int
    recall: float
    overlap: float
    mabo: float
    boxes: float
    classes: tuple[ClassRecall, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def text(self) -> str:
        """A table: a line for each class, then one for all."""
        width = max(len("all"), *(len(one.name) for one in self.classes), len("class"))
        lines = [f"{'class':{width}}  objects  recall  overlap  boxes/image"]
        for one in self.classes:
            lines.append(
                f"{one.name:{width}}  {one.objects:7d}  {one.recall:6.3f}  {one.overlap:7.3f}  {one.boxes:11.0f}"
            )
        lines.append(
            f"{'all':{width}}  {self.objects:7d}  {self.recall:6.3f}  {self.overlap:7.3f}  {self.boxes:11.0f}"
        )
        lines.append(f"MABO {self.mabo:.3f} over {len(self.classes)} classes, {self.images} images")
        return "\n".join(lines)


def best_overlaps(
    objects: Num[np.ndarray, "gt 4"], boxes: Num[np.ndarray, "prior 4"]
) -> Float64[np.ndarray, " gt"]:
    """For each object its greatest IoU with any of the boxes; 0 where there is none.

    >>> best_overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [0.333]
    """
    # First of all: differences of unsigned or of small numbers would wrap around.
    objects, boxes = objects.astype(np.float64), boxes.astype(np.float64)
    low = np.maximum(objects[:, None, :2], boxes[:, :2])
    high = np.minimum(objects[:, None, 2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(each[:, 2:] - each[:, :2], 0, None).prod(-1) for each in (objects, boxes)]
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).max(1, initial=0.0)


def measure(dataset: Dataset, proposals: Proposals) -> Recall:
    """Hold a file's proposals against a data set's objects; crowd and difficult ones do not count.

    Images that the file does not have count as images without proposals.
    """
    overlaps, labels, counts, shown = [], [], [], []
    for sample in dataset:
        there = sample.path in proposals
        boxes = proposals.boxes(sample.path) if there else np.zeros((0, 4), np.float32)
        overlaps.append(best_overlaps(sample.boxes[~sample.ignore], boxes))
        labels.append(sample.labels[~sample.ignore])
        counts.append(len(boxes))
        shown.append(set(labels[-1].tolist()))
    return _summary(dataset.classes, np.concatenate(overlaps), np.concatenate(labels), counts, shown)


def _summary(
    names: Sequence[str],
    overlaps: Float64[np.ndarray, " object"],
    labels: Int64[np.ndarray, " object"],
    counts: Sequence[int],
    shown: Sequence[set[int]],
) -> Recall:
    classes = []
    for label in np.unique(labels).tolist():
        own = overlaps[labels == label]
        here = [count for count, there in zip(counts, shown, strict=True) if label in there]
        classes.append(ClassRecall(names[label], len(own), _mean(own >= ENOUGH), _mean(own), _mean(here)))
    return Recall(
        len(counts),
        len(overlaps),
        _mean(overlaps >= ENOUGH),
        _mean(overlaps),
        _mean([one.overlap for one in classes]),
        _mean(counts),
        tuple(classes),
    )


def _mean(values: Iterable[float] | np.ndarray) -> float:
    array = np.asarray(values, np.float64)
    return float(array.mean()) if array.size else 0.0
