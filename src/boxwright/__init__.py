"""boxwright: object detection's classical lineage, trained on your own images, measured, explained and shipped.

Importing this imports nothing else: each name below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwright.data import open_dataset, splits
    from boxwright.errors import InputError
    from boxwright.images import read_image
    from boxwright.loading import load
    from boxwright.model import Model, create
    from boxwright.results import Result
    from boxwright.training import train

__version__ = "0.1.0"

_HOME = {
    "InputError": "boxwright.errors",
    "Model": "boxwright.model",
    "Result": "boxwright.results",
    "create": "boxwright.model",
    "load": "boxwright.loading",
    "open_dataset": "boxwright.data",
    "read_image": "boxwright.images",
    "splits": "boxwright.data",
    "train": "boxwright.training",
}

__all__ = ["InputError", "Model", "Result", "create", "load", "open_dataset", "read_image", "splits", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'boxwright' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
