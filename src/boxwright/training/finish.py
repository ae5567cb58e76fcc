"""The end of a run: the best weights get their thresholds, and a report is written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from boxwright.evaluate.report import Report, evaluate
from boxwright.manifest import Manifest
from boxwright.model import Model
from boxwright.modelfile import read_model, write_model
from boxwright.training.journal import BEST, LAST, Journal
from boxwright.training.pictures import curves
from boxwright.training.record import add_to_run
from boxwright.training.setup import Run
from boxwright.training.validate import validate


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        out: its folder.
        best, last: the files.
        model: holds the weights of `best`, with the thresholds that were best on the validation images.
        report: of `best` on the validation images; `report.html` and `report.json` in `out`.
        iterations: done in all.
        seconds: spent in all, over all parts of a resumed run.
        broken: files that could not be read, with the reason.
        warnings: what a person should know before using the weights.
    """

    out: Path
    best: Path
    last: Path
    model: Model
    report: Report
    iterations: int
    seconds: float
    broken: dict[str, str]
    warnings: tuple[str, ...] = ()


def finish(run: Run, journal: Journal) -> TrainResult:
    """Give the best weights to the model, choose its thresholds and write the report."""
    out, model, progress = run.plan.out, run.plan.model, run.moving.progress
    kept = read_model(run.team.shared(out / BEST))
    weights = {name: torch.from_numpy(value) for name, value in kept.tensors.items()}
    run.best_net.load_state_dict(weights)
    model.net.load_state_dict(weights)
    model.net.eval()
    # A resumed run has not seen the validation of a best that was found before.
    measured = journal.best_validation or validate(run, run.validation_batches())
    facts = {"model": kept.manifest.recipe, "file": BEST, "iteration": str(progress.best_iteration)}
    first = run.team.first
    warnings = [*progress.warnings, *_unread(len(run.broken))]
    report = run.team.told(
        evaluate(run.plan.val, measured.results, model_facts=facts, notes=warnings) if first else None
    )
    assert report is not None
    model.manifest = with_thresholds(kept.manifest, report)
    if first:
        write_model(out / BEST, kept.tensors, model.manifest)
        report.save(out)
        add_to_run(out / "run.json", {"warnings": list(warnings)})
        curves(journal.rows, out / "curves.png")
    run.team.wait()
    return TrainResult(
        out=out,
        best=out / BEST,
        last=out / LAST,
        model=model,
        report=report,
        iterations=progress.iteration,
        seconds=progress.seconds,
        broken=dict(run.broken),
        warnings=tuple(warnings),
    )


def _unread(images: int) -> list[str]:
    return [f"{images} images could not be read and are left out"] if images else []


def with_thresholds(manifest: Manifest, report: Report) -> Manifest:
    """The manifest with the thresholds of the best F1: of all classes together, and of each.

    A class of which nothing was found takes the common one; where nothing was found at all, all stay as they
    are.
    """
    common = report.best.threshold
    if math.isnan(common):
        return manifest
    each = (row.best.threshold for row in report.classes)
    return replace(
        manifest, score=common, thresholds=tuple(common if math.isnan(value) else value for value in each)
    )
