"""Starting from a detector that was trained before, on these classes or on others."""

from __future__ import annotations

from pathlib import Path

import torch

from boxwright.errors import InputError
from boxwright.manifest import KEY
from boxwright.model import Model
from boxwright.modelfile import read_model
from boxwright.training.state import PREFIX
from boxwright.weights.read import copy_fitting


def is_model_file(path: Path) -> bool:
    """Whether a file's header says that boxwright wrote it; whether it is whole shows when it is read."""
    try:
        with path.open("rb") as file:
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
