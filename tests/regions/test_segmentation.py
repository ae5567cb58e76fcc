from __future__ import annotations

import inspect
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from skimage import data, measure, metrics, segmentation

from boxwright.regions import kernels
from boxwright.regions.segmentation import segment, smooth

planes = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.integers(0, 255).map(float),
)


def by_definition(planes: np.ndarray, k: float, min_size: int) -> np.ndarray:
    """Felzenszwalb and Huttenlocher's algorithm 1 on explicit edges and sets, with weights in 1/128."""
    _, height, width = planes.shape
    edges = []
    for y in range(height):
        for x in range(width):
            for direction, (down, right) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
                if y + down < height and 0 <= x + right < width:
                    apart = planes[:, y, x].astype(float) - planes[:, y + down, x + right]
                    weight = math.floor(128 * math.sqrt((apart**2).sum()) + 1e-6)
                    edges.append((weight, y * width + x, direction, (y + down) * width + x + right))
    component = {pixel: {pixel} for pixel in range(height * width)}
    inside = dict.fromkeys(component, 0)  # by the id of the component: the least pixel in it
    for small in (False, True):
        for weight, one, _, other in sorted(edges):
            a, b = component[one], component[other]
            if a is b:
                continue
            if small:
                join = len(a) < min_size or len(b) < min_size
            else:
                join = weight <= min(inside[min(c)] + np.float32(128 * k / len(c)) for c in (a, b))
            if join:
                union = a | b
                inside[min(union)] = weight
                for pixel in union:
                    component[pixel] = union
    firsts = sorted({min(c) for c in component.values()})
    numbers = [firsts.index(min(component[pixel])) for pixel in range(height * width)]
    return np.array(numbers).reshape(height, width)


@given(planes, st.sampled_from([1, 30, 100, 500]), st.integers(1, 20))
def test_equals_the_definition(picture: np.ndarray, k: float, min_size: int) -> None:
    np.testing.assert_array_equal(segment(picture, k, min_size, sigma=0), by_definition(picture, k, min_size))


@given(planes, st.sampled_from([1.0, 50.0, 300.0]), st.integers(1, 30), st.sampled_from([0.0, 0.8]))
def test_laws(picture: np.ndarray, k: float, min_size: int, sigma: float) -> None:
    labels = segment(picture, k, min_size, sigma)
    assert labels.shape == picture.shape[1:]
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    assert names.tolist() == list(range(len(names)))
    assert (np.diff(first) > 0).all()
    assert len(names) == 1 or sizes.min() >= min_size
    for name in names:
        assert measure.label(labels == name, connectivity=2).max() == 1


def test_compiled_and_plain_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.moveaxis(data.astronaut()[20:80, 190:270], 2, 0).astype(np.float32)
    compiled = segment(picture, 80, 20)
    assert 5 < compiled.max() < 100
    monkeypatch.setattr(kernels, "compiled", inspect.unwrap)
    np.testing.assert_array_equal(segment(picture, 80, 20), compiled)


@pytest.mark.parametrize("k", [50, 200])
def test_agrees_with_scikit_image(k: int) -> None:
    """Not to the pixel: ties, the rounding of weights and the Gaussian's tail differ."""
    image = data.astronaut()[::2, ::2]
    ours = segment(np.moveaxis(image, 2, 0).astype(np.float32), k, 40)
    theirs = segmentation.felzenszwalb(image, scale=k, sigma=0.8, min_size=40)
    assert ours.max() == pytest.approx(theirs.max(), rel=0.1)
    error, precision, recall = metrics.adapted_rand_error(theirs, ours)
    assert error < 0.15
    assert min(precision, recall) > 0.8


def test_one_colour_is_one_region() -> None:
    for shape in ((1, 1), (1, 300), (300, 1), (20, 30)):
        assert not segment(np.full((3, *shape), 77, np.float32), 1, 1).any()


def test_smoothing_keeps_the_mean_and_equals_scipy() -> None:
    from scipy.ndimage import gaussian_filter

    picture = np.random.default_rng(0).uniform(0, 255, (2, 13, 17)).astype(np.float32)
    expected = np.stack([gaussian_filter(plane, 0.8, mode="nearest", radius=3) for plane in picture])
    np.testing.assert_allclose(smooth(picture, 0.8), expected, atol=1e-3)
    assert smooth(picture, 0) is picture
    np.testing.assert_allclose(smooth(np.full((1, 1, 5), 9, np.float32), 2), 9, rtol=1e-5)
