"""Discs on noise, with masks: the smallest thing that there is to segment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def disc_scene(seed: int, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and a mask that is true on its discs."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, bool)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for _ in range(5):
        row, column, radius = rng.integers(0, size[0]), rng.integers(0, size[1]), rng.integers(5, 9)
        mask |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    noise = rng.normal(0, 20, (*size, 3))
    picture = np.where(mask[..., None], (170, 120, 90), (90, 110, 140)) + noise
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def write_pairs(folder: Path, count: int, value: int = 255, size: tuple[int, int] = (48, 64)) -> Path:
    """Paired folders of such scenes."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture, mask = disc_scene(number, size)
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        Image.fromarray((mask * value).astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    return folder
