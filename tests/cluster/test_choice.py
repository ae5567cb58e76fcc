from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from boxwright.cluster.choice import choose
from boxwright.cluster.choice_plot import alone, choice_plot
from cluster.test_local import blobs


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Rousseeuw's mean of (b - a) / max(a, b), image by image."""
    away = np.sqrt(((points[:, None].astype(np.float64) - points[None]) ** 2).sum(2))
    values = []
    for image, own in enumerate(labels):
        same = (labels == own) & (np.arange(len(labels)) != image)
        if not same.any():
            values.append(0.0)
            continue
        a = away[image, same].mean()
        b = min(away[image, labels == other].mean() for other in set(labels) - {own})
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_groups_there_are(count: int) -> None:
    points, group = blobs(count, count, each=15)
    found = choose(points, 8)
    assert found.k == count
    assert found.ks == tuple(range(2, 9))
    assert found.silhouettes[found.ks.index(count)] == pytest.approx(silhouette(points, group), abs=1e-4)
    assert list(found.inertias) == sorted(found.inertias, reverse=True)


def test_a_sample_stands_for_many() -> None:
    points, _ = blobs(0, 4, each=200)
    found = choose(points, 6, sample=100)
    assert (found.k, found.sample) == (4, 100)
    assert found == choose(points, 6, sample=100)
    assert len(choose(points[:9], 20).ks) == 3  # at most half the images


def test_images_that_are_all_alike() -> None:
    found = choose(np.ones((10, 3), np.float32), 5)
    assert (found.k, set(found.silhouettes)) == (2, {-1.0})


def test_the_plot_names_the_choice() -> None:
    found = choose(blobs(0, 3, each=15)[0], 8)
    svg = choice_plot(found)
    root = ElementTree.fromstring(alone(svg))
    (best,) = (one for one in root.iter() if one.tag.endswith("text") and one.get("class") == "best")
    assert best.text == "3"
    dots = [one for one in root.iter() if one.tag.endswith("circle")]
    assert len(dots) == len(found.ks)
    highest = min(dots, key=lambda one: float(one.get("cy", "")))
    assert highest.get("class") == "best"
