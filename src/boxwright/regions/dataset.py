"""Regions for all images of a data set, in parallel, into one file; what is done is never done again.

Finished images wait in a folder beside the file, some dozens to a part, until the last one is there. A run that
was stopped goes on from them, and a file that is complete but for some images is completed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.data.doctor.probe import processors
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError
from boxwright.files import sweep
from boxwright.images import read_image
from boxwright.outputs import Outputs
from boxwright.regions.proposals import Boxes, Proposals, Size, write
from boxwright.regions.source import RegionSource, to_dict

PART = 32
"""Images in a part: what a run that is stopped may lose is a few seconds' work."""

Watch = Callable[[Iterable["Found"], str, int], Iterable["Found"]]


@dataclass(frozen=True)
class Found:
    """The regions of one image, or why it could not be read.

    Attributes:
        image: its path relative to the data set.
        size: (height, width).
        boxes: the best first.
        trouble: the line that says what is wrong with the file; "" if nothing is.
    """

    image: str
    size: Size
    boxes: Boxes
    trouble: str = ""


def propose(
    dataset: Dataset,
    source: RegionSource,
    out: Path,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> tuple[Proposals, tuple[str, ...]]:
    """Find the regions of every image, and write them into one file.

    Args:
        dataset: whose images.
        source: what finds regions in one image.
        out: the file; images that are in it, or in the parts beside it, are not searched again.
        jobs: images at a time; as many as there are processors by default.
        overwrite: forget what there is instead.
        watch: passes each image on as it is done.

    Returns:
        The file, and a line for each image that could not be read and is not in it.

    Raises:
        InputError: what there is was found in another way or is damaged, or the disk is full. Nothing is lost.
    """
    settings = json.loads(json.dumps(to_dict(source)))  # as the file gives them back
    with Outputs(parts_of(out)) as parts:
        return _propose(dataset, source, out, parts, settings, jobs, overwrite, watch)


def _propose(
    dataset: Dataset,
    source: RegionSource,
    out: Path,
    parts: Outputs,
    settings: dict[str, Any],
    jobs: int | None,
    overwrite: bool,
    watch: Watch | None,
) -> tuple[Proposals, tuple[str, ...]]:
    if overwrite:
        out.unlink(missing_ok=True)
        parts.remove()
    sweep(out.parent, (out.name,))
    done = {image: found for part in _there(out, parts, settings) for image, found in _contents(part)}
    samples = {_key(sample, dataset): sample for sample in dataset}
    missing = [(image, sample) for image, sample in samples.items() if image not in done]
    troubles: list[str] = []
    waiting: list[Found] = []
    if not missing and not parts.files() and out.exists():
        return Proposals.open(out), ()
    with ThreadPoolExecutor(jobs or processors()) as pool:
        results: Iterable[Found] = pool.map(lambda item: _search(item[0], item[1], source), missing)
        try:
            for found in results if watch is None else watch(results, "proposing", len(missing)):
                if found.trouble:
                    troubles.append(found.trouble)
                    continue
                done[found.image] = found
                waiting.append(found)
                if len(waiting) == PART:
                    _write_part(parts, settings, waiting)
                    waiting = []
        except BaseException:
            # Ctrl-C or a full disk must not wait for the images that are still in the queue, nor lose those that are
            # done.
            pool.shutdown(cancel_futures=True)
            if waiting:
                _write_part(parts, settings, waiting)
            raise
    # Those of other splits, found before, stay in the file.
    order = [
        *(image for image in samples if image in done),
        *(image for image in done if image not in samples),
    ]
    _write(out, settings, [done[image] for image in order])
    parts.remove()
    return Proposals.open(out), tuple(troubles)


def parts_of(out: Path) -> Path:
    """The folder beside a file in which its images wait for the last one."""
    return out.with_name(out.name + ".parts")


def _there(out: Path, parts: Outputs, settings: dict[str, Any]) -> Iterator[Proposals]:
    """The file and its parts, if they were found in the same way."""
    for path in [*([out] if out.exists() else []), *parts.files()]:
        part = Proposals.open(path)
        if part.settings != settings:
            known = ", ".join(f"{key} {value}" for key, value in part.settings.items())
            raise InputError(
                f"was found in another way ({known})", path=path, hint="choose another file, or --overwrite"
            )
        yield part


def _contents(part: Proposals) -> Iterator[tuple[str, Found]]:
    for image in part.images:
        yield image, Found(image, part.size(image), part.boxes(image))


def _key(sample: Sample, dataset: Dataset) -> str:
    return Path(os.path.relpath(sample.path, dataset.root.absolute())).as_posix()


def _search(image: str, sample: Sample, source: RegionSource) -> Found:
    try:
        picture = read_image(sample.path)
    except InputError as error:
        return Found(image, (0, 0), np.zeros((0, 4), np.float32), str(error))
    height, width = picture.shape[:2]
    return Found(image, (height, width), source(picture, threads=1))


def _write_part(parts: Outputs, settings: dict[str, Any], found: Sequence[Found]) -> None:
    name = f"{len(parts.files()):06d}-{os.getpid()}.npz"
    _write(parts.claim(parts.folder / name), settings, found)


def _write(path: Path, settings: dict[str, Any], found: Sequence[Found]) -> None:
    write(path, settings, [f.image for f in found], [f.size for f in found], [f.boxes for f in found])
