"""What a data set is, before any network: numpy only, whatever format it came from.

Boxes are xyxy in absolute pixels of the image as a person sees it (EXIF orientation applied), float64 so that
reading and writing loses nothing; there is no "+1" (VOC's inclusive corners are read as [xmin-1, ymin-1, xmax,
ymax]). Labels are indices `[0, C)` into `Dataset.classes`; the data set's own class ids stand in `Dataset.ids`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with, or worth knowing about, a data set.

    Attributes:
        check: the stable id of the check, such as "box-no-area".
        severity: "error" (training would fail or learn something wrong), "warning" or "info".
        file: the file it stands in (an annotation file or an image).
        where: line, annotation id or object number inside the file; "" where the file says enough.
        message: what is wrong, one line.
        fix: what `boxwright check --fix` does about it; "" if it does nothing.
    """

    check: str
    severity: Severity
    file: str
    where: str
    message: str
    fix: str = ""


Report = Callable[[Finding], None]
"""What a reader does with a finding: the doctor collects, `open_dataset` raises on errors of structure."""


@dataclass(frozen=True)
class Sample:
    """One image and what is annotated on it.

    Attributes:
        path: the image file, absolute.
        size: (height, width) in pixels as the annotation says, or None where it does not say.
        boxes: float64 [gt, 4], xyxy.
        labels: int64 [gt], indices into the data set's classes.
        crowd: bool [gt]; COCO's iscrowd: never matched, never a false positive.
        difficult: bool [gt]; VOC's difficult: the same in evaluation.
        areas: float64 [gt]; COCO's own `area` (of the mask where there is one), else the box's area.
        masks: per object the file's own segmentation (polygons or RLE), or None; empty when no object has one.
        object_ids: per object the file's own id, or None.
        attributes: per object whatever else the file said (truncated, pose, parts, ...).
        image_id: the file's own id of the image (COCO's integer, otherwise the file's stem).
        extra: whatever else the file said of the image.
        lost: objects that the file has on this image and that cannot be read; where they are is not background.
    """

    path: Path
    size: tuple[int, int] | None
    boxes: Float64[np.ndarray, "gt 4"]
    labels: Int64[np.ndarray, " gt"]
    crowd: Bool[np.ndarray, " gt"]
    difficult: Bool[np.ndarray, " gt"]
    areas: Float64[np.ndarray, " gt"]
    masks: tuple[Any, ...] = ()
    object_ids: tuple[Any, ...] = ()
    attributes: tuple[Mapping[str, Any], ...] = ()
    image_id: int | str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    lost: int = 0

    @property
    def ignore(self) -> Bool[np.ndarray, " gt"]:
        """Objects that training and evaluation neither reward nor punish."""
        return self.crowd | self.difficult


@dataclass(frozen=True)
class Dataset:
    """Images with their annotations, the names of the classes and the ids they had in the file.

    Attributes:
        samples: the images, in the order of the file.
        classes: names; a label is an index into this.
        ids: the data set's own class ids, parallel to `classes`; sparse ids ({7, 3, 90}) come back unchanged.
        root: the data folder; no image lies outside it.
        split: "train", "val", "test" or whatever the file calls it; "" where there is none.
        format: "coco", "voc", "yolo", "csv" or "folders".
        info: whatever else the file said (licences, supercategories, ...), kept for writing.
        findings: what the reader noticed and put right (boxes it dropped, ...).
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    root: Path
    split: str = ""
    format: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.ids) or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"{len(self.classes)} classes with ids {self.ids}: one id each, all different")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labelled(self) -> bool:
        """Whether each image has one label, on all of it: a data set to classify, with accuracy to measure."""
        return self.format == "folders"

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def id_order(self) -> Int64[np.ndarray, " image"]:
        """The images' places in ascending order of their ids: numbers by value, then texts, then by path.

        COCO's evaluators go through images in this order, which decides between detections of equal score; so
        numbers do not depend on the order in which a file lists its images.
        """

        def key(place: int) -> tuple[bool, int, str, str]:
            sample = self.samples[place]
            text = isinstance(sample.image_id, str)
            number = 0 if isinstance(sample.image_id, str) else sample.image_id
            return text, number, str(sample.image_id) if text else "", str(sample.path)

        return np.array(sorted(range(len(self.samples)), key=key), np.int64)

    def subset(self, indices: Sequence[int]) -> Dataset:
        """The images at `indices`, in that order, with the same classes."""
        return replace(self, samples=tuple(self.samples[i] for i in indices))

    def counts(self) -> Int64[np.ndarray, " class"]:
        """Objects of each class, ignored ones left out."""
        total = np.zeros(len(self.classes), np.int64)
        for sample in self.samples:
            np.add.at(total, sample.labels[~sample.ignore], 1)
        return total
