"""One line of the table, and where the value that it speaks of is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Row:
    """A setting as published and as it is here.

    Attributes:
        subject: a recipe's name, or what else is published.
        setting: in words.
        paper: its value, and the section that says so; "-" where the paper does not.
        released: its value in the program that the authors released; "-" where there is none or it does not say.
        key: where ours is read: "settings.iou", "train.lr", "augment", "objective..." or "net..." of the recipe, or
            "package.module:NAME.attribute".
        ours: its value.
        why: why it differs from both, or from the one that it does not follow; "" where it differs from neither.
    """

    subject: str
    setting: str
    paper: str
    released: str
    key: str
    ours: Any
    why: str = ""


def read(row: Row) -> Any:
    """The value that a row speaks of, as the code has it now."""
    if ":" in row.key:
        module, _, path = row.key.partition(":")
        return _follow(import_module(module), path)
    return _follow(_recipe(row.subject), row.key)


@cache
def _recipe(name: str) -> Any:
    """A recipe, with the parts that it builds beside its settings; no memory is taken for weights."""
    import torch

    from boxwright.recipes import find

    recipe = find(name)
    with torch.device("meta"):
        parts = recipe.build(20, recipe.settings)
    return {
        **{name: getattr(recipe, name) for name in ("settings", "train", "augment", "scheme")},
        **{name: getattr(parts, name) for name in ("net", "objective", "decoder", "preprocess")},
    }


def _follow(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value
