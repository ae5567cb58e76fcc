"""One gate before the first step: whether there is anything to learn."""

from __future__ import annotations

from boxwright.data.records import Dataset
from boxwright.errors import InputError


def learnable(train: Dataset, val: Dataset) -> tuple[str, ...]:
    """See that images have objects that can be learned.

    Args:
        train, val: the images to train on and to validate with.

    Returns:
        Warnings: classes without an object, validation images without any.

    Raises:
        InputError: no object at all, or none that is not crowd or difficult.
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
    warnings = []
    if empty:
        shown = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        warnings.append(f"no training image has an object of {shown}")
    if not val.counts().sum():
        warnings.append(
            "no validation image has an object: accuracy cannot be measured, the last weights are kept"
        )
    return tuple(warnings)
