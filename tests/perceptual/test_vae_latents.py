from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import peak_signal_noise_ratio

from boxwright.errors import InputError
from boxwright.perceptual.vae_latents import between, draw_latents, psnr

LATENTS = arrays(np.float64, 5, elements=st.floats(-4, 4, width=32))


@given(LATENTS, LATENTS, st.integers(2, 9))
def test_the_way_keeps_its_ends_and_lengths(a: np.ndarray, b: np.ndarray, steps: int) -> None:
    way = between(a, b, steps)
    assert way.shape == (steps, 5)
    np.testing.assert_allclose(way[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(between(b, a, steps)[::-1], way, atol=1e-4)
    lengths = np.linalg.norm(way, axis=1)
    ends = np.linalg.norm(a), np.linalg.norm(b)
    cosine = a @ b / max(ends[0] * ends[1], 1e-12)
    if min(ends) > 1e-3 and abs(cosine) < 0.999:
        np.testing.assert_allclose(lengths, np.linspace(*ends, steps), atol=1e-4)
        units = way / lengths[:, None]
        np.testing.assert_allclose(np.diff((units[:-1] * units[1:]).sum(1)), 0, atol=1e-4)


def test_the_way_where_there_is_no_arc() -> None:
    zero, one = np.zeros(2), np.array([1.0, 0.0])
    np.testing.assert_allclose(between(zero, one, 3), [[0, 0], [0.5, 0], [1, 0]])
    np.testing.assert_allclose(between(one, -one, 3), [[1, 0], [0, 0], [-1, 0]], atol=1e-7)
    np.testing.assert_allclose(between(one, one, 2), [one, one])
    with pytest.raises(InputError, match="1 step from one picture to another"):
        between(zero, one, 1)


def test_draws_from_the_prior() -> None:
    drawn = draw_latents(4000, 3, seed=5)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(drawn.std(0), 1, atol=0.04)
    np.testing.assert_array_equal(draw_latents(7, 3, seed=5), drawn[:7])
    np.testing.assert_allclose(draw_latents(7, 3, seed=5, temperature=0.5), drawn[:7] / 2)
    assert (draw_latents(7, 3, seed=6) != drawn[:7]).any()
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="a temperature of"):
            draw_latents(1, 1, 0, bad)


def test_psnr_is_scikit_image_s() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 3, 8, 8)).astype(np.float32)
    theirs = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(psnr(a, b), theirs, rtol=1e-6)
    assert psnr(a, a).min() == pytest.approx(200)
