"""Training: a loop in plain torch and the parts it is made of, all of them public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwright.training.run import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    # Not at import: the workers that decode images import this package and need no torch.
    if name != "train":
        raise AttributeError(f"module 'boxwright.training' has no attribute {name!r}")
    from boxwright.training.run import train

    return train
