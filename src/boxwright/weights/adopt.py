"""A foreign detector's tensors, once they bear our names, in a model of ours that acts as the original."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from boxwright.errors import InputError
from boxwright.model import Model, assemble
from boxwright.preprocess import Filter, Order
from boxwright.recipes.recipe import Parts
from boxwright.weights.read import copy_strictly, with_counters


def adopted(
    recipe: str,
    origin: str,
    settings: Any,
    state: Mapping[str, Tensor],
    *,
    ids: Sequence[int],
    filter: Filter,
    order: Order,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    frozen_eps: float = 0.0,
) -> Model:
    """A model with these tensors, in eval mode, that shows all that the original shows.

    Args:
        recipe: ours that has the same parts.
        origin: the original's name, for errors.
        settings: the recipe's, with the original's ways.
        state: tensors by our names.
        ids: the original's numbers of the classes, one for each column but background.
        filter, order: the original's way to resize and normalise.
        mean, std: the original's where they are not the recipe's.
        frozen_eps: what the original's norms add to the variance where the file was trained with frozen ones.

    Raises:
        InputError: tensors that are not this network's.
    """
    if not ids:
        raise InputError(f"not a {origin}: no classification head", path=origin)
    if _frozen(state) and hasattr(settings, "norm_eps"):
        # As the files have it that were trained with frozen norms; it travels in the manifest.
        settings = replace(settings, norm_eps=frozen_eps)
    model = assemble(recipe, tuple(f"class {i}" for i in ids), settings, ids)
    copy_strictly(model.net, with_counters(state), origin)
    preprocess = replace(model.preprocess, filter=filter, order=order)
    if mean is not None and std is not None:
        preprocess = replace(preprocess, mean=mean, std=std)
    manifest = replace(model.manifest, preprocess=preprocess, score=settings.floor)
    model.net.eval()
    return Model(Parts(model.net, model.objective, model.decoder, preprocess), manifest)


def _frozen(state: Mapping[str, Tensor]) -> bool:
    ends = {key.rsplit(".", 1)[-1] for key in state}
    return "running_var" in ends and "num_batches_tracked" not in ends


def rename(state: Mapping[str, Tensor], patterns: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Tensors by new names.

    Args:
        state: tensors by the original's names.
        patterns: beginnings of names as regular expressions, with what stands in their place; the first that fits
            counts. What none fits keeps its name, for the strict copy to report.
    """
    renamed = {}
    for key, value in state.items():
        for pattern, name in patterns:
            new, found = re.subn(f"^{pattern}", name, key)
            if found:
                key = new
                break
        renamed[key] = value
    return renamed
