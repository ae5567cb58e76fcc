"""What a clustering leaves in its folder: tables, centres, a summary, and the page made of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from boxwright.cluster.duplicates import Duplicates
from boxwright.cluster.local import Clustering
from boxwright.cluster.truth import Agreement, agreement
from boxwright.files import replacing, write_text

NEAREST = 20
"""Images nearest to its centre that are listed of each cluster."""


RESULTS = (
    *(
        "assignments.parquet",
        "assignments.csv",
        "nearest.csv",
        "duplicates.csv",
        "centres.npz",
        "summary.json",
    ),
    *("choice.svg", "sheet.html"),
)
"""The files of a clustering, in its folder."""


@dataclass(frozen=True)
class Clustered:
    """A clustering of named images, and what is known of them.

    Attributes:
        root: the folder that paths are relative to.
        paths: of the images.
        clustering: of the images, in the same order.
        duplicates: of the images, by their numbers.
        labels: that were known before; None where there are none.
        settings: how clusters were found: a `ClusterSettings`, or Spark's.
        source: what the features are: backbone, tap and so on.
    """

    root: Path
    paths: tuple[str, ...]
    clustering: Clustering
    duplicates: Duplicates
    labels: tuple[str, ...] | None
    settings: Any
    source: dict[str, Any]

    def members(self, cluster: int) -> Int64[np.ndarray, "image"]:
        """Numbers of a cluster's images, the nearest to its centre first."""
        found = np.flatnonzero(self.clustering.labels == cluster)
        return found[np.argsort(self.clustering.distances[found], kind="stable")]

    @property
    def agreement(self) -> Agreement | None:
        """With the labels."""
        return None if self.labels is None else agreement(self.labels, self.clustering.labels)

    def summary(self) -> dict[str, Any]:
        """Figures of the whole, as JSON."""
        clustering, choice = self.clustering, self.clustering.choice
        agreed = self.agreement
        return {
            "images": len(self.paths),
            "clusters": len(clustering.centres),
            "counts": clustering.counts.tolist(),
            "in_no_cluster": int((clustering.labels < 0).sum()),
            "inertia": clustering.inertia,
            "mean_margin": float(clustering.margins.mean()),
            "components": clustering.centres.shape[1],
            "explained": clustering.reduction.explained,
            "choice": None if choice is None else asdict(choice),
            "duplicates": self.duplicates.total,
            "duplicates_below": self.duplicates.below,
            "labels": None if agreed is None else asdict(agreed),
            "settings": asdict(self.settings),
            "features": self.source,
        }


def write_results(clustered: Clustered, out: Path) -> None:
    """Write assignments.parquet, assignments.csv, nearest.csv, duplicates.csv, centres.npz and summary.json.

    Args:
        clustered: what was found.
        out: the folder.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    clustering = clustered.clustering
    columns = {
        "path": list(clustered.paths),
        "cluster": clustering.labels.tolist(),
        "distance": clustering.distances,
        "margin": clustering.margins,
    }
    _parquet(out / "assignments.parquet", columns)
    rows = zip(*(_texts(column) for column in columns.values()), strict=True)
    _csv(out / "assignments.csv", tuple(columns), rows)
    _csv(out / "nearest.csv", ("cluster", "rank", "path", "distance"), _nearest(clustered))
    _csv(out / "duplicates.csv", ("first", "second", "distance"), _pairs(clustered))
    _centres(out / "centres.npz", clustering)
    write_text(out / "summary.json", json.dumps(clustered.summary(), indent=1) + "\n")


def _nearest(clustered: Clustered) -> Iterable[Sequence[Any]]:
    for cluster in range(len(clustered.clustering.centres)):
        for rank, image in enumerate(clustered.members(cluster)[:NEAREST], 1):
            yield cluster, rank, clustered.paths[image], f"{clustered.clustering.distances[image]:.6g}"


def _pairs(clustered: Clustered) -> Iterable[Sequence[Any]]:
    found = clustered.duplicates
    for (first, second), away in zip(found.pairs, found.distances, strict=True):
        yield clustered.paths[first], clustered.paths[second], f"{away:.6f}"


def _texts(column: Sequence[Any] | Float32[np.ndarray, "image"]) -> list[Any]:
    return [f"{value:.6g}" for value in column] if isinstance(column, np.ndarray) else list(column)


def _csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    lines.writerows(rows)
    write_text(path, text.getvalue())


def _parquet(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as file:
        pq.write_table(pa.table(columns), file, compression="zstd")


def _centres(path: Path, clustering: Clustering) -> None:
    """Centres, and what takes features to where they are: enough to place images that are to come."""
    reduction = clustering.reduction
    arrays: dict[str, Any] = {"centres": clustering.centres, "normalise": np.array(reduction.normalise)}
    for name in ("mean", "components", "scale"):
        if (array := getattr(reduction, name)) is not None:
            arrays[name] = array
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)
