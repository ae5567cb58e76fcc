"""The doctor's checks of image files: whether they can be used, agree with the annotation, and come twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from boxwright.data.doctor.duplicates import look_alikes
from boxwright.data.doctor.examined import Examined, few, groups
from boxwright.data.doctor.probe import Probe
from boxwright.data.findings import finding
from boxwright.data.formats.paths import is_image
from boxwright.data.records import Finding

_SIZE_SLACK = 0.01  # of a side: annotation tools that shrink for display round

_ENDINGS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
    "BMP": {".bmp", ".dib"},
    "DIB": {".bmp", ".dib"},
    "JPEG2000": {".jp2"},
}


def image_files(data: Examined) -> Iterator[Finding]:
    """Files that cannot be used, or are not what they are called."""
    for probe in data.probes.values():
        if probe.fault:
            yield finding(probe.fault, probe.path, "", probe.message)
        endings = _ENDINGS.get(probe.format, {f".{probe.format.lower()}"})
        if probe.format and probe.path.suffix.lower() not in endings:
            yield finding("extension-differs", probe.path, "", f"is a {probe.format} file by its content")


def image_sizes(data: Examined) -> Iterator[Finding]:
    """The size that the annotation states against the file's, and EXIF's turn of it."""
    for _, sample in data.unique():
        probe = data.probes.get(sample.path)
        if probe is None or probe.size is None:
            continue
        if sample.size is None or agree(sample.size, probe.size):
            if probe.orientation != 1:
                message = f"has EXIF orientation {probe.orientation}; boxes are taken as made upright"
                yield finding("exif-orientation", sample.path, "", message)
        elif probe.orientation >= 5 and agree(sample.size, probe.size[::-1]):
            message = (
                f"annotated as {_shown(sample.size)}, which it is before EXIF orientation "
                f"{probe.orientation} turns it to {_shown(probe.size)}"
            )
            yield finding("exif-rotated", sample.path, "", message)
        else:
            message = f"annotated as {_shown(sample.size)}, the file is {_shown(probe.size)} (width x height)"
            yield finding("size-differs", sample.path, "", message)


def agree(stated: tuple[int, int], actual: tuple[int, int]) -> bool:
    """Whether a stated size is the actual one but for rounding."""
    return all(abs(s - a) <= max(1.0, _SIZE_SLACK * a) for s, a in zip(stated, actual, strict=True))


def image_names(data: Examined) -> Iterator[Finding]:
    """Names that collide, and files that lie there unused."""
    paths = [sample.path for _, sample in data.unique()]
    endings = Counter(path.suffix.lower() for path in paths)
    if len(endings) > 1:
        parts = ", ".join(f"{count} {ending or '(none)'}" for ending, count in endings.most_common())
        yield finding("extension-mixed", data.root, "", f"images end in {parts}")
    for group in groups(paths, lambda path: str(path).casefold()):
        yield finding("name-case", group[1], "", f"differs from {group[0].name} only in case")
    if data.format in ("voc", "yolo"):
        for group in groups(paths, lambda path: str(path.with_suffix(""))):
            if group[0].suffix.lower() != group[1].suffix.lower():
                yield finding("name-shared", group[1], "", f"shares its annotations with {group[0].name}")
    # What a reader has reported and left out is not unlisted, nor is its image.
    known = set(paths) | set(data.probes)
    reported = {file.stem for file in data.reported}
    for folder in sorted({path.parent for path in paths}):
        try:
            spare = sorted(
                f for f in folder.iterdir() if is_image(f) and f not in known and f.stem not in reported
            )
        except OSError:
            continue
        if spare:
            message = (
                f"{len(spare)} image{'s' * (len(spare) > 1)} in no split: {few([f.name for f in spare])}"
            )
            yield finding("image-unlisted", folder, "", message)


def annotation_files(data: Examined) -> Iterator[Finding]:
    """VOC's annotations that no split lists."""
    folder = data.root / "Annotations"
    if data.format != "voc" or not folder.is_dir():
        return
    used = {str(sample.image_id) for _, _, sample in data.samples()} | {file.stem for file in data.reported}
    spare = sorted(f.name for f in folder.iterdir() if f.suffix.lower() == ".xml" and f.stem not in used)
    if spare:
        message = f"{len(spare)} annotation file{'s' * (len(spare) > 1)} in no split: {few(spare)}"
        yield finding("annotation-unlisted", folder, "", message)


def same_pictures(data: Examined) -> Iterator[Finding]:
    """Pictures that are there twice, in one split or across two."""
    probes: list[Probe] = []
    split_of: list[str] = []
    for split, part in data.parts.items():
        for sample in part:
            probe = data.probes.get(sample.path)
            if probe is not None and probe.thumbnail is not None:
                probes.append(probe)
                split_of.append(split)
    if not probes:
        return
    # Identical files: one of each split stands for all in the comparison by looks.
    first: dict[tuple[bytes, str], int] = {}
    for index, (probe, split) in enumerate(zip(probes, split_of, strict=True)):
        twin = first.setdefault((probe.digest, split), index)
        if twin != index and probe.path != probes[twin].path:
            yield finding(
                "image-identical", probe.path, "", f"is the same file as {_name(probes[twin], probe)}"
            )
    for members in _by_digest(first).values():
        for one, two in combinations(members, 2):
            # One file in two splits is `split-overlap`.
            if probes[one].path != probes[two].path:
                other = _name(probes[one], probes[two])
                message = f"in {split_of[two]!r} is the same file as {other} in {split_of[one]!r}"
                yield finding("leak-identical", probes[two].path, "", message)
    chosen = sorted(first.values())
    thumbnails = np.stack([image for i in chosen if (image := probes[i].thumbnail) is not None])
    for early, late in look_alikes(thumbnails, [split_of[i] for i in chosen]):
        one, two = chosen[early], chosen[late]
        if probes[one].digest == probes[two].digest:
            continue
        other = _name(probes[one], probes[two])
        if split_of[one] == split_of[two]:
            yield finding("image-near", probes[two].path, "", f"looks like {other}")
        else:
            message = f"in {split_of[two]!r} looks like {other} in {split_of[one]!r}"
            yield finding("leak-near", probes[two].path, "", message)


def _by_digest(first: Mapping[tuple[bytes, str], int]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = defaultdict(list)
    for (digest, _), index in first.items():
        found[digest].append(index)
    return found


def _name(probe: Probe, beside: Probe) -> str:
    """The file's name, with its folder where that differs."""
    return probe.path.name if probe.path.parent == beside.path.parent else "/".join(probe.path.parts[-2:])


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
