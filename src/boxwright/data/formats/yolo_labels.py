"""YOLO's label files: where the one of an image is, and the objects in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from boxwright.data.findings import finding
from boxwright.data.formats.paths import DataFolder, UnsafePathError, inner_folder
from boxwright.data.formats.reading import Objects, read_text
from boxwright.data.formats.yolo_lines import Fault, Keypoints, may_be_pose, read_line
from boxwright.data.records import Report, Sample
from boxwright.errors import InputError
from boxwright.images import image_size

NO_LABELS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "labels.txt"})
"""Text files that lie among labels and are none."""


class LabelFiles:
    """Reads the label files of images, and remembers which ones it has read.

    Args:
        folder: the data folder.
        names: of the classes, by number.
        keypoints: what `kpt_shape` says, if it is there.
        report: takes what is wrong.
    """

    def __init__(
        self, folder: DataFolder, names: Mapping[int, str], keypoints: Keypoints | None, report: Report
    ) -> None:
        self._folder, self._keypoints, self._report = folder, keypoints, report
        self._index = {number: position for position, number in enumerate(names)}
        self._wanted: set[Path] = set()
        self._inner: dict[Path, Path | None] = {}

    def samples(self, images: Sequence[Path]) -> list[Sample]:
        """The images with their objects; those that cannot be decoded are left out."""
        files = {image: self.label_file(image) for image in images}
        texts = {file: read_text(file, self._report) or "" for file in files.values() if file is not None}
        pose = self._keypoints is None and _is_pose(texts.values())
        if pose:
            message = "lines hold a box and keypoints, not polygons; say kpt_shape: [keypoints, 2 or 3] in data.yaml"
            self._report(finding("label-keypoints", next(iter(texts)), "", message))
        if images and not texts:
            looked = ", ".join(self._shown(place) for place in self._options(images[0])[:3])
            message = f"not one image has a label file; for {images[0].name} looked for {looked}"
            self._report(finding("labels-missing", self._folder.root, "", message))
        samples = (self._sample(image, file, texts, pose) for image, file in files.items())
        return [sample for sample in samples if sample is not None]

    def report_orphans(self) -> None:
        """Report label files, in the folders that were read from, that belong to no image."""
        folders = {file.parent for file in self._wanted if any(p.lower() == "labels" for p in file.parts)}
        for folder in sorted(folder for folder in folders if folder.is_dir()):
            for file in sorted(folder.glob("*.txt")):
                if file not in self._wanted and file.name not in NO_LABELS:
                    self._report(finding("label-without-image", file, "", "belongs to no image"))

    def label_file(self, image: Path) -> Path | None:
        """`labels/x.txt` for `images/x.jpg`; failing that, the text file beside the image."""
        for place in self._options(image):
            for name in (f"{image.stem}.txt", f"{image.name}.txt"):
                try:
                    file = self._folder.file(name, place)
                except UnsafePathError as error:
                    self._report(finding("path-escape", image, "", str(error)))
                    continue
                self._wanted.add(file)
                if file.is_file():
                    return file
        return None

    def _options(self, image: Path) -> list[Path]:
        """The folders in which an image's label file may be: labels for images at any level, then the image's own."""
        found = [image.parent]
        folder = image.parent
        below: list[str] = []
        while folder.is_relative_to(self._folder.root) and folder != folder.parent:
            if folder.name.lower() in ("images", "image", "imgs", "img", "jpegimages"):
                labels = self._labels_in(folder.parent)
                found.insert(len(found) - 1, labels.joinpath(*below))
            below.insert(0, folder.name)
            folder = folder.parent
        # images beside labels at the top, or images at the top and labels below them.
        if image.parent.is_relative_to(self._folder.root):
            found.append(self._labels_in(image.parent))
            found.append(self._labels_in(self._folder.root) / image.parent.relative_to(self._folder.root))
        return list(dict.fromkeys(found))

    def _labels_in(self, folder: Path) -> Path:
        if folder not in self._inner:
            self._inner[folder] = inner_folder(folder, "labels", "label")
        return self._inner[folder] or folder / "labels"

    def _sample(self, image: Path, file: Path | None, texts: Mapping[Path, str], pose: bool) -> Sample | None:
        """The image with its objects; None if it cannot be decoded, for then fractions mean nothing."""
        try:
            size = image_size(image)
        except InputError as error:
            self._report(finding("image-unreadable", image, "", error.message))
            return None
        if file is None:
            message = "has no label file; it counts as without objects"
            self._report(finding("label-missing", image, "", message))
            return Objects(self._report, image, size).sample(image, image.stem)
        objects = Objects(self._report, file, size)
        for row, line in enumerate(texts[file].split("\n"), start=1):
            if line.strip():
                self._add(line, f"line {row}", objects, size, pose)
        return objects.sample(image, image.stem)

    def _add(self, line: str, where: str, objects: Objects, size: tuple[int, int], pose: bool) -> None:
        held = read_line(line, size, self._keypoints)
        if isinstance(held, Fault):
            objects.lose(held.check, where, held.message)
        elif held.number not in self._index:
            objects.lose("class-unknown", where, f"class {held.number} has no name")
        elif pose and held.polygon is not None:
            objects.lose("label-line", where, f"{line!r:.80} is no polygon")
        else:
            mask = None if held.polygon is None else [held.polygon]
            attributes = {} if held.keypoints is None else {"keypoints": held.keypoints}
            index = self._index[held.number]
            objects.add(held.box, index, where=where, mask=mask, attributes=attributes)

    def _shown(self, place: Path) -> str:
        root = self._folder.root
        return f"{place.relative_to(root).as_posix() if place.is_relative_to(root) else place}/"


def _is_pose(texts: Iterable[str]) -> bool:
    """Whether all lines longer than a box have one length and are hardly polygons."""
    lengths: set[int] = set()
    for text in texts:
        for line in text.split("\n"):
            words = line.split()
            if len(words) <= 5:
                continue
            lengths.add(len(words))
            try:
                values = [float(word) for word in words[1:]]
            except ValueError:
                return False
            if len(lengths) > 1 or not may_be_pose(values):
                return False
    return bool(lengths)
