"""From a sample of a data set to what a network is fed: decode, vary, resize, normalise. Torch-free.

The processes that load images import this and nothing of torch, which starts them in a fraction of a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from boxwright.data.augment import Annotated, Augment, apply, mosaic
from boxwright.data.records import Sample
from boxwright.errors import InputError
from boxwright.images import image_size, read_image
from boxwright.predict import Propose
from boxwright.preprocess import Preprocess

MOSAIC_PARTS = 4
_PIXEL = 10
"""Bytes of a pixel from the file to the network's input: Pillow's copy, the pixels, and a varied copy."""


@dataclass(frozen=True)
class Job:
    """One image to prepare.

    Attributes:
        index: of the (first) sample in its data set.
        parts: the sample, or the four of a mosaic.
        rng: the source of its variation, or None for the picture as it is.
        key: what random choices about it follow from, once it is in the network; below 2**63.
    """

    index: int
    parts: tuple[Sample, ...]
    rng: np.random.Generator | None = None
    key: int = 0

    @property
    def path(self) -> str:
        """The files it reads, for messages."""
        return ", ".join(str(part.path) for part in self.parts)


@dataclass(frozen=True)
class Prepared:
    """One image as the network sees it.

    Attributes:
        image: normalised.
        boxes: xyxy in pixels of `image`, inside it, each with an area.
        labels: class indices.
        ignore: crowd and difficult objects.
        proposals: regions to judge, best first, of the same kind as `boxes`; None where the network finds its own.
        size: (height, width) of the file's picture.
        index: of the sample in its data set.
        path: the file.
        key: see `Job`.
    """

    image: Float32[np.ndarray, "3 height width"]
    boxes: Float32[np.ndarray, "gt 4"]
    labels: Int64[np.ndarray, " gt"]
    ignore: Bool[np.ndarray, " gt"]
    size: tuple[int, int]
    index: int
    path: str
    proposals: Float32[np.ndarray, "roi 4"] | None = None
    key: int = 0


@dataclass(frozen=True)
class Broken:
    """An image that could not be read, and why."""

    path: str
    reason: str


class Preparer:
    """Prepares jobs one by one; decoded images stay in memory if asked.

    Args:
        preprocess: the network's.
        augment: how jobs with a generator are varied.
        cache: keep every decoded image.
        propose: finds the regions of an image, or knows them, where the network judges given ones.
    """

    def __init__(
        self, preprocess: Preprocess, augment: Augment, *, cache: bool = False, propose: Propose | None = None
    ) -> None:
        self.preprocess, self.augment, self.propose = preprocess, augment, propose
        self._cache: dict[Path, UInt8[np.ndarray, "height width 3"]] | None = {} if cache else None

    def __call__(self, job: Job) -> Prepared | Broken:
        """Decode, vary, resize and normalise one image; an unreadable one comes back as `Broken`."""
        pictures = []
        for part in job.parts:
            try:
                image = self._read(part.path)
            except InputError as error:
                return Broken(str(part.path), error.message)
            regions = np.zeros((0, 4)) if self.propose is None else self.propose(image, part.path)
            pictures.append(Annotated(image, part.boxes, part.labels, part.ignore, regions.astype(float)))
        target = self.preprocess.target
        size = pictures[0].size
        picture = pictures[0]
        if len(pictures) > 1 and job.rng is not None:
            picture = mosaic(pictures, target(*size), job.rng)
        if job.rng is not None:
            picture = apply(picture, self.augment, job.rng, target)
        boxes, keep = _on_input(picture.boxes, picture.size, target(*picture.size))
        proposals, _ = _on_input(picture.proposals, picture.size, target(*picture.size))
        return Prepared(
            image=self.preprocess(picture.image),
            boxes=boxes,
            labels=picture.labels[keep],
            ignore=picture.ignore[keep],
            size=size,
            index=job.index,
            path=str(job.parts[0].path),
            proposals=None if self.propose is None else proposals,
            key=job.key,
        )

    def _read(self, path: Path) -> UInt8[np.ndarray, "height width 3"]:
        if self._cache is None:
            return read_image(path)
        if path not in self._cache:
            self._cache[path] = read_image(path)
        return self._cache[path]


def preparing_bytes(job: Job) -> int:
    """About the memory that a job takes at its peak: decoded, varied and resized, by the sizes of its images."""
    return sum(_PIXEL * math.prod(_size(part)) for part in job.parts)


def _size(sample: Sample) -> tuple[int, int]:
    try:
        return sample.size or image_size(sample.path)
    except InputError:  # it will be told when it is read
        return 0, 0


def bare(sample: Sample) -> Sample:
    """A sample without what training does not look at, for its way to another process."""
    return replace(sample, masks=(), object_ids=(), attributes=(), extra={})


def decoded_bytes(samples: Sequence[Sample]) -> float:
    """Memory that the decoded images would take; infinite where a data set does not say their sizes."""
    if any(sample.size is None for sample in samples):
        return float("inf")
    return float(sum(3 * sample.size[0] * sample.size[1] for sample in samples if sample.size))


def _on_input(
    boxes: Float64[np.ndarray, "some 4"], size: tuple[int, int], target: tuple[int, int]
) -> tuple[Float32[np.ndarray, "kept 4"], Bool[np.ndarray, " some"]]:
    """Boxes in pixels of the resized picture, cut at its edges, and which of them still have an area."""
    (height, width), (tall, wide) = size, target
    scale = np.array([wide / width, tall / height] * 2)
    moved = np.clip(boxes * scale, 0, [wide, tall, wide, tall]).astype(np.float32)
    keep = (moved[:, 2:] > moved[:, :2]).all(-1)
    return moved[keep], keep
