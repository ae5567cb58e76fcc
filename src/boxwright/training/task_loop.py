"""The training loop of networks that are no detectors: style, super-resolution, auto-encoders, segmentation.

It is the detectors' loop with the same parts (settings, step, precision, means of weights, files, display); what is
learned, and from what, is a `Task`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.data.augment import sample_rng
from boxwright.errors import InputError, printable
from boxwright.files import write_text
from boxwright.lock import locked
from boxwright.modelfile import read_net
from boxwright.training import display, optim, state
from boxwright.training.distributed import Team, team
from boxwright.training.dropping import make_keyed
from boxwright.training.journal import BEST, LAST
from boxwright.training.loader import image_key, order
from boxwright.training.memory import keep_freed_memory
from boxwright.training.norms import describe, make_trainable
from boxwright.training.pace import place_in
from boxwright.training.record import add_to_run
from boxwright.training.settings import DescentSettings
from boxwright.training.step import take_step
from boxwright.training.stop import DivergenceError, Interrupted, StopRequest
from boxwright.training.task import Task
from boxwright.training.task_journal import TaskJournal

Examples = tuple[list[np.ndarray], list[str], list[int]]
"""The arrays of a batch, its files, and the keys of its examples."""
AHEAD = 2
"""Batches that are made beside the step that is taken."""


@dataclass(frozen=True)
class Trained:
    """What a run came to.

    Attributes:
        out: its folder.
        best, last: the files.
        net: holds the weights of `best`, in evaluation mode.
        card: of `best`; its notes hold the figures that `Task.measure` gave.
        iterations: done in all.
        seconds: spent in all, over all parts of a resumed run.
        warnings: what a person should know before using the weights.
    """

    out: Path
    best: Path
    last: Path
    net: nn.Module
    card: Card
    iterations: int
    seconds: float
    warnings: tuple[str, ...] = ()


def train_task(
    task: Task,
    settings: DescentSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
) -> Trained:
    """Train a network that is no detector.

    Args:
        task: what is learned; its network is trained in place.
        settings: how.
        out: the run's folder: `best.safetensors`, `last.safetensors`, `metrics.csv`, `run.json`, `curves.png`,
            `preview.png`.
        resume: go on from `out`'s `last.safetensors`; all else must be as it was.
        overwrite: replace another run that is in `out`.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: a folder, settings or a file that cannot be used.
        DivergenceError: a loss that is not finite; `best` and `last` are those of before.
        Interrupted: Ctrl-C or SIGTERM; `last` holds all that is needed to go on.
    """
    if task.count < 1:
        raise InputError("nothing to train on", hint="give a folder with images")
    for line in task.warnings():
        print(printable(f"warning: {line}"), file=sys.stderr)
    with (
        locked(out),
        team(device) as here,
        display.shown(here.first) as show,
        TaskRun(task, settings, here) as run,
        TaskJournal(
            task, settings, run.moving, here, out, _facts(task, settings, run), show, resume, overwrite
        ) as journal,
        StopRequest() as stop,
    ):
        try:
            run.fit(journal, stop)
        except DivergenceError as error:
            if here.first:
                write_text(out / "not_finite.txt", "\n".join(error.images) + "\n")
            raise
        except (Interrupted, InputError):
            journal.save()
            raise
        progress = run.moving.progress
        tensors, card = read_net(here.shared(out / BEST), task.card.task)
        task.net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
        task.net.eval()
        warnings = (*task.warnings(), *progress.warnings)
        if here.first:
            add_to_run(out / "run.json", {"warnings": list(warnings)})
        files = (out, out / BEST, out / LAST)
        return Trained(*files, task.net, card, progress.iteration, progress.seconds, warnings)


class TaskRun:
    """A task with its moving parts; a context manager that puts torch's settings back.

    Attributes:
        moving: network, optimiser, EMA, precision and progress: what `last` holds.
        keys: of the examples that the network is being fed, for its layers that drop.
        norms: how batch norms are computed: "own", "synchronised", "frozen" or "none".
    """

    def __init__(self, task: Task, settings: DescentSettings, here: Team) -> None:
        torch.manual_seed(settings.seed)
        if settings.batch % here.world:
            raise InputError(
                f"a batch of {settings.batch} cannot be shared by {here.world} processes",
                hint=f"choose a multiple of {here.world}",
            )
        self.task, self.settings, self.team = task, settings, here
        net = task.net.to(here.device, memory_format=self._layout)  # type: ignore[call-overload]
        make_trainable(net)
        here.same(net)
        self.keys = make_keyed(net)
        self.norms = describe(net, frozen=settings.freeze_norms, world=here.world)
        self.frozen = optim.freeze(net, settings.freeze, norms=settings.freeze_norms)
        self.moving: state.Moving[nn.Module] = state.begin(net, settings, here.device)
        self._stack = ExitStack()

    def __enter__(self) -> TaskRun:
        if self.settings.threads:
            self._stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(self.settings.threads)
        if self.team.device.type == "cpu":
            keep_freed_memory()
        self._makers = self._stack.enter_context(ThreadPoolExecutor(1, "boxwright-examples"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fit(self, journal: TaskJournal, stop: StopRequest) -> None:
        """Train from where the run stands to its end, measuring and saving on the way.

        Raises:
            Interrupted: after a batch, when asked to stop.
        """
        progress, settings = self.moving.progress, self.settings
        total = settings.total(self.task.count)
        batches = self._batches(progress.iteration * settings.accumulate, total * settings.accumulate)
        self.frozen.train(self.moving.net)
        while True:
            place = place_in(progress, settings, total, self.team)
            due = settings.validates(progress.iteration, self.task.count) or place >= total
            if due and progress.validated < progress.iteration:
                journal.measured(*self._measure())
                journal.save()
                self.frozen.train(self.moving.net)
            if place >= total or journal.patience_is_over:
                return
            started = time.monotonic()
            lr = optim.lr_at(settings, place, total)
            optim.set_lr(self.moving.optimiser, lr)
            losses, stopping = take_step(self.moving, settings, self.team, self._taught(batches), stop)
            progress.iteration += 1
            journal.stepped(losses, lr, time.monotonic() - started)
            if stopping:
                raise Interrupted(f"stopped after iteration {progress.iteration} of {total}")
            if journal.save_is_due:
                journal.save()

    def _taught(self, batches: Iterator[Examples]) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
        # All at once, so that an unreadable image is met before anything has moved.
        for arrays, paths, keys in [next(batches) for _ in range(self.settings.accumulate)]:
            tensors = [self._on_device(array) for array in arrays]
            self.keys.begin(torch.tensor(keys, device=self.team.device))
            with self.moving.precision.autocast():
                losses = self.task.losses(self.moving.net, *tensors)
            yield losses, paths

    def _on_device(self, array: np.ndarray) -> Tensor:
        layout = self._layout if array.ndim == 4 else torch.contiguous_format
        return torch.from_numpy(array).to(self.team.device, memory_format=layout)

    def _batches(self, start: int, stop: int) -> Iterator[Examples]:
        """The batches of this process from number `start` to before `stop`, some made ahead."""
        pending = [self._makers.submit(self._batch, n) for n in range(start, min(start + AHEAD, stop))]
        for number in range(start, stop):
            if number + AHEAD < stop:
                pending.append(self._makers.submit(self._batch, number + AHEAD))
            yield pending.pop(0).result()

    def _batch(self, number: int) -> Examples:
        share = self.settings.batch // self.team.world
        first = number * self.settings.batch + self.team.rank * share
        seed, places = self.settings.seed, [self._place(at) for at in range(first, first + share)]
        examples = [self.task.example(index, sample_rng(seed, epoch, index)) for epoch, index in places]
        arrays = [np.stack(parts) for parts in zip(*(one.arrays for one in examples), strict=True)]
        keys = [image_key(seed, epoch, index) for epoch, index in places]
        return arrays, [one.path for one in examples], keys

    def _place(self, position: int) -> tuple[int, int]:
        """Epoch and example at a position of the stream of permutations (`boxwright.training.loader`)."""
        epoch, place = divmod(position, self.task.count)
        return epoch, int(order(self.task.count, self.settings.seed, epoch)[place])

    def _measure(self) -> tuple[dict[str, float], np.ndarray | None]:
        """The figures, which the first process finds for all, and the picture, which it alone shows."""
        net, figures, picture = self.moving.best_net.eval(), {}, None
        # Networks that sample draw; what is drawn to look at them must not be missing in the run.
        forked = torch.random.fork_rng([self.team.device] if self.team.device.type == "cuda" else [])
        with forked, torch.inference_mode():
            if self.team.first:
                figures, picture = self.task.measure(net), self.task.picture(net)
        return self.team.told(figures), picture

    @property
    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.settings.channels_last else torch.contiguous_format


def _facts(task: Task, settings: DescentSettings, run: TaskRun) -> dict[str, Any]:
    values = {f"train.{key}": value for key, value in asdict(settings).items() if key not in state.NEUTRAL}
    values |= {f"{task.card.task}.{key}": value for key, value in task.card.settings.items()}
    values |= {"task": task.card.task, "processes": run.team.world, "norms": run.norms}
    plain: dict[str, Any] = json.loads(json.dumps(values | task.facts()))
    return plain
