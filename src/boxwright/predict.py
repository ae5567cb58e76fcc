"""From images of any kind to results in their own pixels, whatever engine runs the network. Torch-free."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from boxwright.errors import InputError
from boxwright.images import image_size
from boxwright.inputs import as_uint8, listed, pad_batch, pad_boxes, to_pixels
from boxwright.manifest import Manifest
from boxwright.results import Result

OnError = Literal["raise", "skip"]
Skipped = tuple[Path, InputError]
"""An image that could not be read, and why; `Predictor.stream` gives it in the place of a result."""

Found = tuple[
    Float32[np.ndarray, "batch det 4"],
    Float32[np.ndarray, "batch det"],
    Int64[np.ndarray, "batch det"],
    Bool[np.ndarray, "batch det"],
]
"""What an engine gives: boxes (xyxy in the batch's pixels), scores, labels (class indices), which are valid."""

Regions = tuple[Float32[np.ndarray, "batch roi 4"], Bool[np.ndarray, "batch roi"]]
"""Boxes to be judged, in the batch's pixels, and which of them are no padding."""

Propose = Callable[[UInt8[np.ndarray, "height width 3"], Path | None], Float32[np.ndarray, "roi 4"]]
"""An upright image and its file -> regions in its pixels, the best first."""

_READERS = 2
_KEPT = 1 << 30
"""Bytes of images that are kept for their results and read ahead at a time."""


@runtime_checkable
class Engine(Protocol):
    """Whatever runs a network, with its decoding: eager torch, ONNX Runtime, ..."""

    def run(
        self,
        images: Float32[np.ndarray, "batch 3 height width"],
        sizes: Int64[np.ndarray, "batch 2"],
        regions: Regions | None = None,
    ) -> Found:
        """Detect on normalised, padded images.

        Args:
            images: the batch.
            sizes: (height, width) of each without its padding.
            regions: what to judge, for networks that do not find their own.

        Returns:
            boxes (xyxy in the batch's pixels), scores, labels (class indices) and which of them are valid;
            best score first.
        """
        ...


@runtime_checkable
class ScaledEngine(Engine, Protocol):
    """An engine whose `run` has a parameter `scales` too: a rule of its network is in pixels of the original image."""

    takes_scales: bool


@dataclass(frozen=True)
class Ready:
    """An image that can join a batch.

    Attributes:
        pixels: what the network is fed of it.
        size: (height, width) that it had.
        path: its file, if it has one.
        image: its own pixels, if they were to be kept.
        regions: what is to be judged, in pixels of what is fed; None where the network finds its own.
    """

    pixels: Float32[np.ndarray, "3 height width"]
    size: tuple[int, int]
    path: Path | None
    image: UInt8[np.ndarray, "original_height original_width 3"] | None
    regions: Float32[np.ndarray, "roi 4"] | None


class Predictor:
    """An engine with a model's description: what `model.predict` is, with or without torch.

    Args:
        engine: runs the network.
        manifest: preprocessing, classes and threshold.
        propose: finds the regions of an image, or knows them; the manifest's own source if not given.
    """

    def __init__(self, engine: Engine, manifest: Manifest, propose: Propose | None = None) -> None:
        self.engine, self.manifest, self.propose = engine, manifest, propose
        if propose is None and (source := manifest.regions) is not None:
            self.propose = lambda image, path: source(image)

    def predict(
        self, images: Any, score: float | None = None, *, batch: int = 8, keep_images: bool = False
    ) -> list[Result]:
        """Detect on images.

        Args:
            images: one or a list of: path, PIL image, uint8 HWC RGB array, float CHW array or tensor in
                [0, 1]. EXIF orientation is applied: boxes are in the pixels of the upright image.
            score: give detections from this score on; None is the model's own threshold.
            batch: images that the network sees at once.
            keep_images: put the decoded image into each result.

        Returns:
            One result per image, in their order; always a list.

        Raises:
            InputError: an image that cannot be read, or is of no such kind.
        """
        results = self.stream(listed(images), score, batch=batch, keep_images=keep_images)
        return [result for result in results if isinstance(result, Result)]

    def stream(
        self,
        images: Iterable[Any],
        score: float | None = None,
        *,
        batch: int = 8,
        keep_images: bool = False,
        on_error: OnError = "raise",
    ) -> Iterator[Result | Skipped]:
        """Detect on any number of images, in order, with only a few of them in memory at a time.

        The next images are read by two threads while the network runs.

        Args:
            images: as in `predict`, from any iterable, a generator too.
            score: as in `predict`.
            batch: as in `predict`.
            keep_images: as in `predict`.
            on_error: "skip" gives `(path, error)` for a file that cannot be read, and goes on.

        Raises:
            InputError: a bad image under "raise"; a bad `score`.
        """
        least = self.manifest.score if score is None else score
        if not 0 <= least <= 1:
            raise InputError(f"score threshold {least}", hint="choose one in [0, 1]")
        return self._run(iter(images), least, max(1, batch), keep_images, on_error)

    def _run(
        self, images: Iterator[Any], least: float, batch: int, keep_images: bool, on_error: OnError
    ) -> Iterator[Result | Skipped]:
        pool = ThreadPoolExecutor(_READERS)
        ahead: deque[tuple[Future[Ready | InputError], int]] = deque()
        waiting: list[tuple[Any, int]] = []  # the next image, with what keeping it takes

        def read_ahead() -> None:
            while len(ahead) < batch + _READERS:
                if not waiting:
                    following = list(islice(images, 1))
                    waiting.extend((image, _kept_bytes(image) if keep_images else 0) for image in following)
                if not waiting or (ahead and sum(size for _, size in ahead) + waiting[0][1] > _KEPT):
                    return
                image, size = waiting.pop()
                ahead.append((pool.submit(self.read, image, keep_images), size))

        try:
            read_ahead()
            while ahead:
                chunk: list[Ready | InputError] = []
                while ahead and len(chunk) < batch:
                    chunk.append(ahead.popleft()[0].result())
                read_ahead()
                results = iter(self._detect([item for item in chunk if isinstance(item, Ready)], least))
                for item in chunk:
                    if isinstance(item, Ready):
                        yield next(results)
                    elif on_error == "skip" and item.path is not None:
                        yield Path(item.path), item
                    else:
                        raise item
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def read(self, source: Any, keep: bool = False) -> Ready | InputError:
        """Decode, preprocess and find regions; an error is returned, to be raised or skipped in its turn.

        Args:
            source: an image, as in `predict`.
            keep: hold its own pixels too.
        """
        path = Path(source) if isinstance(source, str | Path) else None
        try:
            image = to_pixels(source)
        except InputError as error:
            return error
        size = (image.shape[0], image.shape[1]) if image.dtype == np.uint8 else image.shape[1:]
        pixels, regions = self.manifest.preprocess(image), None
        if self.propose is not None:
            scale = np.array([pixels.shape[2] / size[1], pixels.shape[1] / size[0]] * 2, np.float32)
            regions = self.propose(as_uint8(image), path) * scale
        return Ready(pixels, (size[0], size[1]), path, as_uint8(image) if keep else None, regions)

    def _detect(self, batch: Sequence[Ready], least: float) -> list[Result]:
        if not batch:
            return []
        fed = stacked(batch, self.manifest.preprocess.pad_multiple)
        if isinstance(self.engine, ScaledEngine) and self.engine.takes_scales:
            found = self.engine.run(*fed, scales=scales_of(batch))  # type: ignore[call-arg]
        else:
            found = self.engine.run(*fed)
        results = []
        for item, boxes, scores, labels, valid in zip(batch, *found, strict=True):
            shown = valid & (scores >= least)
            scaled = in_original_pixels(boxes[shown], item.pixels.shape[1:], item.size)
            results.append(
                labelled(
                    self.manifest, scaled, scores[shown], labels[shown], item.size, item.path, item.image
                )
            )
        return results


def _kept_bytes(source: Any) -> int:
    """Memory of an image's pixels, as far as its header or its own shape tells; 0 for what cannot be read."""
    if isinstance(source, str | Path):
        try:
            return 3 * math.prod(image_size(source))
        except InputError:
            return 0
    return int(getattr(source, "nbytes", 0))


def stacked(batch: Sequence[Ready], multiple: int) -> tuple[Any, ...]:
    """What an engine is given: images, sizes and, where there are some, regions.

    Args:
        batch: images of any sizes.
        multiple: divides the sides of the padded batch.
    """
    sizes = np.array([item.pixels.shape[1:] for item in batch], np.int64)
    padded = pad_batch([item.pixels for item in batch], multiple)
    given = [item.regions for item in batch if item.regions is not None]
    # Engines of networks that find their own regions need not know of others.
    return (padded, sizes, pad_boxes(given, least=1)) if given else (padded, sizes)


def scales_of(batch: Sequence[Ready]) -> Float32[np.ndarray, " batch"]:
    """Pixels of the input by pixels of each image, in the mean of both directions."""
    areas = [np.prod(item.pixels.shape[1:]) / np.prod(item.size) for item in batch]
    return np.sqrt(np.array(areas, np.float32))


def in_original_pixels(
    boxes: Float32[np.ndarray, "det 4"], fed: tuple[int, ...], original: tuple[int, int]
) -> Float32[np.ndarray, "det 4"]:
    """Boxes on the network's input as boxes in the image it was made from, cut at its edges.

    Args:
        boxes: xyxy in pixels of the input.
        fed: (height, width) that the image had on the input, without padding.
        original: (height, width) of the image.
    """
    extent = np.array([original[1], original[0]] * 2, np.float32)
    scale = extent / np.array([fed[1], fed[0]] * 2, np.float32)
    return np.clip(boxes * scale, 0, extent)


def labelled(
    manifest: Manifest,
    boxes: Float32[np.ndarray, "det 4"],
    scores: Float32[np.ndarray, " det"],
    index: Int64[np.ndarray, " det"],
    size: tuple[int, int],
    path: Path | None = None,
    image: UInt8[np.ndarray, "height width 3"] | None = None,
) -> Result:
    """A result with the names and the ids that a model's class indices stand for."""
    return Result(
        boxes=boxes,
        scores=scores,
        labels=np.array(manifest.ids, np.int64)[index],
        index=index,
        names=tuple(manifest.classes[i] for i in index),
        size=size,
        path=path,
        image=image,
    )
