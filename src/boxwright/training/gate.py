"""One gate before the first step: whether there is anything to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from boxwright.data.records import Dataset
from boxwright.errors import InputError, some

Pictures = Float32[np.ndarray, "picture 3 height width"]

_VISIBLE = 1 / 255
"""Values in [0, 1] that differ by less are one in a file."""


def learnable(train: Dataset, val: Dataset) -> tuple[str, ...]:
    """See that images have objects that can be learned.

    Args:
        train, val: the images to train on and to validate with.

    Returns:
        Warnings: classes without an object, validation images without any.

    Raises:
        InputError: no object at all, none that is not crowd or difficult, or labelled images of one class alone.
    """
    counts = train.counts()
    if not counts.sum():
        ignored = sum(int(sample.ignore.sum()) for sample in train)
        why = f"all {ignored} objects are crowd or difficult" if ignored else "no image has an object"
        looked = next(
            (f": {found.message}" for found in train.findings if found.check == "labels-missing"), ""
        )
        raise InputError(
            f"nothing to learn: {why} on {len(train)} training images{looked}",
            path=train.root,
            hint="boxwright check says what was read and where labels were looked for",
        )
    empty = [name for name, count in zip(train.classes, counts.tolist(), strict=True) if not count]
    if train.labelled and len(train.classes) - len(empty) < 2:
        (only,) = set(train.classes) - set(empty)
        raise InputError(
            f"nothing to learn: all {len(train)} training images are of the class {only}",
            path=train.root,
            hint="give images of two classes or more",
        )
    warnings = []
    if empty:
        warnings.append(f"no training image has an object of {some(empty)}")
    if not val.counts().sum():
        warnings.append(
            "no validation image has an object: accuracy cannot be measured, the last weights are kept"
        )
    return tuple(warnings)


def see_detail(pictures: Pictures, root: Path) -> None:
    """See that pictures show something.

    Args:
        pictures: some of those to learn from.
        root: where they are.

    Raises:
        InputError: each has one colour alone.
    """
    if (np.ptp(pictures, axis=(2, 3)) < _VISIBLE).all():
        raise InputError(
            f"nothing to learn: each of {len(pictures)} pictures that were looked at has one colour alone",
            path=root,
            hint="give pictures that show something",
        )


def see_variety(pictures: Pictures, root: Path) -> None:
    """See that pictures differ.

    Args:
        pictures: some of those to learn from.
        root: where they are.

    Raises:
        InputError: they are all alike.
    """
    if len(pictures) > 1 and (np.ptp(pictures, axis=0) < _VISIBLE).all():
        raise InputError(
            f"nothing to learn: {len(pictures)} pictures that were looked at are all alike",
            path=root,
            hint="give pictures that differ",
        )
