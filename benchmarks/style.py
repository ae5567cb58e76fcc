"""The feed-forward network of one style at 512 x 512 in ONNX Runtime; its weights do not matter to the time."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.timing import Figure, milliseconds
from boxwright.card import Card
from boxwright.perceptual.style_apply import Painter
from boxwright.perceptual.style_net import build, trace
from boxwright.perceptual.style_settings import StyleNetSettings
from boxwright.runtime.export_net import export_net


def painting() -> list[Figure]:
    """The default network, on two threads."""
    settings = asdict(StyleNetSettings())
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "style.onnx"
        export_net(build(settings), Card("style", settings), file, trace(settings))
        painter = Painter.open(file, threads=2)
        return [
            milliseconds(
                "painting 512 x 512 in one pass, 2 threads",
                lambda: painter([image]),
                target="< 1000",
                repeats=5,
            )
        ]
