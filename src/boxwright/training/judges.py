"""R-CNN's judges: what is trained on the features of a network that has been fine-tuned, and on nothing else.

Features and judges are kept in the run's folder; each file names the weights and the regions it was computed from.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from boxwright.data.prepare import Broken
from boxwright.detectors import RegionClassifier
from boxwright.errors import InputError
from boxwright.heads.region import RegionHead
from boxwright.model import Model
from boxwright.training import state
from boxwright.training.distributed import Team
from boxwright.training.linear import Linear, machines, ridges, typical_scale
from boxwright.training.precision import Precision
from boxwright.training.region_features import FeatureStore, ImageFeatures, compute
from boxwright.training.regions import Known
from boxwright.training.setup import Plan
from boxwright.training.stop import Interrupted, StopRequest

FEATURES, SVM, RIDGE = "features", "svm.npz", "ridge.npz"
"""The folder of the features, and the files of the judges."""
TOLD_EVERY = 50
"""Images between two lines of a stage that goes through them all."""

Item = TypeVar("Item")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Watch:
    """Tells how far a stage is, and leaves it between two images when a signal has come.

    Attributes:
        stop: whether a signal has come.
        say: receives lines.
        agree: from whether this process leaves to whether all do, where they go through the images together.
    """

    stop: StopRequest
    say: Say
    agree: Callable[[bool], bool] = bool

    def __call__(self, items: Iterable[Item], doing: str, total: int) -> Iterator[Item]:
        """Pass items through.

        Raises:
            Interrupted: a signal has come.
        """
        for number, item in enumerate(items, 1):
            yield item
            if self.agree(self.stop.asked):
                raise Interrupted(f"stopped {doing}, after {number} of {total} images")
            if number % TOLD_EVERY == 0:
                self.say(f"  {number} of {total} images")

    def silent(self) -> Watch:
        """The same for who goes through the images more than once."""
        return Watch(self.stop, silent)


@dataclass(frozen=True)
class Watched:
    """A store that can be left between two images, as often as it is gone through."""

    store: FeatureStore
    watch: Watch

    def __iter__(self) -> Iterator[ImageFeatures]:
        return self.watch(self.store, "training the judges", len(self.store.images))


def find_judges(
    names: Sequence[str],
    todo: Plan,
    tuned: Model,
    propose: Known,
    here: Team,
    watch: Watch,
) -> tuple[dict[str, Linear], dict[str, str]]:
    """Some of `SVM` and `RIDGE`: read if they are there, else trained on features, which are computed first.

    Args:
        names: which.
        todo: the run; its folder keeps everything.
        tuned: the fine-tuned network, where it is to run.
        propose: knows the training images' regions.
        here: this process; all have their share in the features.
        watch: sees every image pass.

    Returns:
        the judges by name, and the images that could not be read, with the reason.

    Raises:
        InputError: a kept file that is damaged or of other weights or regions, an unreadable image unless they are
            skipped, a full disk.
        Interrupted: a signal has come; what is missing can be computed later.
    """
    origin = _origin(tuned, propose.fingerprint((todo.train, todo.val)))
    broken: dict[str, str] = {}
    if here.told(any(not (todo.out / name).exists() for name in names)):
        store = FeatureStore(todo.out / FEATURES, tuple(range(len(todo.train))), origin)
        broken = _complete(store, todo, tuned, propose, here, watch)
        if here.first:
            watch.say("stage 4 of 5: machines and ridges")
            _train(names, Watched(store.without(frozenset(store.missing())), watch.silent()), todo)
    elif names:
        watch.say("stages 3 and 4 of 5: features, machines and ridges are done")
    return {name: Linear.read(here.shared(todo.out / name), origin) for name in names}, broken


def _complete(
    store: FeatureStore, todo: Plan, tuned: Model, propose: Known, here: Team, watch: Watch
) -> dict[str, str]:
    """Compute the features that are missing, and keep them on the first process's disk.

    Returns:
        the images that could not be read, with the reason.
    """
    missing = here.told(store.missing())
    watch.say(f"stage 3 of 5: features of {len(missing)} images")
    own = missing[here.rank :: here.world]
    assert isinstance(tuned.net, RegionClassifier)
    computed = compute(
        tuned.net,
        todo.train,
        own,
        preprocess=tuned.preprocess,
        propose=propose,
        precision=Precision(here.device, todo.settings.amp),
        policy=todo.settings.bad_images,
        by_maps=_by_maps(todo),
    )
    broken: dict[str, str] = {}
    together = replace(watch, agree=here.any)
    rounds = range(math.ceil(len(missing) / here.world))
    for _ in together(rounds, "computing features", len(rounds)):
        for one in here.gathered(next(computed, None)):
            if isinstance(one, Broken):
                watch.say(f"  left out: {one.path}: {one.reason}")
                broken[one.path] = one.reason
            elif one is not None:
                store.write(*one)
    return broken


def _train(names: Sequence[str], images: Watched, todo: Plan) -> None:
    if not images.store.images:
        raise InputError("no image could be read", path=todo.train.root, hint="run boxwright check on it")
    classes, scale = len(todo.model.classes), typical_scale(images)
    for name in names:
        path = todo.out / name
        if path.exists():
            continue
        if name == SVM:
            linear = machines(images, classes, scale, np.random.default_rng(todo.settings.seed))
        else:
            # Of pooled maps, which have another length than the features, the scale is their own.
            linear = ridges(images, classes, None if _by_maps(todo) else scale)
        linear.write(path, images.store.origin)


def _by_maps(todo: Plan) -> bool:
    """Whether the wanted model moves boxes by pooled maps."""
    head = todo.model.net.get_submodule("regions")
    return isinstance(head, RegionHead) and head.box_width is not None


def _origin(tuned: Model, regions: str) -> str:
    """Names what features are computed from."""
    digest = hashlib.sha256(regions.encode())
    for name, value in state.arrays(tuned.net).items():
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def silent(line: str) -> None:
    """Say nothing."""
