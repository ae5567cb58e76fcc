"""The options about data that several commands have: where images are, and which files are which split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxwright.cli.console import tell

if TYPE_CHECKING:
    from boxwright.data.formats.options import ReadOptions
    from boxwright.data.open import Policy
    from boxwright.data.records import Dataset

_SPLITS = "Splits by hand"
_NAMED = "annotation file, list of images or folder; relative to here or to DATA."

Images = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="The folder that holds the images, if they are not found."),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links/--no-follow-links", help="Follow symbolic links that lead out of the data folder."
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Only these classes, between commas; the others' objects are left out."
    ),
]
Renames = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="The data's class OLD is class NEW (repeatable)."),
]
Train = Annotated[
    Path | None,
    typer.Option("--train", metavar="PATH", help=f"What to train on: {_NAMED}", rich_help_panel=_SPLITS),
]
Val = Annotated[
    Path | None,
    typer.Option("--val", metavar="PATH", help=f"What to validate with: {_NAMED}", rich_help_panel=_SPLITS),
]
Test = Annotated[
    Path | None,
    typer.Option("--test", metavar="PATH", help=f"What to test on: {_NAMED}", rich_help_panel=_SPLITS),
]


def named_splits(
    train: Path | None = None, val: Path | None = None, test: Path | None = None
) -> dict[str, Path]:
    """The splits that were named by hand."""
    given = {"train": train, "val": val, "test": test}
    return {split: path for split, path in given.items() if path is not None}


def chosen_classes(
    train: Dataset, val: Dataset, classes: str | None, renames: Sequence[str] | None
) -> tuple[Dataset, Dataset]:
    """Both with the classes that `--classes` and `--map` say; prints what is left out of each.

    Raises:
        InputError: a class that is not there, or splits that disagree on a class.
    """
    from boxwright.data.classes import ClassChoice, choose_classes
    from boxwright.data.open import unified

    choice = ClassChoice(classes, tuple(renames or ()))
    if choice == ClassChoice():
        return train, val
    parts = [choose_classes(part, choice) for part in unified([train, val])]
    for name, (_, lines) in zip(("train", "val"), parts, strict=True):
        for line in lines:
            tell(f"{name}: {line}")
    return parts[0][0], parts[1][0]


def open_training(
    data: Path,
    named: dict[str, Path],
    val_split: str,
    policy: Policy,
    options: ReadOptions,
    seed: int,
) -> tuple[Dataset, Dataset]:
    """The training and the validation images; says so when the latter are held out of the former.

    Args:
        data: the data set.
        named: splits named by hand, which come before those of the data set.
        val_split: "auto", the split that validates, or the part of the training images that is held out.
        policy: what a broken entry does.
        options: how the data set is read.
        seed: chooses what is held out.

    Raises:
        InputError: no data, no such split, or splits without one to train on.
    """
    from boxwright.data.hold_out import hold_out
    from boxwright.data.named import open_named
    from boxwright.data.open import open_dataset, splits, unified
    from boxwright.data.training_splits import choose
    from boxwright.errors import InputError
    from boxwright.training.settings import HELD_OUT

    def read(split: str | None) -> Dataset:
        return open_dataset(data, split, policy, images=options.images, follow_links=options.follow_links)

    parts = open_named(data, named, policy, options)
    there: Sequence[str] = () if "train" in named and "val" in named else splits(data)
    choice = choose(() if "train" in named else there, data, val_split)
    images = parts["train"] if "train" in parts else read(choice.train)
    if "val" in parts:
        train, val = unified([images, parts["val"]])
        return train, val
    wanted = "val" if val_split == "auto" and "val" in there else val_split
    if wanted in there and ("train" in parts or wanted != choice.train):
        return images, read(wanted)
    try:
        part = HELD_OUT if val_split == "auto" else float(val_split)
    except ValueError:
        known = ", ".join(name for name in there if name != choice.train) or "none beside the one to train on"
        raise InputError(
            f"no split {val_split!r} to validate with", path=data, hint=f"there: {known}"
        ) from None
    kept, held = hold_out(images, part, seed)
    tell(f"{len(held)} of {len(images)} images are held out for validation (seed {seed})")
    return kept, held
