"""How fast a run goes, and what its losses are meanwhile: the line that a person sees and TensorBoard's numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping

from boxwright.training.display import Display, Step
from boxwright.training.distributed import Team
from boxwright.training.loss_watch import LossWatch
from boxwright.training.record import Events
from boxwright.training.settings import DescentSettings
from boxwright.training.state import Progress

_SILENT = ("positives", "gradient")
"""Numbers of a step that are of no use on a line."""


class Pace:
    """Takes in iterations.

    Args:
        settings: of the run.
        images: in an epoch.
        progress: of the run; its seconds and its sums since the last validation are kept here.
        show: what a person sees.
        events: TensorBoard's; None for processes that write nothing.
    """

    def __init__(
        self,
        settings: DescentSettings,
        images: int,
        progress: Progress,
        show: Display,
        events: Events | None,
    ) -> None:
        self._settings, self._images, self._progress = settings, images, progress
        self._show, self._events = show, events
        self._began = time.monotonic()
        self._start, self._spent_before = progress.iteration, progress.seconds
        self._since_line: dict[str, float] = {}
        self._watch = LossWatch(progress)

    def stepped(self, losses: Mapping[str, float], lr: float, seconds: float) -> None:
        """Take in one iteration: its losses, its learning rate and how long it took."""
        settings, progress = self._settings, self._progress
        progress.position = progress.iteration * settings.images_per_iteration
        progress.seconds = self._spent_before + time.monotonic() - self._began
        told = {**losses, "steps": 1, "images": settings.images_per_iteration, "seconds": seconds}
        for sums in (self._since_line, progress.since):
            for name, value in told.items():
                sums[name] = sums.get(name, 0.0) + value
            sums["lr"] = lr
        if "loss" in losses and (warning := self._watch(losses["loss"], lr)):
            progress.warnings.append(warning)
            self._show.say(f"warning: {warning}")
        if self._events is None:
            return
        total = settings.total(self._images)
        due = progress.iteration % settings.log_every == 0 or progress.iteration == total
        found = means(self._since_line)
        self._show.step(
            Step(
                iteration=progress.iteration,
                total=total,
                epoch=settings.epoch(progress.iteration, self._images),
                epochs=round(settings.epoch(total, self._images), 1),
                losses={name: found[name] for name in losses if name not in _SILENT},
                lr=lr,
                speed=found["images_per_second"],
                remaining=self._remaining(total),
            ),
            due=due,
        )
        if due:
            self._events.add("train", found, progress.iteration)
            self._since_line = {}

    def _remaining(self, total: int) -> float:
        """Seconds that the rest will take at the pace so far, validations included."""
        progress, minutes = self._progress, self._settings.minutes
        done = progress.iteration - self._start
        rest = (time.monotonic() - self._began) / done * (total - progress.iteration)
        return min(rest, 60 * minutes - progress.seconds) if minutes else rest


def place_in(progress: Progress, settings: DescentSettings, total: int, team: Team) -> int:
    """How far a run's schedule is, in iterations; `total` when the run is over."""
    if not settings.minutes:
        return progress.iteration
    (seconds,) = team.agree(progress.seconds)
    return min(total, max(progress.iteration, int(total * seconds / (60 * settings.minutes))))


def means(sums: Mapping[str, float]) -> dict[str, float]:
    """Means of the losses over steps, the last learning rate, and images per second."""
    if not sums:
        return {}
    others = ("lr", "steps", "images", "seconds")
    found = {name: value / sums["steps"] for name, value in sums.items() if name not in others}
    return {**found, "lr": sums["lr"], "images_per_second": sums["images"] / sums["seconds"]}
