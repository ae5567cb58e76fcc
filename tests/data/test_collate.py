from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwright.data.collate import collate
from boxwright.data.prepare import Prepared


@st.composite
def prepared(draw: st.DrawFn) -> Prepared:
    height, width, count = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 4))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return Prepared(
        image=rng.normal(size=(3, height, width)).astype(np.float32),
        boxes=rng.uniform(0, 9, (count, 4)).astype(np.float32),
        labels=rng.integers(0, 5, count),
        ignore=rng.random(count) < 0.5,
        size=(height, width),
        index=draw(st.integers(0, 99)),
        path=f"{height}x{width}.png",
    )


@given(st.lists(prepared(), min_size=1, max_size=4), st.sampled_from([1, 4, 32]))
def test_everything_comes_back_and_the_rest_is_padding(samples: list[Prepared], multiple: int) -> None:
    batch = collate(samples, multiple=multiple)
    assert batch.images.shape[2] % multiple == batch.images.shape[3] % multiple == 0
    assert batch.images.shape[2] - max(s.image.shape[1] for s in samples) < multiple
    assert batch.paths == tuple(s.path for s in samples)
    for row, sample in enumerate(samples):
        height, width = batch.sizes[row].tolist()
        image = batch.images[row].numpy().copy()
        np.testing.assert_array_equal(image[:, :height, :width], sample.image)
        image[:, :height, :width] = 0
        assert not image.any()
        valid = batch.targets.valid[row].numpy()
        assert valid.sum() == len(sample.labels)
        np.testing.assert_array_equal(batch.targets.boxes[row].numpy()[valid], sample.boxes)
        np.testing.assert_array_equal(batch.targets.labels[row].numpy()[valid], sample.labels)
        np.testing.assert_array_equal(batch.targets.ignore[row].numpy()[valid], sample.ignore)
        assert not batch.targets.ignore[row].numpy()[~valid].any()
