"""A small network and small pictures, for tests that turn one into features by the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cluster.extractor import Extractor, build_graph

SIDE = 20


@pytest.fixture(scope="session")
def graph() -> bytes:
    """VGG-11 up to its second block, with fresh weights."""
    return build_graph("vgg11", "conv2", "mean", SIDE, "none")


@pytest.fixture(scope="session")
def extractor(graph: bytes) -> Extractor:
    return Extractor(graph, threads=1)


def picture(path: Path, seed: int, size: tuple[int, int] = (18, 25)) -> Path:
    """A picture unlike those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine pictures in three folders."""
    for number in range(9):
        picture(tmp_path / "pictures" / f"kind{number % 3}" / f"{number}.png", number)
    return tmp_path / "pictures"
