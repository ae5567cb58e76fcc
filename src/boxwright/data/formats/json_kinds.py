"""Which tool's JSON a file is, told from its first level of keys without building what it holds."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Literal

from boxwright.regular import open_regular

Kind = Literal["coco", "createml", "labelstudio", "via", "labelme", "other"]

# In the order in which they are tried: keys that a kind must have, and those that it must not have.
_SIGNS: tuple[tuple[Kind, tuple[bytes, ...], tuple[bytes, ...]], ...] = (
    ("labelme", (b'"shapes"', b'"imagePath"'), ()),
    ("via", (b'"shape_attributes"',), ()),
    ("labelstudio", (b'"to_name"', b'"from_name"', b'"value"'), ()),
    ("createml", (b'"coordinates"', b'"annotations"', b'"label"'), (b'"categories"',)),
    ("coco", (b'"images"', b'"annotations"', b'"categories"'), (b'"segments_info"',)),
)
_REASONS = (
    ((b'"segments_info"',), "COCO's panoptic segments, which have no boxes"),
    ((b'"caption"',), "captions, not boxes"),
    ((b'"score"', b'"bbox"', b'"category_id"'), "detections of a model, not annotations"),
    ((b'"nbformat"',), "a notebook"),
)


def json_kind(file: Path) -> Kind:
    """What wrote the file; "other" if nothing that is known."""
    for kind, wanted, unwanted in _SIGNS:
        if _holds(file, wanted) and not any(_holds(file, (sign,)) for sign in unwanted):
            return kind
    return "other"


def why_not_coco(file: Path) -> str:
    """The reason, as a phrase, for which a JSON file is no COCO data set."""
    for signs, reason in _REASONS:
        if _holds(file, signs):
            return f"holds {reason}"
    missing = [
        name for name in ("images", "annotations", "categories") if not _holds(file, (f'"{name}"'.encode(),))
    ]
    if missing:
        return f"has no list {' and none of '.join(missing)}: not a COCO data set"
    return "is one of several COCO files, and its name says no split: name the file, or call it train, val or test"


def _holds(file: Path, signs: tuple[bytes, ...]) -> bool:
    try:
        with open_regular(file) as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            wide = content[:4].count(0) >= 2 or content[:2] in (b"\xff\xfe", b"\xfe\xff")
            if not wide:
                return all(content.find(sign) >= 0 for sign in signs)
            little = content[:2] == b"\xff\xfe" or content[1:2] == b"\0"
            coding = "utf-16-le" if little else "utf-16-be"
            return all(content.find(sign.decode().encode(coding)) >= 0 for sign in signs)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False
