"""Pictures as a trained network sees them: perceptual losses, and what is made by them.

Importing this imports no torch, so that exported networks run without it: names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwright.perceptual.loss import (
        FeatureDistance,
        PerceptualLoss,
        PerceptualTargets,
        PerceptualTerms,
        RelativeDistance,
    )

__all__ = ["FeatureDistance", "PerceptualLoss", "PerceptualTargets", "PerceptualTerms", "RelativeDistance"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'boxwright.perceptual' has no attribute {name!r}")
    from boxwright.perceptual import loss

    return getattr(loss, name)
