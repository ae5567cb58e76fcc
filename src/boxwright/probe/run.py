"""The probe: pictures, changes and representations put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.probe.changes import CHANGES, Canvas
from boxwright.probe.measure import Figure, Originals, summary
from boxwright.probe.representations import Representations

LEAST = 64
"""Smallest side of a window: of a smaller one too little is left of the shifts."""

Watch = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Representation:
    """One that was compared.

    Attributes:
        name: such as "conv5 mean".
        values: how many were compared.
        spread: the median distance between two pictures.
    """

    name: str
    values: int
    spread: float


@dataclass(frozen=True)
class Probed:
    """What the probe found.

    Attributes:
        network: the backbone, and where its weights are from.
        pictures, size, seed: how many pictures, seen through a window of how many pixels, drawn how.
        representations: the baselines, then tap by tap.
        figures: for each change, strength and representation.
        skipped: a line for each file that could not be read.
    """

    network: str
    pictures: int
    size: int
    seed: int
    representations: tuple[Representation, ...]
    figures: tuple[Figure, ...]
    skipped: tuple[str, ...]

    def figure(self, representation: str, change: str, strength: float) -> Figure:
        """The one figure.

        Raises:
            KeyError: that was not measured.
        """
        for one in self.figures:
            if (one.representation, one.change, one.strength) == (representation, change, strength):
                return one
        raise KeyError((representation, change, strength))


def probe(
    files: Sequence[Path],
    network: str,
    represent: Representations,
    *,
    size: int = 160,
    count: int = 200,
    seed: int = 0,
    watch: Watch = lambda items, _: items,
) -> Probed:
    """Change pictures and measure how far each representation moves.

    The same arguments give the same figures on the same machine.

    Args:
        files: pictures; `count` of those that can be read are drawn.
        network: what to call it.
        represent: the backbone and how it is looked at.
        size: side of the square window that it sees, at least 64.
        count: pictures at most.
        seed: of the draw.
        watch: sees the items of each stage pass, with a label.

    Raises:
        InputError: the size is too small, or fewer than two files can be read.
    """
    if size < LEAST:
        raise InputError(f"a window of {size} pixels is too small", hint=f"take at least {LEAST}")
    canvases, skipped = _read(files, size, count, seed, watch)
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    for number in watch(range(0, len(canvases), represent.batch), "unchanged"):
        windows = np.stack([canvas.window() for canvas in canvases[number : number + represent.batch]])
        for name, part in represent(windows).items():
            rows[name].append(part)
    originals = {name: Originals.of(np.concatenate(rows.pop(name))) for name in represent.names}
    todo = [(change, strength) for change in CHANGES for strength in change.fitting(size)]
    compared: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for own, canvas in enumerate(watch(canvases, "changed")):
        changed = represent(np.stack([change.make(canvas, strength) for change, strength in todo]))
        for name, versions in changed.items():
            compared[name].append(originals[name].compare(versions, own))
    figures = []
    for name in represent.names:
        moved, found = (np.stack(values) for values in zip(*compared[name], strict=True))
        for column, (change, strength) in enumerate(todo):
            figures.append(summary(name, change.name, strength, moved[:, column], found[:, column]))
    shown = tuple(Representation(name, one.rows.shape[1], one.spread) for name, one in originals.items())
    return Probed(network, len(canvases), size, seed, shown, tuple(figures), tuple(skipped))


def _read(
    files: Sequence[Path], size: int, count: int, seed: int, watch: Watch
) -> tuple[list[Canvas], list[str]]:
    """Canvases of the first `count` files, in an order drawn at random, that can be read."""
    order = np.random.default_rng(seed).permutation(len(files))
    canvases: list[Canvas] = []
    skipped = []
    for number in watch(order.tolist(), "reading"):
        if len(canvases) == count:
            break
        try:
            canvases.append(Canvas.of(read_image(files[number]), size))
        except InputError as error:
            skipped.append(str(error))
    if len(canvases) < 2:
        said = f"; {skipped[0]}" if skipped else ""
        raise InputError(
            f"{len(canvases)} of {len(files)} pictures can be read, and the probe compares at least 2{said}",
            hint="name a folder with more pictures",
        )
    return canvases, skipped
