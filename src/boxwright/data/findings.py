"""Every check that a reader or the doctor makes: its stable id, how bad it is, what it means, what follows.

The ids are public: `boxwright check --json` prints them and scripts compare them, so none is ever renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxwright.data.records import Finding, Severity

Stops = Literal["always", "policy", "never"]


@dataclass(frozen=True)
class Check:
    """One kind of defect.

    Attributes:
        severity: "error" (training would fail or learn something wrong), "warning" or "info".
        meaning: one line for a person who meets the id for the first time.
        stops: whether `open_dataset` raises: "always"; "policy" (not under policy "skip", which drops the
            object or image and goes on); or "never" (the finding is collected).
        fix: what `boxwright check --fix` does about it; "" if it does nothing.
    """

    severity: Severity
    meaning: str
    stops: Stops
    fix: str = ""


DROP_IMAGE = "image left out"
DROP_BOTH = "image left out, lest the object be taken for background"

CHECKS: dict[str, Check] = {
    # Files that cannot be read at all.
    "file-unreadable": Check(
        "error", "an annotation file cannot be opened, or is not text in its own encoding", "always"
    ),
    "json-syntax": Check("error", "the file is not JSON", "always"),
    "json-shape": Check(
        "error", "the JSON is not a COCO data set (images, annotations, categories)", "always"
    ),
    "yaml-syntax": Check(
        "error", "the file is not plain YAML; tags that build objects are refused", "always"
    ),
    "yaml-shape": Check("error", "the YAML does not describe a YOLO data set", "always"),
    "csv-syntax": Check("error", "the file is not a table of comma-separated values", "always"),
    "csv-shape": Check("error", "the table lacks columns that a data set needs", "always"),
    "xml-doctype": Check(
        "error", "XML with a DOCTYPE can hide entity bombs and is refused", "always", DROP_IMAGE
    ),
    "xml-syntax": Check("error", "the file is not XML", "policy", DROP_IMAGE),
    "xml-shape": Check("error", "the XML is not a Pascal VOC annotation", "policy", DROP_IMAGE),
    "path-escape": Check("error", "a file name leads out of the data folder", "always", DROP_IMAGE),
    # Records that contradict each other.
    "record-shape": Check(
        "error", "an entry lacks a key or has a value of the wrong kind", "policy", DROP_BOTH
    ),
    "label-line": Check("error", "a line is not a class number and its coordinates", "policy", DROP_BOTH),
    "id-duplicate": Check(
        "error",
        "two entries have the same id; evaluation would count wrongly",
        "policy",
        "objects numbered anew, images left out",
    ),
    "class-unknown": Check("error", "an object's class is not in the list of classes", "policy", DROP_BOTH),
    "class-duplicate": Check("warning", "two classes have the same name", "never"),
    "class-count": Check("warning", "the stated number of classes is not the number of names", "never"),
    "class-list": Check(
        "warning", "the list of class names lacks names that are used, and is not followed", "never"
    ),
    "image-unknown": Check(
        "error", "an annotation belongs to an image that is not listed", "policy", "annotation left out"
    ),
    "image-duplicate": Check("warning", "an image is listed twice in one split", "never", "kept once"),
    "split-missing": Check("warning", "a split's folder or list does not exist", "never", "split left out"),
    "image-missing": Check("error", "the image file does not exist", "policy", DROP_IMAGE),
    "image-unreadable": Check("error", "the image file cannot be decoded", "policy", DROP_IMAGE),
    "annotation-missing": Check("error", "a listed image has no annotation file", "policy", DROP_IMAGE),
    "labels-missing": Check(
        "error", "no image of the split has a label file: all would count as without objects", "policy"
    ),
    "label-keypoints": Check(
        "error",
        "lines hold keypoints without kpt_shape, which would be read as polygons",
        "policy",
        DROP_BOTH,
    ),
    "file-passed-over": Check("info", "a file was looked at and is not read", "never"),
    "label-missing": Check("info", "an image has no label file and counts as one without objects", "never"),
    "label-without-image": Check(
        "warning", "a label file belongs to no image", "never", "label file left out"
    ),
    "filename-differs": Check(
        "warning", "<filename> names another file than the annotation's own name", "never", "name put right"
    ),
    "image-inexact": Check(
        "warning",
        "an image is there under a name that is not quite the stated one",
        "never",
        "name put right",
    ),
    "size-invalid": Check(
        "warning", "the stated image size is not two positive numbers", "never", "size taken from the image"
    ),
    # Boxes.
    "box-shape": Check("error", "a box is not four numbers", "policy", DROP_BOTH),
    "box-nan": Check("error", "a box has a coordinate that is not finite", "never", DROP_BOTH),
    "box-swapped": Check(
        "error", "a box ends before it begins (corners swapped, or a negative size)", "never", DROP_BOTH
    ),
    "box-no-area": Check("error", "a box has no area", "never", DROP_BOTH),
    "box-off-image": Check("error", "a box lies wholly outside its image", "never", DROP_BOTH),
    "box-not-normalised": Check(
        "error", "a YOLO box is not given in fractions of the image", "never", DROP_BOTH
    ),
    "box-fractions": Check(
        "error",
        "all boxes are in fractions of the image, where the format has pixels",
        "policy",
        "boxes scaled",
    ),
    "box-corners": Check(
        "error",
        "all boxes are corners (xmin, ymin, xmax, ymax), where the format has x, y, width, height",
        "policy",
        "boxes read as corners",
    ),
    "outline-unreadable": Check(
        "warning", "an object's outline cannot be read; its box can", "never", "outline left out"
    ),
    "box-outside": Check("warning", "a box reaches beyond its image", "never", "box clipped"),
    # What only the doctor looks for: image files against what is said of them.
    "image-empty": Check("error", "the image file has no bytes", "never", DROP_IMAGE),
    "image-truncated": Check("error", "the image file ends before its picture does", "never", DROP_IMAGE),
    "size-differs": Check(
        "error",
        "the image has another size than the annotation says; its boxes may be off",
        "never",
        DROP_IMAGE,
    ),
    "exif-rotated": Check(
        "error", "the boxes seem made for the picture before EXIF turned it upright", "never", "boxes turned"
    ),
    "exif-orientation": Check(
        "info", "the image is turned by EXIF; tools that ignore it see it otherwise", "never"
    ),
    "extension-differs": Check("info", "the file's ending names another format than its content", "never"),
    "extension-mixed": Check("info", "the images have several kinds of ending", "never"),
    "name-case": Check(
        "warning", "two files differ in upper and lower case only and collide elsewhere", "never"
    ),
    "name-shared": Check("warning", "two images share one annotation file", "never"),
    "image-unlisted": Check("info", "images that lie with the others belong to no split", "never"),
    "annotation-unlisted": Check("info", "annotation files belong to no split", "never"),
    "image-without-objects": Check("info", "nothing is annotated on the image", "never"),
    # Boxes that can be read and are odd.
    "voc-zero-based": Check(
        "warning", "boxes begin at 0: the files seem to count pixels from 0, not from 1 as VOC does", "never"
    ),
    "box-tiny": Check("warning", "a box has a side shorter than two pixels", "never"),
    "box-whole-image": Check("info", "a box covers its whole image", "never"),
    "box-duplicate": Check("warning", "an object is annotated twice with the same box", "never", "kept once"),
    "box-two-classes": Check("warning", "the same box has two classes", "never"),
    # Classes and splits.
    "class-conflict": Check(
        "error", "two splits give one class id different names", "never", "classes numbered anew"
    ),
    "class-similar": Check("warning", "two class names differ only in case, spaces or hyphens", "never"),
    "class-unused": Check("warning", "a class has no object in any split", "never"),
    "class-missing": Check("warning", "a class has objects in other splits and none in this one", "never"),
    "class-imbalance": Check("info", "the commonest class has 50 times the objects of the rarest", "never"),
    "split-empty": Check("error", "a split has no image that can be used", "never", "split left out"),
    "split-overlap": Check(
        "error", "an image is listed in two splits", "never", "kept in the split that measures"
    ),
    # The same picture twice.
    "leak-identical": Check(
        "error", "two splits have the same picture, byte for byte", "never", "kept in the split that measures"
    ),
    "leak-near": Check("warning", "two splits have pictures that look alike", "never"),
    "image-identical": Check("warning", "a split has the same picture twice, byte for byte", "never"),
    "image-near": Check("info", "a split has pictures that look alike", "never"),
    # About the doctor.
    "check-crashed": Check("warning", "a check failed by a defect of boxwright; the others ran", "never"),
}


def finding(check: str, file: Path | str, where: str, message: str) -> Finding:
    """A finding with the severity and the fix that the table gives its check."""
    entry = CHECKS[check]
    return Finding(check, entry.severity, str(file), where, message, entry.fix)
