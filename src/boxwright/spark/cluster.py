"""Clusters of more features than one machine holds, by MLlib: components, k-means, silhouette.

The space in which clusters are sought, distances and margins are those of `boxwright.cluster`: from the same given
centres a table gets the same clusters here and there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from pyspark import StorageLevel
from pyspark.ml.clustering import BisectingKMeans, KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector, predict_batch_udf
from pyspark.ml.stat import Summarizer
from pyspark.mllib.clustering import KMeans as KMeansFromCentres
from pyspark.mllib.clustering import KMeansModel
from pyspark.mllib.linalg import Vectors
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, FloatType, IntegerType, StructField, StructType

from boxwright.cluster.choice import Choice
from boxwright.cluster.local import distances
from boxwright.cluster.reduce import EPSILON, Reduction
from boxwright.errors import InputError, near

METHODS = ("kmeans", "bisecting")

_ITERATIONS, _TOLERANCE = 300, 1e-4
"""Those of scikit-learn's k-means, which the one-machine path runs."""
_BATCH = 1024
Centres = Float32[np.ndarray, "cluster component"]


@dataclass(frozen=True)
class SparkClusterSettings:
    """How clusters are found; what has the name of a setting of `boxwright.cluster.local.ClusterSettings` means that.

    Attributes:
        k: how many; None tries 2, 3, ... and keeps the k with the greatest silhouette.
        method: "kmeans" (begun by k-means||, Bahmani et al. 2012) or "bisecting" (Steinbach et al. 2000).
        pca, whiten, normalise, seed, most: as there.
    """

    k: int | None = None
    method: str = "kmeans"
    pca: float | None = None
    whiten: bool = False
    normalise: bool = True
    seed: int = 0
    most: int = 20

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"Spark has no method {self.method!r}", hint=near(self.method, METHODS))
        if self.k is not None and self.k < 1:
            raise InputError(f"{self.k} clusters", hint="give at least 1")
        if self.pca is not None and not (0 < self.pca < 1 or self.pca == int(self.pca) >= 1):
            raise InputError(f"{self.pca} principal components", hint="give a count, or a part below 1")
        if self.whiten and self.pca is None:
            raise InputError("whitening is of principal components", hint="give --pca too")


@dataclass(frozen=True)
class SparkClustering:
    """What was found; the images' part stays on Spark.

    Attributes:
        assignments: path, cluster, distance and margin of each image, as the one-machine table has them.
        centres: the mean of each cluster's points.
        counts: images in each.
        inertia: sum of squared distances.
        silhouette: the mean, by squared distances to clusters' means (MLlib's); 0 for a single cluster.
        reduction: from features to points.
        choice: how k was chosen; None where it was given.
    """

    assignments: DataFrame
    centres: Float32[np.ndarray, "cluster component"]
    counts: Int64[np.ndarray, "cluster"]
    inertia: float
    silhouette: float
    reduction: Reduction
    choice: Choice | None


@contextmanager
def clustered_rows(
    rows: DataFrame,
    settings: SparkClusterSettings,
    centres: Float32[np.ndarray, "cluster feature"] | None = None,
) -> Iterator[SparkClustering]:
    """Find the clusters of a table of features, whose points Spark keeps until the end of the block.

    Args:
        rows: path and feature of each image.
        settings: how.
        centres: where k-means begins, as features. Clusters keep their order then; else the largest is the first.

    Raises:
        InputError: fewer images than clusters, or centres for bisection.
    """
    k = settings.k if centres is None else len(centres)
    if centres is not None and settings.method == "bisecting":
        raise InputError("bisection begins at no centres", hint="use kmeans")
    reduction = fit_reduction(rows, settings)
    points = _points(rows, reduction).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        count = points.count()
        if not count:
            raise InputError("there are no images to cluster", hint="see the table of unreadable ones")
        if k is not None and k > count:
            raise InputError(f"{k} clusters of {count} images", hint="give a smaller -k")
        choice = None if k is not None else _choose(points, settings, count)
        if centres is None:
            labelled = _fitted(points, settings, k or choice.k)  # type: ignore[union-attr]
        else:
            labelled = _from_centres(points, reduction(centres))
        yield _described(labelled, reduction, choice, ordered=centres is None)
    finally:
        points.unpersist()


