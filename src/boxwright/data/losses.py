"""What a format cannot hold, counted before it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from boxwright.data.formats.coco import CONTENT_KEYS, IMAGE_KEYS, OBJECT_KEYS
from boxwright.data.formats.trees import keeps
from boxwright.data.formats.voc import IMAGE_TAGS, OBJECT_TAGS
from boxwright.data.formats.writers.yolo import class_numbers, has_polygons
from boxwright.data.records import Dataset, Sample


def losses(splits: Sequence[Dataset], to: str) -> dict[str, int]:
    """How many of what would be lost by writing these splits as `to` ("coco", "voc", "yolo" or "csv").

    >>> from pathlib import Path
    >>> losses([Dataset((), ("cat",), (7,), Path())], "voc")
    {'class ids': 1}
    """
    found: Counter[str] = Counter()
    for split in splits:
        for sample in split:
            found.update(_of_sample(sample, to))
        found["details of the data set"] += sum(not _keeps_info(key, split.format, to) for key in split.info)
    ids = splits[0].ids
    kept = (
        to in ("coco", "csv") or (to == "yolo" and class_numbers(ids) == ids) or ids == tuple(range(len(ids)))
    )
    found["class ids"] = 0 if kept else len(ids)
    if to == "yolo":
        found["splits without a name (written as train)"] = sum(not split.split for split in splits)
        if has_polygons(splits):
            found["masks"] = 0
    return {what: number for what, number in found.items() if number}


def _of_sample(sample: Sample, to: str) -> dict[str, int]:
    own = (sample.boxes[:, 2] - sample.boxes[:, 0]) * (sample.boxes[:, 3] - sample.boxes[:, 1])
    others = [(key, value) for held in sample.attributes for key, value in held.items()]
    lost = {
        "attributes of objects": sum(not _keeps_attribute(key, value, to) for key, value in others),
        "details of images": sum(not _keeps_extra(key, value, to) for key, value in sample.extra.items()),
    }
    if to == "coco":
        return lost
    crowd = "crowd flags (written as difficult)" if to == "voc" else "crowd flags"
    return lost | {
        "masks": sum(mask is not None for mask in sample.masks),
        "areas that are not the box's": int((~np.isclose(sample.areas, own)).sum()),
        crowd: 0 if to == "csv" else int(sample.crowd.sum()),
        "difficult flags": int(sample.difficult.sum()) if to == "yolo" else 0,
        "ids of objects": sum(identity is not None for identity in sample.object_ids),
        "ids of images": int(isinstance(sample.image_id, int)),
    }


def _keeps_attribute(key: str, value: Any, to: str) -> bool:
    if to == "voc":
        return key not in OBJECT_TAGS and keeps(key, value)
    return to == "coco" and key not in OBJECT_KEYS


def _keeps_extra(key: str, value: Any, to: str) -> bool:
    if to == "voc":
        return key not in IMAGE_TAGS and keeps(key, value)
    return to == "coco" and key not in IMAGE_KEYS


def _keeps_info(key: str, source: str, to: str) -> bool:
    return (to == "coco" and (key == "categories" or key not in CONTENT_KEYS)) or (to == source == "yolo")
