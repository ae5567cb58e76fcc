"""Writes COCO: `annotations/instances_SPLIT.json`, and the images in a folder for each split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from boxwright.data.formats.coco import CONTENT_KEYS, IMAGE_KEYS, OBJECT_KEYS, PREFIX
from boxwright.data.formats.writers.placing import (
    Images,
    Watch,
    as_splits,
    image_names,
    place,
    plain,
    quietly,
    safe,
    size_of,
)
from boxwright.data.records import Dataset, Sample
from boxwright.files import write_text


def write(
    data: Dataset | Sequence[Dataset], folder: Path, *, images: Images = "copy", watch: Watch = quietly
) -> None:
    """Write a data set, or its splits, with the images.

    Ids of images and objects are kept where those of a split are all there and all different; otherwise they
    are numbered from 1.

    Args:
        data: the data set, or one for each split, all with the same classes.
        folder: where to write; images go to `folder/SPLIT`, or `folder/images` if there is no split. Those
            that are there already stay as they are.
        images: "copy" or "link" them.
        watch: passes the images on as they are written, and shows it.
    """
    splits = as_splits(data)
    names = image_names(splits)
    for split in splits:
        place_folder = folder / (safe(split.split) if split.split else "images")
        for sample in watch(split, "writing"):
            place(sample.path, place_folder / names[sample.path], images)
        file = f"{PREFIX}{safe(split.split)}.json" if split.split else "instances.json"
        write_text(folder / "annotations" / file, json.dumps(content(split, names), default=str) + "\n")


def content(split: Dataset, names: Mapping[Path, str]) -> dict[str, Any]:
    """The object that a COCO file of this split holds, given the images' file names."""
    extras = split.info.get("categories", {})
    image_ids = _image_ids(split)
    object_ids = iter(
        _ids([identity for sample in split for identity in _object_ids(sample)], keep_text=True)
    )
    return {
        **{key: value for key, value in split.info.items() if key not in CONTENT_KEYS},
        "images": [_image(s, i, names[s.path]) for i, s in zip(image_ids, split, strict=True)],
        "annotations": [
            _annotation(sample, position, next(object_ids), image_id, split.ids)
            for image_id, sample in zip(image_ids, split, strict=True)
            for position in range(len(sample.labels))
        ],
        "categories": [
            {**extras.get(identity, {}), "id": identity, "name": name}
            for identity, name in zip(split.ids, split.classes, strict=True)
        ],
    }


def _image_ids(split: Dataset) -> list[int | str]:
    """The file's own ids; else numbers that keep their order, so that equal scores are evaluated alike."""
    said = [sample.image_id for sample in split]
    ids = _ids(said, keep_text=split.format == "coco")
    if ids is not said:
        for number, place in enumerate(split.id_order().tolist(), start=1):
            ids[place] = number
    return ids


def _ids(said: list[Any], keep_text: bool) -> list[int | str]:
    """The ids themselves if they identify; otherwise 1, 2, 3, ..."""
    kinds = (int, str) if keep_text else (int,)
    if all(isinstance(identity, kinds) for identity in said) and len(set(said)) == len(said):
        return said
    return list(range(1, len(said) + 1))


def _object_ids(sample: Sample) -> Sequence[Any]:
    return sample.object_ids or (None,) * len(sample.labels)


def _image(sample: Sample, identity: int | str, name: str) -> dict[str, Any]:
    size = size_of(sample)
    sides = {} if size is None else {"width": size[1], "height": size[0]}
    extra = {key: value for key, value in sample.extra.items() if key not in IMAGE_KEYS}
    return {"id": identity, "file_name": name, **sides, **extra}


def _annotation(
    sample: Sample, position: int, identity: int | str, image_id: int | str, ids: Sequence[int]
) -> dict[str, Any]:
    # Decimal differences: the width that was added to x in decimals comes back as it was.
    left, top, right, bottom = (Decimal(repr(float(value))) for value in sample.boxes[position])
    entry = {
        "id": identity,
        "image_id": image_id,
        "category_id": ids[int(sample.labels[position])],
        "bbox": [plain(float(value)) for value in (left, top, right - left, bottom - top)],
        "area": plain(float(sample.areas[position])),
        "iscrowd": int(sample.crowd[position]),
    }
    if sample.difficult[position]:
        entry["difficult"] = 1
    if sample.masks and sample.masks[position] is not None:
        entry["segmentation"] = sample.masks[position]
    others = sample.attributes[position] if sample.attributes else {}
    return {**entry, **{key: value for key, value in others.items() if key not in OBJECT_KEYS}}