def fit_reduction(rows: DataFrame, settings: SparkClusterSettings) -> Reduction:
    """Learn by MLlib what `boxwright.cluster.reduce.fit_reduction` learns; the d x d covariance is the driver's."""
    if settings.pca is None:
        return Reduction(settings.normalise)
    scaled = _points(rows, Reduction(settings.normalise))
    about = scaled.select(
        Summarizer.mean(F.col("vector")).alias("mean"), Summarizer.variance(F.col("vector")).alias("variance")
    ).first()
    if about is None or about["mean"] is None:
        raise InputError("there are no images to cluster", hint="see the table of unreadable ones")
    mean, total = about["mean"].toArray(), float(about["variance"].toArray().sum())
    most = len(mean)
    wanted = most if settings.pca < 1 else min(int(settings.pca), most)
    model = PCA(k=wanted, inputCol="vector", outputCol="component").fit(scaled)
    ratios: Float64[np.ndarray, " component"] = np.array(model.explainedVariance.toArray())
    kept = wanted
    if settings.pca < 1:
        kept = min(most, int(np.searchsorted(np.cumsum(ratios), settings.pca, side="right")) + 1)
    variances = np.maximum(ratios[:kept] * total, EPSILON)
    return Reduction(
        settings.normalise,
        mean.astype(np.float32),
        model.pc.toArray().T[:kept].astype(np.float32),
        (np.sqrt(variances) if settings.whiten else np.ones(kept)).astype(np.float32),
        float(ratios[:kept].sum()),
    )


def _points(rows: DataFrame, reduction: Reduction) -> DataFrame:
    """Path, point and the same as a vector."""
    first = rows.select(F.size("feature").alias("size")).first()
    shape = [[0 if first is None else int(first["size"])]]
    reduced = _batched(partial(_reducer, reduction), ArrayType(FloatType()), shape)
    named = rows.select("path", reduced(F.col("feature")).alias("point"))
    return named.withColumn("vector", array_to_vector(F.col("point")))


def _fitted(points: DataFrame, settings: SparkClusterSettings, k: int) -> DataFrame:
    if k == 1:
        return points.withColumn("cluster", F.lit(0))
    # Both want two clusters at least.
    columns = {"featuresCol": "vector", "predictionCol": "cluster", "seed": settings.seed}
    if settings.method == "bisecting":
        return BisectingKMeans(k=k, **columns).fit(points).transform(points)
    return KMeans(k=k, maxIter=_ITERATIONS, **columns).fit(points).transform(points)


def _from_centres(points: DataFrame, start: Centres) -> DataFrame:
    """Lloyd's iterations from given centres, which the DataFrame API of MLlib cannot be given."""
    about = points.select(Summarizer.variance(F.col("vector")).alias("variance")).first()
    variance = float(np.mean(about["variance"].toArray())) if about is not None else 0.0
    vectors = points.select("point").rdd.map(lambda row: Vectors.dense(row.point))
    # scikit-learn ends when all shifts together, squared, are below a part of the mean variance.
    epsilon = float(np.sqrt(_TOLERANCE * variance / len(start)))
    begun = KMeansModel([Vectors.dense(centre) for centre in start.astype(np.float64)])
    model = KMeansFromCentres.train(
        vectors, len(start), maxIterations=_ITERATIONS, epsilon=epsilon, initialModel=begun
    )
    centres = np.array(model.clusterCenters).astype(np.float32)
    place = _batched(partial(_placer, centres), IntegerType(), [[centres.shape[1]]])
    return points.withColumn("cluster", place(F.col("point")))


