"""Images or features to clusters on Spark, and what stays of it in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from pyspark.sql import DataFrame, SparkSession

from boxwright.cluster.duplicates import near_duplicates
from boxwright.cluster.local import Clustering
from boxwright.cluster.results import Clustered
from boxwright.cluster.truth import folder_labels
from boxwright.errors import InputError
from boxwright.spark.cluster import SparkClustering, SparkClusterSettings, clustered_rows
from boxwright.spark.session import sql_settings
from boxwright.spark.table import Folder

GATHERED_BYTES = 256 << 20
"""Of features that are still gathered on the driver, for near-duplicates and the page of pictures."""


@dataclass(frozen=True)
class Described:
    """Of a clustering on Spark, what the driver has of it.

    Attributes:
        summary: figures of the whole, as JSON.
        gathered: the same as one machine would have it, for its tables and its page; None where that is too much.
    """

    summary: dict[str, Any]
    gathered: Clustered | None


def cluster_on_spark(
    spark: SparkSession,
    rows: DataFrame,
    root: str,
    source: dict[str, Any],
    out: str,
    settings: SparkClusterSettings,
    centres: Float32[np.ndarray, "cluster feature"] | None = None,
    *,
    below: float | None = None,
    gather: bool = True,
) -> Described:
    """Cluster a table of features; OUT gets assignments/ and centres/, Parquet in parts, and summary.json.

    Args:
        spark: where.
        rows: path and feature of each image.
        root: what paths are relative to: a folder or an address.
        source: what the features are, for the summary.
        out: the folder.
        settings: how.
        centres: where k-means begins, as features.
        below: cosine distance of near-duplicates, which are looked for where features are gathered; None is the
            usual one.
        gather: whether the driver may have all features, where they are few enough.
    """
    folder = Folder(spark, out)
    # Waves leave many small files, and k-means sends k means about from each partition: few of them, then.
    with (
        sql_settings(spark, {"spark.sql.files.openCostInBytes": "65536"}),
        clustered_rows(rows, settings, centres) as found,
    ):
        folder.replace("assignments", lambda address: found.assignments.write.parquet(address))
        written = spark.read.parquet(folder.at("assignments"))
        folder.replace("centres", lambda address: _centres(spark, found).write.parquet(address))
        images = int(found.counts.sum())
        columns = len(found.reduction.mean) if found.reduction.mean is not None else found.centres.shape[1]
        gathered = None
        if gather and 4 * images * columns <= GATHERED_BYTES:
            gathered = _gathered(rows, written, found, root, source, settings, below)
        summary = _summary(found, source, settings) if gathered is None else gathered.summary()
        summary |= {"silhouette": found.silhouette}
        folder.write_text("summary.json", json.dumps(summary, indent=1) + "\n")
    return Described(summary, gathered)


def read_features(spark: SparkSession, address: str) -> tuple[DataFrame, str, dict[str, Any]]:
    """A table of features, of one machine (a file) or of Spark (a folder): its rows, root and description.

    Raises:
        InputError: no such table, or another one.
    """
    try:
        # Waves are plain folders in the table's.
        rows = spark.read.option("recursiveFileLookup", "true").parquet(address)
    except Exception as error:
        raise InputError(
            "is no table of features", path=address, hint="make it with boxwright features"
        ) from error
    if not {"path", "feature"} <= set(rows.columns):
        raise InputError("is no table of features", path=address, hint="make it with boxwright features")
    if Path(address).is_file():
        from boxwright.cluster.table import read_described

        described = read_described(Path(address))
        return rows, described.root, dict(described.settings)
    text = Folder(spark, address.rstrip("/").rpartition("/")[0]).read_text("settings.json")
    try:
        said = json.loads(text or "")
        root, known = str(said.pop("images")), {"backbone", "tap", "pool"} <= set(said)
    except (ValueError, KeyError, AttributeError):
        known = False
    if not known:
        raise InputError(
            "has no settings.json beside it that says what its features are",
            path=address,
            hint="give the folder features/ where the job has left it",
        )
    return rows, root, said


def _centres(spark: SparkSession, found: SparkClustering) -> DataFrame:
    """Cluster, images in it, and its centre among the points that were clustered."""
    rows = zip(range(len(found.centres)), found.counts.tolist(), found.centres.tolist(), strict=True)
    return spark.createDataFrame(list(rows), "cluster long, images long, centre array<float>").coalesce(1)


def _gathered(
    rows: DataFrame,
    assignments: DataFrame,
    found: SparkClustering,
    root: str,
    source: dict[str, Any],
    settings: SparkClusterSettings,
    below: float | None,
) -> Clustered:
    features = rows.select("path", "feature").toPandas().sort_values("path", ignore_index=True)
    table = assignments.toPandas().sort_values("path", ignore_index=True)
    clustering = Clustering(
        labels=table.cluster.to_numpy(np.int64),
        centres=found.centres,
        distances=table.distance.to_numpy(np.float32),
        margins=table.margin.to_numpy(np.float32),
        inertia=found.inertia,
        reduction=found.reduction,
        choice=found.choice,
    )
    paths = tuple(table.path)
    matrix = np.stack(list(features.feature)).astype(np.float32)
    return Clustered(
        root=Path(root),
        paths=paths,
        clustering=clustering,
        duplicates=near_duplicates(matrix, below),
        labels=folder_labels(paths),
        settings=settings,
        source=source,
    )


def _summary(
    found: SparkClustering, source: dict[str, Any], settings: SparkClusterSettings
) -> dict[str, Any]:
    return {
        "images": int(found.counts.sum()),
        "clusters": len(found.centres),
        "counts": found.counts.tolist(),
        "inertia": found.inertia,
        "components": found.centres.shape[1],
        "explained": found.reduction.explained,
        "choice": None if found.choice is None else asdict(found.choice),
        "settings": asdict(settings),
        "features": source,
    }
