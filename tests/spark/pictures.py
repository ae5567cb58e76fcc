"""Small pictures with names and contents that are hard on a file source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ODD = (
    "a b.jpg",
    "c%20d.png",
    "e[1].jpg",
    "f#.png",
    "é.JPG",
    "sub/i*{x}?.png",
    "_under/j.jpg",
    "k\\l.png",
    "x=1.jpg",
    # Spark's own reader passes over names like these.
    "_DSC0001.JPG",
    "sub/_h [1].png",
    "c:d.jpg",
    "12:30/e.jpg",
)


def photograph(path: Path, seed: int) -> Path:
    """A picture of a few soft colours, unlike that of another seed."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3)).astype(np.uint8))
    coarse.resize((int(rng.integers(40, 60)), int(rng.integers(40, 60)))).save(path)
    return path


def photographs(folder: Path, count: int) -> Path:
    """`count` pictures in two folders."""
    for number in range(count):
        photograph(folder / f"{'even' if number % 2 == 0 else 'odd'}/{number:03d}.jpg", number)
    return folder
