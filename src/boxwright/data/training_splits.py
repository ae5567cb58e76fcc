"""Which splits a training takes, decided in one place: `train` follows it, and `check` recommends nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boxwright.errors import InputError


@dataclass(frozen=True)
class Choice:
    """What a training takes.

    Attributes:
        train: the split to train on; None for everything, where nothing is split.
        val: the split to validate with; None to hold images of `train` out.
    """

    train: str | None
    val: str | None


def choose(there: Sequence[str], path: Path, val: str = "auto") -> Choice:
    """The splits that a training takes of those that there are.

    Args:
        there: their names.
        path: of the data set, for the errors.
        val: the split to validate with, or "auto".

    Raises:
        InputError: there are several splits, and none is called train.

    >>> choose(["train", "val", "test"], Path("cells"))
    Choice(train='train', val='val')
    >>> choose([], Path("cells"))
    Choice(train=None, val=None)
    """
    if len(there) > 1 and "train" not in there and "trainval" not in there:
        raise InputError(
            f"no split 'train' among {', '.join(there)}",
            path=path,
            hint="say which one by --train FILE or FOLDER, or call one of them train",
        )
    train = next((name for name in ("train", "trainval") if name in there), there[0] if there else None)
    if val == "auto":
        val = "val"
    return Choice(train, val if val in there and val != train else None)
