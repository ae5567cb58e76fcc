"""Where a training begins: fresh, with published weights, or from a detector that was trained before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from boxwright.errors import InputError
from boxwright.manifest import KEY
from boxwright.model import Model, create
from boxwright.modelfile import read_model
from boxwright.regular import open_regular
from boxwright.training.state import PREFIX
from boxwright.weights.read import copy_fitting

WORDS = ("auto", "imagenet", "coco", "none")
"""Weights that are no file's."""


def begin(
    name: str,
    *,
    classes: Sequence[str],
    ids: Sequence[int],
    weights: str,
    settings: Mapping[str, Any],
    resuming: bool,
    say: Callable[[str], None],
) -> Model:
    """A recipe's model, as it is before the first step.

    Args:
        name: the recipe's.
        classes, ids: of the data set.
        weights: one of `WORDS`, a file for the backbone, or the file of a trained model of this recipe.
        settings: changed settings of the recipe, by field.
        resuming: no weights are looked for, since the run brings its own.
        say: receives the line that tells where the weights came from, and the progress of a download.

    Raises:
        InputError: unknown name or setting, weights that are missing or of another network, or a download that
            fails.
    """
    trained = weights not in WORDS and is_model_file(Path(weights))
    model = create(
        name,
        classes=classes,
        ids=ids,
        weights=None if resuming or trained or weights == "none" else weights,
        settings=settings,
        say=say,
    )
    if trained and not resuming:
        say(start_from(model, Path(weights)))
    return model


def is_model_file(path: Path) -> bool:
    """Whether a file's header says that boxwright wrote it; whether it is whole shows when it is read."""
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            return f'"{KEY}"'.encode() in file.read(min(length, 100_000_000))
    except OSError:
        return False


def start_from(model: Model, path: Path) -> str:
    """Copy every weight of the same name and shape out of a trained model's file.

    Returns:
        One line that says what was taken and what starts fresh.

    Raises:
        InputError: missing or damaged, or a model of another recipe.
    """
    file = read_model(path)
    if file.manifest.recipe != model.manifest.recipe:
        raise InputError(
            f"holds a {file.manifest.recipe}", path=path, hint=f"train with --model {file.manifest.recipe}"
        )
    same_classes = file.manifest.classes == model.manifest.classes
    fresh = copy_fitting(model.net, {name: torch.from_numpy(array) for name, array in file.tensors.items()})
    own = model.net.state_dict()
    unknown = [name for name in file.tensors if name not in own and not name.startswith(PREFIX)]
    if same_classes and (fresh or unknown):
        raise InputError(
            f"does not fit ({len(fresh)} tensors missing or of another shape)",
            path=path,
            hint="give the same --set model.KEY=VALUE as it was trained with",
        )
    rest = f"; {len(fresh)} tensors of the head start fresh" if fresh else ""
    return f"weights from {path}{rest}"
