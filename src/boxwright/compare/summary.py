"""The comparison as one record: what each variant reached, what it costs, and what was held the same."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from boxwright.compare.record import Run, Speed


@dataclass(frozen=True)
class Row:
    """A variant with its runs.

    Attributes:
        label, recipe, changes: what it is.
        parameters, gflops: what it costs; a multiply-add is 2 operations.
        speed: of its network, or None where that was not taken.
        runs: all of them, failed ones too.
    """

    label: str
    recipe: str
    changes: tuple[str, ...]
    parameters: int
    gflops: float
    speed: Speed | None
    runs: tuple[Run, ...]

    @property
    def finished(self) -> list[Run]:
        """Those that came to an end."""
        return [run for run in self.runs if run.result is not None]

    def values(self, metric: str) -> list[float]:
        """A figure of each finished run."""
        return [
            run.result.figures[metric] for run in self.runs if run.result and metric in run.result.figures
        ]

    def seconds(self) -> list[float]:
        """Training time of each finished run."""
        return [run.result.seconds for run in self.runs if run.result]

    def pace(self) -> float:
        """Images a second in training, mean over runs."""
        return mean([run.images_per_second for run in self.finished])

    def told(self) -> tuple[str, ...]:
        """The recipe, and the changed settings that hold: of two for one key the later."""
        values = dict(change.split("=", 1) for change in self.changes)
        return (self.recipe, *(f"{key}={value}" for key, value in values.items()))


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables and the page say.

    Attributes:
        data: the data set's name.
        tested: which images the figures are of.
        question: what an ablation asks, or "".
        metrics: names of the figures, the first of which is plotted.
        rows: by variant.
        held: one line: what all variants had in common.
        notes: what a reader should know before believing the numbers.
        machine: where it ran, by name.
    """

    data: str
    tested: str
    question: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    held: str
    notes: tuple[str, ...]
    machine: dict[str, str]


def compare(
    runs: Sequence[Run], speeds: Mapping[str, Speed], *, data: str, question: str = "", voc: bool = False
) -> Comparison:
    """Put runs together.

    Args:
        runs: in the order of the tables.
        speeds: by label.
        data: the data set's name.
        question: what an ablation asks.
        voc: show VOC's 11-point AP too.
    """
    labels = list(dict.fromkeys(run.started.label for run in runs))
    rows = []
    for label in labels:
        own = tuple(run for run in runs if run.started.label == label)
        first = own[0].started
        rows.append(
            Row(label, first.recipe, first.changes, first.parameters, first.gflops, speeds.get(label), own)
        )
    done = [run.result for run in runs if run.result is not None]
    metrics = list(dict.fromkeys(name for result in done for name in result.figures)) or ["AP50"]
    if not voc and "VOC AP50" in metrics:
        metrics.remove("VOC AP50")
    tested = ", ".join(dict.fromkeys(f"{result.split} ({result.images} images)" for result in done))
    return Comparison(
        data,
        tested or "nothing yet",
        question,
        tuple(metrics),
        tuple(rows),
        held(runs),
        tuple(_notes(rows, runs)),
        {
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
        },
    )


def held(runs: Sequence[Run]) -> str:
    """One line that says what all variants had in common, and in which settings they differ."""
    facts = [run.started.facts for run in runs]
    keys = sorted({key for one in facts for key in one} - {"train.seed", "model", "classes"})
    differing = [key for key in keys if any(one.get(key) != facts[0].get(key) for one in facts[1:])]
    seeds = sorted({run.started.seed for run in runs})
    same_recipe = len({run.started.recipe for run in runs}) == 1
    parts = [f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"]
    if not any(key.startswith("the ") or key == "images" for key in differing):
        parts.insert(0, f"images ({facts[0].get('images')})")
    if "weights" not in differing:
        parts.append(f"starting weights ({facts[0].get('weights')})")
    shown = [
        key
        for key in differing
        if key.startswith(("train.", "augment.")) or (same_recipe and key.startswith("model."))
    ]
    what = "every setting" if same_recipe else "every setting of training and augmentation"
    parts.append(f"{what} but {', '.join(shown)}" if shown else what)
    return f"Held the same: {'; '.join(parts)}."


def shared(rows: Sequence[Row]) -> list[str]:
    """What all variants were told alike: recipe and changed settings."""
    first, *others = (row.told() for row in rows)
    return [one for one in first if all(one in other for other in others)]


def mean(values: Sequence[float]) -> float:
    """The mean, nan of nothing."""
    return statistics.fmean(values) if values else math.nan


def spread(values: Sequence[float]) -> float:
    """The standard deviation of a sample, nan where there are fewer than two values.

    >>> spread([1.0, 3.0]), spread([1.0])
    (1.4142135623730951, nan)
    """
    return statistics.stdev(values) if len(values) > 1 else math.nan


def _notes(rows: Sequence[Row], runs: Sequence[Run]) -> list[str]:
    notes = [
        "Milliseconds an image: the network with decoding and suppression, one image at a time on the CPU, "
        "the variants in turns, median; reading and resizing not counted."
    ]
    engines = dict.fromkeys(row.speed.engine for row in rows if row.speed)
    if len(engines) > 1:
        notes.append("* timed in eager torch, which is slower: the network cannot be exported.")
    if any(run.result and run.result.split == "val" for run in runs):
        notes.append(
            "The figures are of the images that chose each run's best weights, and flatter a little."
        )
    unfinished = sum(run.result is None and not run.failure for run in runs)
    if unfinished:
        notes.append(f"Runs that are not finished and not counted: {unfinished}.")
    return notes
