"""What the training of a network that is no detector writes and shows while it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from boxwright.draw import write_picture
from boxwright.files import write_bytes
from boxwright.modelfile import write_model
from boxwright.training import state
from boxwright.training.display import Display
from boxwright.training.distributed import Team
from boxwright.training.journal import BEST, LAST, clear, need
from boxwright.training.pace import Pace, means
from boxwright.training.record import Events, Metrics, write_run
from boxwright.training.settings import DescentSettings
from boxwright.training.task import Task

PREVIEW = "preview.png"


class TaskJournal:
    """Keeps the record of a run; only the first of several processes writes.

    Args:
        task: what is learned.
        settings: how.
        moving: what changes.
        team: this process among others.
        out: the run's folder.
        facts: what a continuation must agree on.
        show: what a person sees.
        resume: take the state from the folder's `last`.
        overwrite: remove another run that is in the folder.

    Raises:
        InputError: the folder holds a run and neither was asked for, or nothing to resume.
    """

    def __init__(
        self,
        task: Task,
        settings: DescentSettings,
        moving: state.Moving[nn.Module],
        team: Team,
        out: Path,
        facts: dict[str, Any],
        show: Display,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self._task, self._settings, self._moving, self._team = task, settings, moving, team
        self._out, self._facts, self._show = out, facts, show
        if resume:
            need(out / LAST, team)
            state.read_last(team.shared(out / LAST), moving, facts)
        elif team.first:
            clear(out, overwrite)

    def __enter__(self) -> TaskJournal:
        progress, first = self._moving.progress, self._team.first
        self._saved = time.monotonic()
        self._events = Events(self._out / "tb", progress.iteration) if first else None
        self._pace = Pace(self._settings, self._task.count, progress, self._show, self._events)
        if not first:
            return self
        self._metrics = Metrics(self._out / "metrics.csv", progress.iteration)
        if progress.iteration:
            total = self._settings.total(self._task.count)
            self._show.say(f"resuming after iteration {progress.iteration} of {total}")
        else:
            write_run(self._out / "run.json", self._described())
            self.save()
        return self

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()

    def stepped(self, losses: Mapping[str, float], lr: float, seconds: float) -> None:
        """Take in one iteration: its losses, its learning rate and how long it took."""
        self._pace.stepped(losses, lr, seconds)

    def measured(self, figures: Mapping[str, float], picture: np.ndarray | None) -> None:
        """Take in a validation; the best weights so far are written, with their picture."""
        task, progress = self._task, self._moving.progress
        sign = 1.0 if task.larger else -1.0
        better = progress.note(*self._team.agree(sign * figures[task.figure], 0.0))
        if self._events is None:
            return
        if better:
            notes = {**task.card.notes, **figures, "iteration": progress.iteration}
            tensors = state.arrays(self._moving.best_net)
            previous = self._out / "best.previous.safetensors"
            write_model(self._out / BEST, tensors, replace(task.card, notes=notes), keep=previous)
        if picture is not None:
            write_picture(self._out / PREVIEW, picture)
        before = f"best {sign * (progress.best or 0.0):.4g} at iteration {progress.best_iteration}"
        said = [f"{name} {value:.4g}" for name, value in figures.items()]
        self._show.figure("  ".join([*said, f"({'the best so far' if better else before})"]))
        row = {
            "iteration": progress.iteration,
            "epoch": self._settings.epoch(progress.iteration, task.count),
            "seconds": progress.seconds,
            **means(progress.since),
            **{f"val_{name}": value for name, value in figures.items()},
        }
        self._metrics.add(row)
        self._events.add("val", figures, progress.iteration)
        _curves(self._metrics.rows, task.figure, self._out / "curves.png")
        progress.since = {}

    def save(self) -> None:
        """Write `last`."""
        if self._team.first:
            state.write_last(self._out / LAST, self._moving, self._task.card, self._facts)
        self._saved = time.monotonic()

    @property
    def save_is_due(self) -> bool:
        """Whether so many minutes have passed since the last one."""
        return time.monotonic() - self._saved > 60 * self._settings.save_minutes

    @property
    def patience_is_over(self) -> bool:
        """Whether the figure has not become better for too long."""
        return bool(self._settings.patience) and self._moving.progress.stale >= self._settings.patience

    def _described(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        return {
            "task": self._task.card.task,
            "settings": dict(self._task.card.settings),
            "train": asdict(self._settings),
            "examples": self._task.count,
            "iterations": self._settings.total(self._task.count),
            "processes": self._team.world,
            "norms": self._facts["norms"],
            "device": str(self._team.device),
            "threads": torch.get_num_threads(),
            "warnings": list(self._task.warnings()),
            "parameters": sum(p.numel() for p in self._task.net.parameters()),
        }


def _curves(rows: list[dict[str, float]], figure: str, path: Path) -> None:
    """The loss, and the figure that chooses, over a run."""
    from matplotlib.figure import Figure  # an extra that only this needs

    page = Figure(figsize=(9, 3.2))
    axes = page.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.98, "bottom": 0.15})
    shown = {"loss": "training loss", f"val_{figure}": f"{figure}, validation"}
    for one, (name, title) in zip(axes, shown.items(), strict=True):
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        one.plot([x for x, _ in points], [y for _, y in points], marker=".")
        one.set_xlabel("epoch")
        one.set_title(title)
        one.grid(alpha=0.3)
    file = BytesIO()
    page.savefig(file, format="png", dpi=110)
    write_bytes(path, file.getvalue())
