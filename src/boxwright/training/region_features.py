"""Features of every region of every training image, on disk: what R-CNN's linear stages learn from.

One file an image, written whole or not at all: a run that was stopped computes what is missing, and a file that is
damaged, or was computed from something else, is named.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32, Int64

from boxwright.boxes import iou
from boxwright.data.augment import Augment
from boxwright.data.collate import collate
from boxwright.data.prepare import Broken, Job, Preparer, bare
from boxwright.data.records import Dataset
from boxwright.detectors import RegionClassifier
from boxwright.errors import InputError
from boxwright.files import read_arrays, write_bytes
from boxwright.heads.region import RegionHead
from boxwright.predict import Propose
from boxwright.preprocess import Preprocess
from boxwright.sample import with_objects
from boxwright.training.precision import Precision
from boxwright.types import Priors

AGAIN = "train with --resume"
"""How a file that a stage keeps is made anew."""
NEAR = 0.6
"""A region that overlaps an object by more learns to move onto it (Girshick et al. 2014, appendix C)."""


@dataclass(frozen=True)
class ImageFeatures:
    """One image's regions: its proposals and, behind them, its objects.

    Attributes:
        features: of each region.
        boxes: of each region, in pixels of the network's input.
        objects: boxes of the annotated objects.
        labels: their classes.
        ignore: crowd and difficult ones.
        near: numbers of the regions by which moving boxes is learnt.
        near_features: what those boxes are moved by; both are empty where that is their `features`.
    """

    features: Float16[np.ndarray, "roi feature"]
    boxes: Float32[np.ndarray, "roi 4"]
    objects: Float32[np.ndarray, "gt 4"]
    labels: Int64[np.ndarray, " gt"]
    ignore: Bool[np.ndarray, " gt"]
    near: Int64[np.ndarray, " near"] = field(default_factory=lambda: np.zeros(0, np.int64))
    near_features: Float16[np.ndarray, "near number"] = field(
        default_factory=lambda: np.zeros((0, 0), np.float16)
    )

    def overlaps(self) -> Float32[np.ndarray, "roi gt"]:
        """IoU of each region with each object."""
        shared: np.ndarray = iou(torch.from_numpy(self.boxes), torch.from_numpy(self.objects)).numpy()
        return shared

    def near_objects(self) -> Int64[np.ndarray, " near"]:
        """Numbers of the regions that overlap an object that counts by more than `NEAR`."""
        if self.ignore.all():
            return np.zeros(0, np.int64)
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        most = self.overlaps()[:, ~self.ignore].max(1)
        return np.flatnonzero((most > NEAR) & (sides > 0).all(1))


@dataclass(frozen=True)
class FeatureStore:
    """The files of a data set's features.

    Attributes:
        folder: where they are, numbered as the images are.
        images: numbers of the images.
        origin: names what they are computed from, the weights and the regions; every file says it.
    """

    folder: Path
    images: tuple[int, ...]
    origin: str

    def path(self, image: int) -> Path:
        """The file of an image."""
        return self.folder / f"{image:06d}.npz"

    def missing(self) -> list[int]:
        """Images whose features are still to be computed."""
        return [image for image in self.images if not self.path(image).exists()]

    def without(self, images: Container[int]) -> FeatureStore:
        """The same without some images."""
        return replace(self, images=tuple(image for image in self.images if image not in images))

    def write(self, image: int, found: ImageFeatures) -> None:
        """Keep an image's features; the file appears only when it is complete.

        Raises:
            InputError: the disk is full or the folder cannot be written.
        """
        content = io.BytesIO()
        arrays = {one.name: getattr(found, one.name) for one in fields(ImageFeatures)}
        np.savez(content, origin=np.array(self.origin), **arrays)
        write_bytes(self.path(image), content.getvalue())

    def read(self, image: int) -> ImageFeatures:
        """An image's features.

        Raises:
            InputError: the file is missing, damaged, or of another origin.
        """
        path, names = self.path(image), [one.name for one in fields(ImageFeatures)]
        arrays = read_arrays(path, ["origin", *names], kind="file of features", again=AGAIN)
        if str(arrays.pop("origin")) != self.origin:
            raise InputError(
                "was computed by other weights or for other regions",
                path=path,
                hint=f"delete {self.folder} and {AGAIN}",
            )
        return ImageFeatures(**arrays)

    def __iter__(self) -> Iterator[ImageFeatures]:
        return (self.read(image) for image in self.images)


def compute(
    net: RegionClassifier,
    dataset: Dataset,
    images: Sequence[int],
    *,
    preprocess: Preprocess,
    propose: Propose,
    precision: Precision,
    policy: str,
    by_maps: bool = False,
) -> Iterator[tuple[int, ImageFeatures] | Broken]:
    """Compute the features of some images.

    Args:
        net: fine-tuned, where it is to run.
        dataset: all images.
        images: which.
        preprocess: of the network.
        propose: knows the images' regions.
        precision: of the device that the network is on.
        policy: "error" or "skip": what an unreadable image does.
        by_maps: boxes are moved by the body's pooled maps, which are kept too, of the regions near an object.

    Yields:
        each image's number and its features, or what is wrong with the image.

    Raises:
        InputError: an image cannot be read under "error".
    """
    head = net.regions
    assert isinstance(head, RegionHead)
    preparer = Preparer(preprocess, Augment(), propose=propose)
    net.eval()
    for image in images:
        prepared = preparer(Job(image, (bare(dataset[image]),)))
        if isinstance(prepared, Broken):
            if policy == "error":
                raise InputError(
                    prepared.reason,
                    path=prepared.path,
                    hint="repair it, or leave such images out with --set train.bad_images=skip; then --resume",
                )
            yield prepared
            continue
        batch = collate([prepared], multiple=preprocess.pad_multiple)
        assert batch.proposals is not None
        regions = with_objects(batch.proposals, batch.targets)
        with torch.inference_mode(), precision.autocast():
            levels = net.neck(net.backbone(batch.images.to(precision.device)))
            features = head.features(levels, regions.to(precision.device))[0]
        found = ImageFeatures(
            features.float().cpu().numpy().astype(np.float16),
            regions.boxes[0].numpy(),
            prepared.boxes,
            prepared.labels,
            prepared.ignore,
        )
        if by_maps and len(near := found.near_objects()):
            some = Priors(regions.boxes[:, near], regions.level[:, near], regions.valid[:, near])
            with torch.inference_mode(), precision.autocast():
                maps = head.box_features(levels, some.to(precision.device))[0]
            found = replace(found, near=near, near_features=maps.float().cpu().numpy().astype(np.float16))
        yield image, found
