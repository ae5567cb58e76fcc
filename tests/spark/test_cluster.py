"""MLlib's clusters are those of scikit-learn from the same centres, in the same space, with the same columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import adjusted_rand_score

from boxwright.cluster.local import ClusterSettings, cluster_table
from boxwright.cluster.table import Described, Row, read_table, write_rows
from boxwright.errors import InputError
from boxwright.spark.cluster import SparkClusterSettings, clustered_rows

CLUSTERS, SIDE = 4, 6


def features(count: int = 240, seed: int = 0) -> np.ndarray:
    """Overlapping clouds of unlike sizes, with a few columns that count for more."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLUSTERS, SIDE)) * 2 + 3
    which = rng.choice(CLUSTERS, count, p=(0.4, 0.3, 0.2, 0.1))
    scale = np.linspace(0.5, 1.5, SIDE)
    return ((centres[which] + rng.normal(size=(count, SIDE))) * scale).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of features that one machine has written."""
    path = tmp_path_factory.mktemp("table") / "features.parquet"
    described = Described({"columns": SIDE}, "/images", {})
    rows = [Row(f"{number:04d}.jpg", 1, 1, (2, 2), one) for number, one in enumerate(features())]
    write_rows(path, described, rows)
    return path


@pytest.fixture
def rows(spark: SparkSession, file: Path) -> DataFrame:
    return spark.read.parquet(str(file)).repartition(3)


def by_path(table: DataFrame) -> pd.DataFrame:
    return table.toPandas().sort_values("path", ignore_index=True)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"normalise": False, "pca": 3}, marks=pytest.mark.slow),
        {"pca": 0.9, "whiten": True},
    ],
    ids=str,
)
def test_from_the_same_centres_it_is_the_one_machine_path(file: Path, rows: DataFrame, how: dict) -> None:
    table = read_table(file)
    centres = table.features[[3, 50, 100, 200]]
    alone = cluster_table(table.features, ClusterSettings(**how), centres)
    with clustered_rows(rows, SparkClusterSettings(**how), centres) as found:
        assigned = by_path(found.assignments)
        assert list(assigned.columns) == ["path", "cluster", "distance", "margin"]
        assert list(assigned.path) == list(table.paths)
        assert adjusted_rand_score(alone.labels, assigned.cluster) >= 0.99
        assert found.inertia == pytest.approx(alone.inertia, rel=1e-3)
        assert found.reduction.explained == pytest.approx(alone.reduction.explained, rel=1e-4)
        assert found.centres.shape == alone.centres.shape
        # No number of a cluster has changed: both began with the same centre.
        same = assigned.cluster.to_numpy() == alone.labels
        assert same.mean() > 0.99
        np.testing.assert_allclose(assigned.distance[same], alone.distances[same], rtol=0.05)
        assert assigned.groupby("cluster").size().tolist() == found.counts.tolist()


@pytest.mark.parametrize("method", ["kmeans", "bisecting"])
def test_clusters_are_the_largest_first_and_measured_at_their_means(rows: DataFrame, method: str) -> None:
    points = features()
    with clustered_rows(rows, SparkClusterSettings(CLUSTERS, method, normalise=False, seed=1)) as found:
        assigned = by_path(found.assignments)
        assert list(found.counts) == sorted(found.counts, reverse=True)
        assert found.counts.sum() == len(points)
        for cluster, centre in enumerate(found.centres):
            members = points[assigned.cluster == cluster]
            np.testing.assert_allclose(centre, members.mean(0), rtol=1e-4)
            away = np.linalg.norm(members - centre, axis=1)
            np.testing.assert_allclose(assigned.distance[assigned.cluster == cluster], away, rtol=1e-4)
        assert found.inertia == pytest.approx(float((assigned.distance.astype(float) ** 2).sum()), rel=1e-6)
        assert -1 <= found.silhouette <= 1
        if method == "kmeans":
            assert (assigned.margin > -1e-3).all(), "no image is nearer to another cluster's centre"


@pytest.mark.slow
def test_k_is_found_where_it_is_plain(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(20, 2)) * 0.1 + centre for centre in ((0, 5), (5, 0), (9, 9))])
    rows = spark.createDataFrame(
        [(f"{n}", p.tolist()) for n, p in enumerate(points)], "path string, feature array<float>"
    )
    with clustered_rows(rows, SparkClusterSettings(normalise=False, most=5)) as found:
        assert found.choice is not None
        assert found.choice.k == len(found.centres) == 3
        assert found.choice.ks == (2, 3, 4, 5)
        assert found.silhouette == pytest.approx(max(found.choice.silhouettes))
        assert found.counts.tolist() == [20, 20, 20]


def test_what_cannot_be_clustered_is_told(rows: DataFrame) -> None:
    with (
        pytest.raises(InputError, match="300 clusters of 240 images"),
        clustered_rows(rows, SparkClusterSettings(300)),
    ):
        pass
    with (
        pytest.raises(InputError, match="there are no images"),
        clustered_rows(rows.limit(0), SparkClusterSettings(2)),
    ):
        pass
    with (
        pytest.raises(InputError, match="bisection begins at no centres"),
        clustered_rows(rows, SparkClusterSettings(method="bisecting"), features()[:3]),
    ):
        pass
    with pytest.raises(InputError, match="Spark has no method 'hdbscan'"):
        SparkClusterSettings(method="hdbscan")
