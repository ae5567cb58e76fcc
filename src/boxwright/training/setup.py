"""Everything that a run is made of, built from its settings: what the loop then moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boxwright.data.augment import Augment
from boxwright.data.classes import with_classes
from boxwright.data.hold_out import hold_out
from boxwright.data.prepare import Preparer, bare, decoded_bytes
from boxwright.data.records import Dataset
from boxwright.detectors import Network
from boxwright.errors import InputError
from boxwright.model import Model, create
from boxwright.predict import Propose
from boxwright.recipes import find
from boxwright.training import loader, optim, state
from boxwright.training.distributed import Team
from boxwright.training.dropping import make_keyed
from boxwright.training.loader import Loaded
from boxwright.training.memory import keep_freed_memory
from boxwright.training.norms import describe, make_trainable
from boxwright.training.pace import place_in
from boxwright.training.regions import FILE, known
from boxwright.training.settings import HELD_OUT, TrainSettings
from boxwright.training.workers import Pool, automatic_workers

CACHE_BYTES = 1e9
OVERFIT_ITERATIONS = 200


@dataclass(frozen=True)
class Plan:
    """What is to be done, before anything is built.

    Attributes:
        model: the detector; its weights are trained in place.
        train, val: images with the model's classes.
        settings: how.
        augment: how images are varied.
        out: the run's folder.
        warnings: what a person should know of the data, when the run is over too.
    """

    model: Model
    train: Dataset
    val: Dataset
    settings: TrainSettings
    augment: Augment
    out: Path
    warnings: tuple[str, ...] = ()

    @property
    def images_per_iteration(self) -> int:
        """Images that one step of the optimiser sees."""
        return self.settings.images_per_iteration

    @property
    def total(self) -> int:
        """Iterations of the whole run."""
        return self.settings.total(len(self.train))

    def epoch(self, iteration: int) -> float:
        """Passes over the training images after so many iterations."""
        return self.settings.epoch(iteration, len(self.train))

    def validates(self, iteration: int) -> bool:
        """Whether a validation follows this iteration."""
        return self.settings.validates(iteration, len(self.train))

    def facts(self) -> dict[str, Any]:
        """What a continuation must agree on."""
        return state.facts(self.settings, self.augment, self.model.manifest, self.train, self.val)


def plan(
    model: Model | str,
    dataset: Dataset,
    val: Dataset | None,
    out: Path,
    settings: TrainSettings | None,
    augment: Augment | None,
    *,
    overfit: bool = False,
) -> Plan:
    """Put the parts of a run together; `boxwright.training.run.train` says what they are.

    Raises:
        InputError: images with classes that the model lacks, or none at all.
    """
    recipe = model if isinstance(model, str) else model.manifest.recipe
    settings = find(recipe).train if settings is None else settings
    augment = find(recipe).augment if augment is None else augment
    if isinstance(model, str):
        torch.manual_seed(settings.seed)
        model = create(model, classes=dataset.classes, ids=dataset.ids)
    manifest = model.manifest
    if overfit:
        val = dataset
    if val is None:
        dataset, val = hold_out(dataset, HELD_OUT, settings.seed)
    if settings.select == "accuracy" and not val.labelled:
        raise InputError(
            "has boxes, and what classifies whole images needs a folder of pictures for each class",
            path=val.root,
            hint="choose a detector, such as --model ssd320-efficientnet-lite0",
        )
    dataset = with_classes(dataset, manifest.classes, manifest.ids)
    val = with_classes(val, manifest.classes, manifest.ids)
    for part, name in ((dataset, "train on"), (val, "validate with")):
        if not part.samples:
            raise InputError(f"no images to {name}", path=part.root)
    if overfit:
        dataset, settings, augment = _one_batch(dataset, settings)
        val = dataset
    if settings.train_on_difficult:
        dataset = _with_difficult(dataset)
    return Plan(model, dataset, val, settings, augment, out)


def _with_difficult(dataset: Dataset) -> Dataset:
    """The same images; what is difficult in them counts as all else does."""
    plain = (replace(one, difficult=np.zeros_like(one.difficult)) for one in dataset.samples)
    return replace(dataset, samples=tuple(plain))


def _one_batch(dataset: Dataset, settings: TrainSettings) -> tuple[Dataset, TrainSettings, Augment]:
    """The first batch as a data set of its own, unvaried: a detector that works learns it by heart."""
    first = loader.order(len(dataset), settings.seed, 0)[: settings.batch].tolist()
    changed = replace(
        settings,
        batch=len(first),
        accumulate=1,
        iterations=settings.iterations or OVERFIT_ITERATIONS,
        eval_every=max(1, (settings.iterations or OVERFIT_ITERATIONS) // 4),
        ema=0.0,
        patience=0,
    )
    return dataset.subset(sorted(first)), changed, Augment()


class Run:
    """A plan with its moving parts; a context manager that ends its processes.

    Attributes:
        plan: what is to be done.
        team: this process among others.
        moving: network, optimiser, EMA, precision and progress: what `last` holds.
        frozen: what of the network is not trained.
        keys: of the images that the network is being fed, for its layers that drop.
        norms: how batch norms are computed: "own", "synchronised", "frozen" or "none".
        broken: files that could not be read, with the reason.
        say: receives lines for the person while it is made ready.
    """

    def __init__(self, plan: Plan, team: Team, say: Callable[[str], None] = print) -> None:
        settings = plan.settings
        torch.manual_seed(settings.seed)
        self.plan, self.team, self._say = plan, team, say
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        net = plan.model.net.to(team.device, memory_format=layout)  # type: ignore[call-overload]
        make_trainable(net)
        team.same(net)
        self.keys = make_keyed(net)
        self.frozen = optim.freeze(net, settings.freeze, norms=settings.freeze_norms)
        self.norms = describe(net, frozen=settings.freeze_norms, world=team.world)
        self.moving: state.Moving[Network] = state.begin(net, settings, team.device)
        self.broken: dict[str, str] = {}
        self.workers = settings.workers
        if self.workers < 0:
            self.workers = automatic_workers(_cores() // team.world)
        self._stack = ExitStack()
        self._train, self._val = ([bare(sample) for sample in part] for part in (plan.train, plan.val))
        self._stream = loader.Stream(
            self._train, plan.augment, settings.seed, settings.batch, team.rank, team.world
        )

    def __enter__(self) -> Run:
        if self.plan.settings.threads:
            self._stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(self.plan.settings.threads)
        if self.team.device.type == "cpu":
            keep_freed_memory()
        if self.team.device.type == "cuda":
            # All batches have one shape, so trying the kernels once pays.
            self._stack.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
            torch.backends.cudnn.benchmark = True
        fits = decoded_bytes([*self._train, *self._val]) * max(1, self.workers) < CACHE_BYTES
        preparer = Preparer(
            self.plan.model.preprocess,
            self.plan.augment,
            cache=self.plan.settings.cache and fits,
            propose=self._known_regions(),
        )
        self.pool = self._stack.enter_context(Pool(preparer, self.workers))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _known_regions(self) -> Propose | None:
        plan = self.plan
        return known(
            plan.model.manifest.regions,
            (plan.train, plan.val),
            Path(plan.settings.proposals) if plan.settings.proposals else plan.out / FILE,
            search=self.team.first,
            share=self.team.shared,
            say=self._say,
        )

    @property
    def place(self) -> int:
        """How far the schedule is, in iterations; the plan's total when the run is over."""
        return place_in(self.moving.progress, self.plan.settings, self.plan.total, self.team)

    @property
    def best_net(self) -> Network:
        """The weights that are validated and kept: the EMA's where there is one."""
        return self.moving.best_net

    def batches(self) -> Iterator[Loaded]:
        """Training batches from where the run stands to its end."""
        steps = self.plan.settings.accumulate
        start, stop = self.moving.progress.iteration * steps, self.plan.total * steps
        return self._load(self._stream.batches(start, stop))

    def validation_batches(self) -> Iterator[Loaded]:
        """Of the validation images, in order, the batches that this process measures."""
        batches = loader.plain_batches(self._val, self.plan.settings.batch)
        return self._load(islice(batches, self.team.rank, None, self.team.world))

    def first_images(self, count: int) -> Loaded:
        """The first images of the stream, as training sees them."""
        jobs = [self._stream.job(position) for position in range(count)]
        return next(self._load(iter([jobs])))

    def _load(self, jobs: Iterator[list[Any]]) -> Iterator[Loaded]:
        return loader.load(
            self.pool,
            jobs,
            ahead=2 * self.workers,
            policy=self.plan.settings.bad_images,
            multiple=self.plan.model.preprocess.pad_multiple,
        )

    def described(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        plan = self.plan
        return {
            "model": plan.model.manifest.recipe,
            "model_settings": dict(plan.model.manifest.settings),
            "train": asdict(plan.settings),
            "augment": asdict(plan.augment),
            "classes": plan.model.classes,
            "data": str(plan.train.root),
            "images": {"train": len(plan.train), "val": len(plan.val)},
            "iterations": plan.total,
            "workers": self.workers,
            "processes": self.team.world,
            "norms": self.norms,
            "device": str(self.team.device),
            "threads": torch.get_num_threads(),
            "warnings": list(plan.warnings),
        }


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
