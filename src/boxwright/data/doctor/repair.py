"""A clean copy of a data set: the same format and splits, without what `check` calls an error.

Nothing is guessed that would make an object wrong: what cannot be used is left out, boxes are clipped to the
real image, and a picture that is in two splits stays in the one that measures (test before val before train).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from boxwright.data.doctor.checks_files import agree
from boxwright.data.doctor.diagnosis import read_parts
from boxwright.data.doctor.examined import unions
from boxwright.data.doctor.probe import Probe, Watch, probe_all
from boxwright.data.formats import outlines
from boxwright.data.formats.options import DEFAULT, ReadOptions
from boxwright.data.formats.writers import FORMATS, write
from boxwright.data.open import detect
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError
from boxwright.regular import real_path

WRITTEN = (*FORMATS, "folders")
_NONE: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True)
class Repaired:
    """What was written.

    Attributes:
        path: the clean copy.
        images, objects: how many it has, over all splits.
        images_left_out, objects_left_out: how many that readers could read are not in it.
    """

    path: Path
    images: int
    objects: int
    images_left_out: int
    objects_left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"path": str(self.path)}

    def summary(self) -> str:
        """One line for a person."""
        left = f"{self.images_left_out} image{'s' * (self.images_left_out != 1)} left out"
        return f"{self.path} has a clean copy: {self.images} images, {self.objects} objects; {left}."


def repair(
    path: str | Path,
    out: str | Path,
    *,
    options: ReadOptions = DEFAULT,
    named: Mapping[str, Path] = _NONE,
    jobs: int | None = None,
    watch: Watch | None = None,
) -> Repaired:
    """Write a clean copy of the data set at `path` to `out`; `path` is only read.

    Args:
        path: whatever `open_dataset` takes.
        out: a folder that is not there yet, or is empty, outside the data set.
        options: how the data set is read; VOC files that count pixels from 0 are written so too.
        named: splits that a person names by hand.
        jobs: images decoded at a time; as many as there are processors by default.
        watch: passes images on as they are looked at, and shows it.

    Raises:
        InputError: no data set, an `out` that will not do, or nothing left to write.
    """
    path, out = Path(path), Path(out)
    if real_path(out).is_relative_to(real_path(path)):
        raise InputError("lies inside the data set", path=out, hint="choose a folder outside of it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is there already", path=out, hint="choose a new folder for the clean copy")
    there = detect(path)
    parts = read_parts(path, there, options, named)
    probes = probe_all((s.path for part in parts.values() for s in part), jobs=jobs, watch=watch)
    clean = cleaned(parts, probes)
    if not clean:
        raise InputError("nothing is left of it to write", path=path, hint="boxwright check says why")
    before, after = _totals(parts.values()), _totals(clean)
    if not after[1]:
        raise InputError(
            "nothing is left of it to write: no object can be read",
            path=path,
            hint="boxwright check says why",
        )
    # Tools' own formats are only read; what they hold, COCO holds.
    kind = there.format.name if there.format.name in WRITTEN else "coco"
    write(clean, out, kind, voc_zero_based=options.voc_zero_based)
    return Repaired(out, *after, before[0] - after[0], before[1] - after[1])


def cleaned(parts: Mapping[str, Dataset], probes: Mapping[Path, Probe]) -> list[Dataset]:
    """The splits without what cannot be used, with one list of classes, and no picture in two of them."""
    together = unions({split: {sample.path for sample in part} for split, part in parts.items()})
    samples: dict[str, list[Sample]] = {}
    for split, part in parts.items():
        ambiguous = _ambiguous(part)
        usable = (sample for sample in part if f"image {sample.image_id}" not in ambiguous)
        cured = (clean_sample(sample, probes[sample.path]) for sample in usable)
        samples[split] = [sample for sample in cured if sample is not None]
    # The last split that has a picture keeps it: splits are in the order train, val, test.
    keeper: dict[bytes, str] = {}
    for split, kept in samples.items():
        if split not in together:
            keeper |= {probes[sample.path].digest: split for sample in kept}
    stays: set[Path] = set()
    for split, kept in samples.items():
        if split not in together:
            samples[split] = [sample for sample in kept if keeper[probes[sample.path].digest] == split]
            stays |= {sample.path for sample in samples[split]}
    for split in together:
        samples[split] = [sample for sample in samples[split] if sample.path in stays]
    classes, ids = common_classes(list(parts.values()))
    place = {name: number for number, name in enumerate(classes)}
    result = []
    for split, part in parts.items():
        if not samples[split]:
            continue
        position = np.array([place[name] for name in part.classes], np.int64)
        relabelled = tuple(replace(sample, labels=position[sample.labels]) for sample in samples[split])
        result.append(replace(part, samples=relabelled, classes=classes, ids=ids, findings=()))
    return result


def clean_sample(sample: Sample, probe: Probe) -> Sample | None:
    """The image with sound boxes only, or None if it cannot be used.

    Nor can an image of which an object was lost: where it is, the image would teach background.
    """
    if probe.fault or probe.size is None or sample.lost:
        return None
    boxes = sample.boxes
    if sample.size is not None and not agree(sample.size, probe.size):
        made_lying = probe.orientation >= 5 and agree(sample.size, probe.size[::-1])
        # Masks would have to be turned as well; which frame they are in is anyone's guess.
        if not made_lying or sample.masks:
            return None
        boxes = turned(boxes, sample.size, probe.orientation)
    height, width = probe.size
    clipped = np.clip(boxes, 0, [width, height, width, height])
    sides = clipped[:, 2:] - clipped[:, :2]
    if not (sides > 0).all():
        return None
    keep = _first_of_its_kind(clipped, sample.labels)
    own = np.isclose(sample.areas, np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2], axis=1))
    areas = np.where(own, np.prod(sides, axis=1), sample.areas)
    masks = tuple(
        None if outline and outlines.fault(outline, probe.size) else outline for outline in sample.masks
    )
    return _pick(replace(sample, size=probe.size, boxes=clipped, areas=areas, masks=masks), keep)


def turned(
    boxes: Float64[np.ndarray, "gt 4"], size: tuple[int, int], orientation: int
) -> Float64[np.ndarray, "gt 4"]:
    """Boxes made on a picture as stored, of `size` (height, width), on the picture that EXIF turns upright.

    >>> turned(np.array([[0.0, 0.0, 10.0, 20.0]]), (100, 200), 6).tolist()
    [[80.0, 0.0, 100.0, 10.0]]
    """
    height, width = size
    left, top, right, bottom = boxes.T
    if orientation >= 5:
        left, top, right, bottom, height, width = top, left, bottom, right, width, height
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return np.stack([left, top, right, bottom], axis=1)


def common_classes(parts: Sequence[Dataset]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """One list of names and ids for all splits; ids are kept unless the splits contradict each other.

    Where they do, or one split gives a name two ids, names are numbered anew from 1 in order of appearance.
    """
    known: dict[int, str] = {}
    agreed = True
    for part in parts:
        for identity, name in zip(part.ids, part.classes, strict=True):
            agreed = agreed and known.setdefault(identity, name) == name
    names = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    if agreed and len(names) == len(known):
        return tuple(known.values()), tuple(known)
    return names, tuple(range(1, len(names) + 1))


def _ambiguous(part: Dataset) -> set[str]:
    """COCO images whose id another image has: whose the annotations are cannot be known."""
    return {found.where for found in part.findings if found.check == "id-duplicate"}


def _first_of_its_kind(boxes: Float64[np.ndarray, "gt 4"], labels: np.ndarray) -> Bool[np.ndarray, " gt"]:
    """False for an object whose class and box (to a hundredth of a pixel) have been there before."""
    keep = np.ones(len(boxes), bool)
    seen: set[tuple[float, ...]] = set()
    for index, key in enumerate(np.column_stack([np.round(boxes, 2), labels]).tolist()):
        keep[index] = tuple(key) not in seen
        seen.add(tuple(key))
    return keep


def _pick(sample: Sample, keep: Bool[np.ndarray, " gt"]) -> Sample:
    chosen = np.flatnonzero(keep).tolist()
    return replace(
        sample,
        boxes=sample.boxes[keep],
        labels=sample.labels[keep],
        crowd=sample.crowd[keep],
        difficult=sample.difficult[keep],
        areas=sample.areas[keep],
        masks=tuple(sample.masks[i] for i in chosen) if sample.masks else (),
        object_ids=tuple(sample.object_ids[i] for i in chosen) if sample.object_ids else (),
        attributes=tuple(sample.attributes[i] for i in chosen) if sample.attributes else (),
    )


def _totals(parts: Any) -> tuple[int, int]:
    return sum(len(part) for part in parts), sum(len(sample.labels) for part in parts for sample in part)
