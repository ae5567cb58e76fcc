"""Writes labelled pictures as folders: what `check --fix` makes of such a data set. No boxes can be held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boxwright.data.formats.writers.placing import Images, Watch, as_splits, image_names, place, quietly
from boxwright.data.records import Dataset


def write(
    data: Dataset | Sequence[Dataset], folder: Path, *, images: Images = "copy", watch: Watch = quietly
) -> None:
    """Write each picture into the folder of its class, inside its split's folder where there are splits.

    Args:
        data: the data set, or one for each split; each picture has one label.
        folder: where to write.
        images: "copy" or "link" them.
        watch: passes the images on as they are written, and shows it.
    """
    splits = as_splits(data)
    names = image_names(splits)
    for split in splits:
        for sample in watch(split, "writing"):
            name = split.classes[int(sample.labels[0])]
            place(sample.path, folder / split.split / name / names[sample.path], images)