def _choose(points: DataFrame, settings: SparkClusterSettings, count: int) -> Choice:
    if count < 4:
        raise InputError(f"too few images to choose k from: {count}", hint="give -k a number")
    ks = tuple(range(2, max(2, min(settings.most, count // 2)) + 1))
    silhouettes, inertias = [], []
    for k in ks:
        found = _fitted(points, settings, k)
        silhouettes.append(_silhouette(found))
        means = _means(found)
        inertias.append(_inertia(_measured(found, means[0])))
    return Choice(ks, tuple(silhouettes), tuple(inertias), count)


def _silhouette(labelled: DataFrame) -> float:
    if labelled.select("cluster").distinct().count() < 2:
        return 0.0
    judge = ClusteringEvaluator(featuresCol="vector", predictionCol="cluster")
    return float(judge.evaluate(labelled))


def _described(
    labelled: DataFrame, reduction: Reduction, choice: Choice | None, *, ordered: bool
) -> SparkClustering:
    centres, counts = _means(labelled)
    if ordered:
        # The largest cluster is 0, as on one machine.
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] > 0]
        rank = {int(old): new for new, old in enumerate(order)}
        renamed = F.create_map(*[F.lit(number) for pair in rank.items() for number in pair])
        labelled = labelled.withColumn("cluster", renamed[F.col("cluster")])
        centres, counts = centres[order], counts[order]
    measured = _measured(labelled, centres)
    return SparkClustering(
        assignments=measured.select(
            "path", F.col("cluster").cast("long").alias("cluster"), "distance", "margin"
        ),
        centres=centres,
        counts=counts,
        inertia=_inertia(measured),
        silhouette=_silhouette(labelled),
        reduction=reduction,
        choice=choice,
    )


def _means(labelled: DataFrame) -> tuple[Centres, Int64[np.ndarray, "cluster"]]:
    """Each cluster's mean and size; what is empty has the mean 0."""
    found = (
        labelled.groupBy("cluster")
        .agg(Summarizer.mean(F.col("vector")).alias("mean"), F.count("path").alias("count"))
        .collect()
    )
    clusters = max(row["cluster"] for row in found) + 1
    centres = np.zeros((clusters, len(found[0]["mean"])), np.float32)
    counts = np.zeros(clusters, np.int64)
    for row in found:
        centres[row["cluster"]], counts[row["cluster"]] = row["mean"].toArray(), row["count"]
    return centres, counts


def _measured(labelled: DataFrame, centres: Centres) -> DataFrame:
    """Path, cluster, distance and margin."""
    said = StructType([StructField("distance", FloatType()), StructField("margin", FloatType())])
    measure = _batched(partial(_measurer, centres), said, [[centres.shape[1]], None])
    both = labelled.select("path", "cluster", measure(F.col("point"), F.col("cluster")).alias("both"))
    return both.select("path", "cluster", "both.distance", "both.margin")


def _inertia(measured: DataFrame) -> float:
    distance = F.col("distance").cast("double")
    row = measured.agg(F.sum(distance * distance).alias("inertia")).first()
    return 0.0 if row is None else float(row["inertia"] or 0.0)


def _batched(make: Any, returned: DataType, shapes: Sequence[list[int] | None]) -> Any:
    """A function over batches of rows, as Spark calls it; `make` must be one that a worker can import."""
    return predict_batch_udf(make, return_type=returned, batch_size=_BATCH, input_tensor_shapes=list(shapes))


def _reducer(reduction: Reduction) -> Any:
    return lambda features: reduction(features.astype(np.float32))


def _placer(centres: Centres) -> Any:
    return lambda points: distances(points.astype(np.float32), centres).argmin(1).astype(np.int32)


def _measurer(centres: Centres) -> Any:
    def measured(points: np.ndarray, clusters: np.ndarray) -> dict[str, np.ndarray]:
        away = distances(points.astype(np.float32), centres)
        rows = np.arange(len(points))
        own = away[rows, clusters]
        away[rows, clusters] = np.inf
        other = away.min(1) if len(centres) > 1 else own
        return {
            "distance": own,
            "margin": (other - own) / np.maximum(np.maximum(own, other), np.float32(EPSILON)),
        }

    return measured
