"""Pictures through a trained network into masks: files of class indices, pictures with them laid over, probabilities.

Torch-free where the network is an exported one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boxwright.draw import write_picture
from boxwright.errors import InputError
from boxwright.files import FullDiskError
from boxwright.images import EXTENSIONS, read_image
from boxwright.regular import real_path
from boxwright.segment.masks import overlay, write_mask, write_probability
from boxwright.segment.model import Segmenter, decided

Watch = Callable[[Iterable["Job"], str], Iterable["Job"]]


@dataclass(frozen=True)
class Wanted:
    """What is written of each picture.

    Attributes:
        threshold: of two classes, the second's probability from which on a pixel is of it; None: the most probable.
        values: the mask has the values that masks had in training instead of indices of classes.
        overlay: also NAME_overlay.png.
        probabilities: also NAME_CLASS.png, 16 bits; of two classes the second's only.
    """

    threshold: float | None = None
    values: bool = False
    overlay: bool = False
    probabilities: bool = False


@dataclass(frozen=True)
class Job:
    """One picture.

    Attributes:
        source: its file.
        mask: the file to write.
    """

    source: Path
    mask: Path


def jobs(source: Path, out: Path) -> list[Job]:
    """Which picture becomes which mask: of a folder all, at any depth, under the same names.

    Args:
        source: a picture, or a folder of them.
        out: the folder for masks.

    Raises:
        InputError: no pictures, two of one name, or masks that would take the place of a picture.
    """
    if source.is_dir():
        pictures = sorted(p for p in source.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        found = [Job(p, out / p.relative_to(source).with_suffix(".png")) for p in pictures]
    else:
        found = [Job(source, out / f"{source.stem}.png")]
    if not found:
        raise InputError("has no pictures", path=source, hint="give a picture or a folder of them")
    seen: dict[Path, Path] = {}
    own = {real_path(job.source) for job in found}
    for job in found:
        if job.mask in seen:
            raise InputError(
                f"has the name of {seen[job.mask].name}", path=job.source, hint="rename one of them"
            )
        if real_path(job.mask) in own:
            raise InputError(
                "would be replaced by a mask", path=job.mask, hint="choose another folder with -o"
            )
        seen[job.mask] = job.source
    return found


def apply_to(
    segmenter: Segmenter,
    todo: Iterable[Job],
    wanted: Wanted,
    watch: Watch = lambda items, what: items,
    claim: Callable[[Path], Path] = lambda path: path,
) -> Iterator[Job | InputError]:
    """Write the masks of pictures.

    Args:
        segmenter: the network.
        todo: the pictures.
        wanted: what is written.
        watch: shows progress.
        claim: is given each file before it is written, and may refuse it.

    Yields:
        each picture when its masks are written, or what is wrong with it or them.

    Raises:
        FullDiskError: nothing more can be written.
    """
    for job in watch(todo, "segmenting"):
        try:
            _apply(segmenter, job, wanted, claim)
        except FullDiskError:
            raise
        except InputError as error:
            yield error
        else:
            yield job


def _apply(segmenter: Segmenter, job: Job, wanted: Wanted, claim: Callable[[Path], Path]) -> None:
    picture = read_image(job.source)
    probabilities = segmenter.probabilities(picture)
    labels = decided(probabilities, wanted.threshold)
    classes = segmenter.classes
    write_mask(claim(job.mask), np.array(classes.values, np.uint8)[labels] if wanted.values else labels)
    if wanted.overlay:
        write_picture(claim(job.mask.with_name(f"{job.mask.stem}_overlay.png")), overlay(picture, labels))
    if wanted.probabilities:
        # Of two, the one is what the other leaves.
        for index in range(int(len(classes.names) == 2), len(classes.names)):
            name = "".join(c if c.isalnum() or c in "-_" else "-" for c in classes.names[index])
            target = claim(job.mask.with_name(f"{job.mask.stem}_{name}.png"))
            write_probability(target, probabilities[index])
