"""What a person sees of a run: a live bar on a terminal, plain lines in a file or a pipe."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOBase

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


@dataclass(frozen=True)
class Step:
    """Where a run stands.

    Attributes:
        iteration, total: done, and in all.
        epoch, epochs: passes over the images, done and in all.
        losses: means since the last line, by part.
        lr: learning rate.
        speed: images per second.
        remaining: seconds that the rest will take, validations included.
    """

    iteration: int
    total: int
    epoch: float
    epochs: float
    losses: Mapping[str, float]
    lr: float
    speed: float
    remaining: float

    def text(self) -> str:
        """One line.

        >>> Step(40, 390, 3.2, 30, {"loss": 4.0, "classification": 2.5}, 0.001, 9.4, 754.0).text()
        'epoch 3.2/30  loss 4.000  classification 2.500  lr 0.001  9.4 images/s  12:34 to go'
        """
        place = f"epoch {self.epoch:.1f}/{self.epochs:g}"
        return f"{place}  {self.parts()}  lr {self.lr:.3g}  {self.pace()}"

    def parts(self) -> str:
        """The losses."""
        return "  ".join(f"{name} {value:.3f}" for name, value in self.losses.items())

    def pace(self) -> str:
        """How fast, and how long still."""
        return f"{self.speed:.1f} images/s  {clock(self.remaining)} to go"


def clock(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> clock(62), clock(3723)
    ('1:02', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(ABC):
    """What a run tells a person."""

    @abstractmethod
    def say(self, text: str) -> None:
        """A line that stays."""

    @abstractmethod
    def step(self, step: Step, *, due: bool) -> None:
        """An iteration is done; `due` says that it is time for a plain line."""

    @abstractmethod
    def figure(self, text: str) -> None:
        """The last validation in a few words; shown until the next."""


class Lines(Display):
    """One plain line now and then."""

    def __init__(self, stream: TextIOBase | None = None) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        """A line, at once even into a pipe."""
        print(text, file=self._stream or sys.stdout, flush=True)

    def step(self, step: Step, *, due: bool) -> None:
        """A line when it is due."""
        if due:
            self.say(f"{step.iteration:>6}/{step.total}  {step.text()}")

    def figure(self, text: str) -> None:
        """A line."""
        self.say(text)


class Live(Display):
    """A bar that moves, with the last validation beside it.

    Attributes:
        bar: a context manager; the display is shown inside it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[step]}[bold]{task.fields[figure]}[/bold]\n{task.fields[losses]}"),
            console=console or Console(),
            refresh_per_second=2,
        )
        self._task = self.bar.add_task("", total=None, step="loading the first images", figure="", losses="")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.bar.console.print(text, highlight=False, markup=False)

    def step(self, step: Step, *, due: bool) -> None:
        """Move the bar."""
        place = f"epoch {step.epoch:.1f}/{step.epochs:g}  {step.pace()}  "
        self.bar.update(
            self._task, completed=step.iteration, total=step.total, step=place, losses=step.parts()
        )

    def figure(self, text: str) -> None:
        """Its first words beside the bar, and all as a line that stays."""
        self.bar.update(self._task, figure=text.split("  ")[0])
        self.say(text)


class Silent(Display):
    """Shows nothing: for processes other than the first."""

    def say(self, text: str) -> None:
        """Nothing."""

    def step(self, step: Step, *, due: bool) -> None:
        """Nothing."""

    def figure(self, text: str) -> None:
        """Nothing."""


@contextmanager
def shown(first: bool) -> Iterator[Display]:
    """A bar on a terminal, lines elsewhere, nothing where this is not the first process."""
    if not first:
        yield Silent()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        live = Live()
        with live.bar:
            yield live
