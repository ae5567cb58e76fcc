from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.data.augment import Augment
from boxwright.data.hold_out import hold_out
from boxwright.data.prepare import Preparer
from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError
from boxwright.training.loader import load, plain_batches
from boxwright.training.validate import as_results
from boxwright.training.workers import Pool

from .toys import toy_data, toy_model


def empty(count: int) -> Dataset:
    none, no = np.zeros(0), np.zeros(0, np.bool_)
    samples = tuple(
        Sample(Path(f"{i}.jpg"), None, np.zeros((0, 4)), none.astype(np.int64), no, no, none)
        for i in range(count)
    )
    return Dataset(samples, ("a",), (0,), Path("data"))


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 9))
def test_held_out_images_are_a_part_of_the_whole(count: int, part: float, seed: int) -> None:
    kept, held = hold_out(empty(count), part, seed)
    names = [sample.path.name for sample in (*kept, *held)]
    assert sorted(names) == sorted(f"{i}.jpg" for i in range(count))
    assert len(held) == min(max(1, round(part * count)), count - 1)
    assert [s.path for s in hold_out(empty(count), part, seed)[1]] == [s.path for s in held]


def test_one_image_cannot_be_parted() -> None:
    with pytest.raises(InputError, match="1 image cannot be split"):
        hold_out(empty(1), 0.15, 0)


def test_results_are_those_of_predict(tmp_path: Path) -> None:
    """The same boxes, by another way: `predict` reads, prepares and scales the images itself."""
    data, model = toy_data(tmp_path, 5), toy_model(dropout=0.0)
    model.net.eval()
    with Pool(Preparer(model.preprocess, Augment()), 0) as pool:
        plan = plain_batches(data.samples, 2)
        ours = []
        for part in load(pool, plan, ahead=0, policy="error", multiple=1):
            assert part.batch is not None
            with torch.inference_mode():
                out = model.net(part.batch.images, part.batch.sizes)
                ours += as_results(model.decoder(out, part.batch.sizes), part, model.manifest)
    theirs = model.predict([sample.path for sample in data], score=0.0)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert (a.names, a.size) == (b.names, b.size)
        assert len(a)
