"""`train`: from a model and images to a run in its folder, in as many stages as the recipe's paper has."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.errors import printable
from boxwright.lock import locked
from boxwright.model import Model
from boxwright.recipes import RECIPES
from boxwright.recipes.recipe import Scheme
from boxwright.training.alternating import train_alternating
from boxwright.training.finish import TrainResult
from boxwright.training.gate import learnable
from boxwright.training.loop import train_net
from boxwright.training.settings import TrainSettings
from boxwright.training.setup import Plan, plan
from boxwright.training.stages import train_rcnn


@runtime_checkable
class Trainer(Protocol):
    """Trains a plan, in one descent or in stages, and measures."""

    def __call__(self, todo: Plan, *, resume: bool, overwrite: bool, device: str) -> TrainResult:
        """`train` says what the arguments are and what is raised."""
        ...


SCHEMES: dict[Scheme, Trainer] = {"descent": train_net, "stages": train_rcnn, "turns": train_alternating}
"""By what `Recipe.scheme` says."""


def train(
    model: Model | str,
    dataset: Dataset,
    *,
    val: Dataset | None = None,
    out: str | Path,
    settings: TrainSettings | None = None,
    augment: Augment | None = None,
    resume: bool = False,
    overwrite: bool = False,
    overfit_one_batch: bool = False,
    device: str = "auto",
) -> TrainResult:
    """Train a detector on a data set.

    Args:
        model: a model, whose weights are trained in place, or a recipe's name.
        dataset: the training images.
        val: the images that choose `best`; a held-out 15 % of `dataset` if not given.
        out: the run's folder: `best.safetensors`, `last.safetensors`, `metrics.csv`, `run.json`, pictures.
        settings: how; the recipe's own if not given.
        augment: how images are varied; the recipe's own if not given.
        resume: go on from `out`'s `last.safetensors`; all else must be as it was.
        overwrite: replace another run that is in `out`.
        overfit_one_batch: learn the first batch by heart, unvaried: a check of data and settings.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        Where the files are and what was reached. `model` holds the best weights then.

    Raises:
        InputError: data, settings or folder that cannot be used; an unreadable image unless they are skipped.
        DivergenceError: a loss that is not finite; `best` and `last` are those of before.
        Interrupted: Ctrl-C or SIGTERM; `last` holds all that is needed to go on.
    """
    todo = plan(model, dataset, val, Path(out), settings, augment, overfit=overfit_one_batch)
    todo = replace(todo, warnings=learnable(todo.train, todo.val))
    for line in todo.warnings:
        print(printable(f"warning: {line}"), file=sys.stderr)
    recipe = RECIPES.get(todo.model.manifest.recipe)
    scheme = SCHEMES["descent" if recipe is None or overfit_one_batch else recipe.scheme]
    with locked(todo.out):
        return scheme(todo, resume=resume, overwrite=overwrite, device=device)
