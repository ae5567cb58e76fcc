from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.data.augment import Augment
from boxwright.data.prepare import Preparer
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.preprocess import Preprocess
from boxwright.training.loader import Loaded, Stream, load, order, plain_batches
from boxwright.training.workers import Pool

from .preparers import Deadly, Faulty
from .toys import VARIED, toy_data

PREPROCESS = Preprocess((32, 32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy_data(tmp_path_factory.mktemp("toys"), images=7)


def stream(data: Dataset, **more: int) -> Stream:
    return Stream(data.samples, VARIED, seed=3, batch=4, **more)


def loaded(data: Dataset, pool: Pool, batches: int = 4, policy: str = "error") -> list[Loaded]:
    return list(load(pool, stream(data).batches(0, batches), ahead=2, policy=policy, multiple=1))


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_each_epoch_is_a_permutation(images: int, seed: int, epoch: int) -> None:
    assert sorted(order(images, seed, epoch).tolist()) == list(range(images))


def test_epochs_and_seeds_differ() -> None:
    orders = [order(30, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4


def test_the_stream_shows_every_image_once_an_epoch(data: Dataset) -> None:
    jobs = [job.index for batch in stream(data).batches(0, 7) for job in batch]
    assert len(jobs) == 28
    for epoch in range(4):
        assert sorted(jobs[7 * epoch : 7 * epoch + 7]) == list(range(7))


def test_the_stream_goes_on_from_any_batch(data: Dataset) -> None:
    whole = list(stream(data).batches(0, 9))
    late = list(stream(data).batches(5, 9))
    assert [[j.index for j in b] for b in whole[5:]] == [[j.index for j in b] for b in late]
    for a, b in zip(whole[5], late[0], strict=True):
        assert a.rng is not None and b.rng is not None
        assert a.rng.random() == b.rng.random()


def test_processes_share_each_batch(data: Dataset) -> None:
    whole = [[job.index for job in batch] for batch in stream(data).batches(0, 5)]
    shares = [[[j.index for j in b] for b in stream(data, rank=r, world=2).batches(0, 5)] for r in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == whole


def test_a_batch_that_cannot_be_shared_is_refused(data: Dataset) -> None:
    with pytest.raises(
        InputError, match="a batch of 4 cannot be shared by 3 processes; choose a multiple of 3"
    ):
        stream(data, world=3)


def test_mosaics_have_four_parts(data: Dataset) -> None:
    jobs = Stream(data.samples, Augment(mosaic=0.5), seed=0, batch=40).batches(0, 1)
    assert {len(job.parts) for job in next(jobs)} == {1, 4}


def test_workers_change_nothing(data: Dataset) -> None:
    preparer = Preparer(PREPROCESS, VARIED)
    with Pool(preparer, 0) as none, Pool(preparer, 2) as two:
        for alone, together in zip(loaded(data, none), loaded(data, two), strict=True):
            assert alone.batch is not None and together.batch is not None
            np.testing.assert_array_equal(alone.batch.images, together.batch.images)
            np.testing.assert_array_equal(alone.batch.targets.boxes, together.batch.targets.boxes)
            assert (alone.indices, alone.originals) == (together.indices, together.originals)
            assert alone.batch.paths == together.batch.paths
        # A second plan may use the pool while the first is not finished.
        first = load(two, stream(data).batches(0, 4), ahead=2, policy="error", multiple=1)
        before = next(first)
        plain = list(load(two, plain_batches(data.samples, 3), ahead=2, policy="error", multiple=1))
        assert [part.indices for part in plain] == [(0, 1, 2), (3, 4, 5), (6,)]
        again = [before, *first]
        assert [part.indices for part in again] == [part.indices for part in loaded(data, none)]


def test_a_worker_that_dies_ends_the_run_with_the_file(data: Dataset) -> None:
    with Pool(Deadly(PREPROCESS, VARIED), 1) as pool, pytest.raises(InputError) as error:
        loaded(data, pool)
    assert "picture05.png: the process that read it died (exit code 9)" in str(error.value)


def test_a_defect_in_a_worker_keeps_its_traceback(data: Dataset) -> None:
    with Pool(Faulty(PREPROCESS, VARIED), 1) as pool, pytest.raises(RuntimeError, match="ZeroDivisionError"):
        loaded(data, pool)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_an_error_or_is_left_out(data: Dataset, tmp_path: Path, workers: int) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    samples = list(data.samples)
    samples[2] = replace(samples[2], path=bad)
    broken = replace(data, samples=tuple(samples))
    with Pool(Preparer(PREPROCESS, VARIED), workers) as pool:
        parts = loaded(broken, pool, batches=7, policy="skip")
        assert sum(len(part.indices) for part in parts) == 28 - 4
        assert {one.path for part in parts for one in part.broken} == {str(bad)}
        with pytest.raises(InputError, match=r"bad\.png: .*train\.bad_images=skip"):
            loaded(broken, pool, batches=7)


def test_a_batch_of_broken_images_alone_is_none(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    sample = replace(data[0], path=tmp_path / "bad.png")
    with Pool(Preparer(PREPROCESS, VARIED), 0) as pool:
        (part,) = load(pool, plain_batches([sample], 1), ahead=0, policy="skip", multiple=1)
    assert part.batch is None
    assert part.broken[0].path == str(sample.path)
