"""What a run writes and shows while it goes on: checkpoints, tables, events, the display."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from torch import nn

from boxwright.errors import InputError
from boxwright.files import sweep
from boxwright.manifest import Manifest
from boxwright.modelfile import write_model
from boxwright.training.display import Display
from boxwright.training.distributed import Team
from boxwright.training.folder import claim
from boxwright.training.pace import Pace, means
from boxwright.training.pictures import first_batch
from boxwright.training.record import Events, Metrics, write_run
from boxwright.training.setup import Run
from boxwright.training.state import arrays, read_last, write_last
from boxwright.training.validate import Validation

BEST, LAST = "best.safetensors", "last.safetensors"
REPORT = ("report.html", "report.json", "curves.png", "first_batch.png", "preview.png", "not_finite.txt")
_OURS = (
    *(BEST, LAST, "best.previous.safetensors", "last.previous.safetensors", "metrics.csv", "run.json"),
    *REPORT,
)
_REPORTED = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR100", "accuracy", "top-5")

_OTHER = {"AP": "AP50", "AP50": "AP", "accuracy": "AP50"}


class Journal:
    """Keeps the record of a run; only the first of several processes writes.

    Args:
        run: the run.
        show: what a person sees.
        resume: take the state from the folder's `last`.
        overwrite: remove another run that is in the folder.

    Raises:
        InputError: the folder holds a run and neither was asked for, or nothing to resume.
    """

    def __init__(self, run: Run, show: Display, *, resume: bool, overwrite: bool) -> None:
        self.run, self.show, self.out = run, show, run.plan.out
        self.best_validation: Validation | None = None
        self._facts = {**run.plan.facts(), "processes": run.team.world, "norms": run.norms}
        self._told_broken = 0
        if resume:
            need(self.out / LAST, run.team)
            read_last(run.team.shared(self.out / LAST), run.moving, self._facts)
        elif run.team.first:
            clear(self.out, overwrite)

    def __enter__(self) -> Journal:
        progress = self.run.moving.progress
        self._saved = time.monotonic()
        first, plan = self.run.team.first, self.run.plan
        self._events = Events(self.out / "tb", progress.iteration) if first else None
        self._pace = Pace(plan.settings, len(plan.train), progress, self.show, self._events)
        if not first:
            return self
        self._metrics = Metrics(self.out / "metrics.csv", progress.iteration)
        if progress.iteration:
            self.show.say(f"resuming after iteration {progress.iteration} of {self.run.plan.total}")
        else:
            progress.warnings = list(self.run.plan.warnings)
            write_run(self.out / "run.json", self.run.described())
            first_batch(self.run, self.out / "first_batch.png")
            self.save()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def stepped(self, losses: Mapping[str, float], lr: float, seconds: float) -> None:
        """Take in one iteration: its losses, its learning rate and how long it took."""
        self._pace.stepped(losses, lr, seconds)

    def validated(self, measured: Validation) -> None:
        """Take in a validation; the best so far is written."""
        plan, progress = self.run.plan, self.run.moving.progress
        # The first decides for all.
        figures = (measured.metrics[plan.settings.select], measured.metrics[_OTHER[plan.settings.select]])
        better = progress.note(*self.run.team.agree(*figures))
        if better:
            self.best_validation = measured
        if self._events is None:
            return
        self.run.broken |= measured.broken
        if better:
            notes = self._notes(measured)
            previous = self.out / "best.previous.safetensors"
            write_best(self.out / BEST, self.run.best_net, plan.model.manifest, notes, keep=previous)
        self._tell(measured, better)
        row = {
            "iteration": progress.iteration,
            "epoch": plan.epoch(progress.iteration),
            "seconds": progress.seconds,
            **means(progress.since),
            **{f"val_{name}": value for name, value in measured.losses.items()},
            **{name: measured.metrics[name] for name in _REPORTED if name in measured.metrics},
            "best": progress.best or 0.0,
        }
        self._metrics.add(row)
        self._events.add("val", {**measured.losses, **measured.metrics}, progress.iteration)
        progress.since = {}

    def save(self) -> None:
        """Write `last`."""
        if self.run.team.first:
            write_last(self.out / LAST, self.run.moving, self.run.plan.model.manifest, self._facts)
        self._saved = time.monotonic()

    @property
    def rows(self) -> list[dict[str, float]]:
        """The validations so far, as `metrics.csv` has them."""
        return self._metrics.rows

    @property
    def save_is_due(self) -> bool:
        """Whether so many minutes have passed since the last one."""
        return time.monotonic() - self._saved > 60 * self.run.plan.settings.save_minutes

    @property
    def patience_is_over(self) -> bool:
        """Whether the figure has not become better for too long."""
        patience = self.run.plan.settings.patience
        return bool(patience) and self.run.moving.progress.stale >= patience

    def _notes(self, measured: Validation) -> dict[str, str | float]:
        plan, progress = self.run.plan, self.run.moving.progress
        figures = {f"val_{k}": v for k, v in measured.metrics.items() if k in _REPORTED and v == v}
        data: dict[str, str | float] = {"data": plan.train.root.name, "images": len(plan.train)}
        return {**data, "iteration": progress.iteration, **figures}

    def _tell(self, measured: Validation, better: bool) -> None:
        progress, select = self.run.moving.progress, self.run.plan.settings.select
        other = _OTHER[select]
        parts = [f"val {select} {measured.metrics[select]:.3f}", f"{other} {measured.metrics[other]:.3f}"]
        parts.append(f"loss {measured.losses.get('loss', float('nan')):.3f}")
        best = (
            "the best so far"
            if better
            else f"best {progress.best:.3f} at iteration {progress.best_iteration}"
        )
        self.show.figure("  ".join([*parts, f"({best})"]))
        if len(self.run.broken) > self._told_broken:
            self._told_broken = len(self.run.broken)
            self.show.say(f"{self._told_broken} images could not be read and are left out:")
            for path, reason in sorted(self.run.broken.items()):
                self.show.say(f"  {path}: {reason}")


def write_best(
    path: Path,
    net: nn.Module,
    manifest: Manifest,
    notes: Mapping[str, str | float],
    *,
    keep: Path | None = None,
) -> None:
    """A model file of these weights; `notes` join the manifest's."""
    described = replace(manifest, notes={**manifest.notes, **notes})
    write_model(path, arrays(net), described, keep=keep)


def clear(out: Path, overwrite: bool) -> None:
    """Make sure that the folder holds no other run; only what a run writes is ever removed."""
    if out.exists() and not out.is_dir():
        raise InputError("is a file, not a folder", path=out, hint="choose another --out")
    if ((out / LAST).exists() or (out / BEST).exists()) and not overwrite:
        raise InputError(
            "already holds a run",
            path=out,
            hint="go on with --resume, replace it with --overwrite, or choose another --out",
        )
    claim(out, _OURS, overwrite=overwrite)


def need(last: Path, team: Team) -> None:
    if not team.told(last.exists()):
        raise InputError("holds no run to resume", path=last.parent, hint="begin one without --resume")
    sweep(last.parent, _OURS)
