"""Which images come when, and how they become batches.

Training sees one endless stream: the permutation of epoch 0, then that of epoch 1, and so on, cut into
batches of equal size without regard to where an epoch ends. So every image comes exactly once in each epoch,
no batch is smaller than the others, and one number, the position in the stream, is all one needs to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from boxwright.data.augment import Augment, sample_rng
from boxwright.data.collate import collate
from boxwright.data.prepare import MOSAIC_PARTS, Broken, Job, Prepared
from boxwright.data.records import Sample
from boxwright.errors import InputError
from boxwright.training.workers import Pool
from boxwright.types import Batch


@dataclass(frozen=True)
class Loaded:
    """A batch with what the network does not need to know.

    Attributes:
        batch: the images that could be read, or None if none could.
        indices: of the samples in the data set.
        originals: (height, width) of the files' pictures.
        broken: the images that could not be read.
    """

    batch: Batch | None
    indices: tuple[int, ...]
    originals: tuple[tuple[int, int], ...]
    broken: tuple[Broken, ...]


@lru_cache(maxsize=4)
def order(images: int, seed: int, epoch: int) -> Int64[np.ndarray, " image"]:
    """The permutation of an epoch: a function of its arguments and of nothing else.

    >>> sorted(order(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.random.default_rng([seed, epoch]).permutation(images)


def image_key(seed: int, epoch: int, index: int) -> int:
    """What random choices about an image in an epoch follow from, beside its variation (`boxwright.draws`)."""
    return int(np.random.default_rng([seed, epoch, index, 1]).integers(2**63))


@dataclass(frozen=True)
class Stream:
    """The endless stream of training images.

    Attributes:
        samples: the training images.
        augment: says whether jobs are mosaics.
        seed: of order and variation.
        batch: images in a batch, over all processes.
        rank, world: this process and how many there are; each takes its equal share of every batch.
    """

    samples: Sequence[Sample]
    augment: Augment
    seed: int
    batch: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not self.samples:
            raise InputError("no images to train on")
        if self.batch % self.world:
            raise InputError(
                f"a batch of {self.batch} cannot be shared by {self.world} processes",
                hint=f"choose a multiple of {self.world}",
            )

    def batches(self, start: int, stop: int) -> Iterator[list[Job]]:
        """The jobs of this process, from batch number `start` to before `stop`."""
        share = self.batch // self.world
        for number in range(start, stop):
            first = number * self.batch + self.rank * share
            yield [self.job(position) for position in range(first, first + share)]

    def job(self, position: int) -> Job:
        """The image at a position of the stream."""
        epoch, place = divmod(position, len(self.samples))
        index = int(order(len(self.samples), self.seed, epoch)[place])
        rng = sample_rng(self.seed, epoch, index)
        parts = [index]
        if self.augment.mosaic and rng.random() < self.augment.mosaic:
            parts += rng.integers(len(self.samples), size=MOSAIC_PARTS - 1).tolist()
        return Job(index, tuple(self.samples[i] for i in parts), rng, image_key(self.seed, epoch, index))


def plain_batches(samples: Sequence[Sample], batch: int) -> Iterator[list[Job]]:
    """Every image once, in order and as it is: for validation; the last batch may be smaller."""
    for first in range(0, len(samples), batch):
        rows = range(first, min(first + batch, len(samples)))
        yield [Job(i, (samples[i],), key=i) for i in rows]


def load(
    pool: Pool, plan: Iterable[list[Job]], *, ahead: int, policy: str, multiple: int
) -> Iterator[Loaded]:
    """Prepare the batches of a plan, some of them ahead of time.

    Args:
        pool: who prepares; several plans may use one pool in turn.
        plan: the jobs of each batch.
        ahead: batches that are asked for before the first is waited for.
        policy: "error" or "skip": what an unreadable image does.
        multiple: see `collate`.

    Raises:
        InputError: an unreadable image under "error", or a worker that died.
    """
    asked: deque[int] = deque()
    for jobs in plan:
        asked.append(pool.submit(jobs))
        if len(asked) > ahead:
            yield _assemble(pool.collect(asked.popleft()), policy, multiple)
    while asked:
        yield _assemble(pool.collect(asked.popleft()), policy, multiple)


def _assemble(answers: Sequence[Prepared | Broken], policy: str, multiple: int) -> Loaded:
    good = [answer for answer in answers if isinstance(answer, Prepared)]
    broken = tuple(answer for answer in answers if isinstance(answer, Broken))
    if broken and policy == "error":
        raise InputError(
            broken[0].reason,
            path=broken[0].path,
            hint="repair or remove it, or leave such images out with --set train.bad_images=skip",
        )
    return Loaded(
        batch=collate(good, multiple=multiple) if good else None,
        indices=tuple(answer.index for answer in good),
        originals=tuple(answer.size for answer in good),
        broken=broken,
    )
