"""Features as Parquet: a row an image, sorted by path, and in the schema what they were made with.

Columns path, length, modified, height, width and feature, the last a list of one length. Parquet is read by
pandas, Spark, DuckDB and whatever else; nothing in it is ours but the metadata.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from boxwright.errors import InputError
from boxwright.files import replacing
from boxwright.foreign import reading
from boxwright.manifest import KEY
from boxwright.regular import check_regular

_KEYS = ("path", "length", "modified")
_KIND, _AGAIN = "table of features", "make it with boxwright features"

GROUP_BYTES = 32 << 20
"""Of features in a row group: what is held in memory at once while files are merged, for each run that made some."""


@dataclass(frozen=True)
class Described:
    """What is in a table beside its rows.

    Attributes:
        settings: all that decides the features.
        root: the folder that paths are relative to, absolute when the table was made.
        notes: where the weights came from.
    """

    settings: Mapping[str, Any]
    root: str
    notes: Mapping[str, Any]

    @property
    def columns(self) -> int:
        """Features of an image."""
        return int(self.settings["columns"])

    def schema(self) -> pa.Schema:
        """Of a table that is described so."""
        text = json.dumps({"settings": self.settings, "root": self.root, "notes": self.notes}, sort_keys=True)
        fields = {
            "path": pa.string(),
            "length": pa.int64(),
            "modified": pa.int64(),
            "height": pa.int32(),
            "width": pa.int32(),
            "feature": pa.list_(pa.float32(), self.columns),
        }
        return pa.schema(list(fields.items()), {KEY: text})


@dataclass(frozen=True)
class Row:
    """An image and its features.

    Attributes:
        path, length, modified: as of `boxwright.cluster.pictures.Picture`.
        size: (height, width) of the upright image.
        feature: of the image.
    """

    path: str
    length: int
    modified: int
    size: tuple[int, int]
    feature: Float32[np.ndarray, "feature"]


@dataclass(frozen=True)
class FeatureTable:
    """A table in memory.

    Attributes:
        described: what it was made with.
        paths: of the images, relative to its root.
        features: a row for each.
    """

    described: Described
    paths: tuple[str, ...]
    features: Float32[np.ndarray, "image feature"]


def read_table(path: Path) -> FeatureTable:
    """All of a table.

    Raises:
        InputError: missing, damaged, or no table of features.
    """
    file, described = _opened(path)
    paths: list[str] = []
    with reading(path, _KIND, again=f"delete it and {_AGAIN}"):
        # Pages of memory that no row fills are never taken, whatever number of rows the file claims.
        features = np.empty((file.metadata.num_rows, described.columns), np.float32)
        for batch in _batches(file, path, ("path", "feature")):
            rows = slice(len(paths), len(paths) + batch.num_rows)
            features[rows] = _matrix(batch.column("feature"), described.columns)
            paths += batch.column("path").to_pylist()
        if len(paths) != len(features):
            raise ValueError("it has not as many rows as it says")
        if not np.isfinite(features).all():
            raise ValueError("some features are no finite numbers")
    return FeatureTable(described, tuple(paths), features)


def read_described(path: Path) -> Described:
    """What a table was made with; raises as `read_table`."""
    return _opened(path)[1]


def read_keys(path: Path) -> Iterator[tuple[str, int, int]]:
    """Path, length and time of change of each image in a table, without its features; raises as `read_table`."""
    for batch in _batches(_opened(path)[0], path, _KEYS):
        yield from _keys(batch, path)


def write_rows(path: Path, described: Described, rows: Sequence[Row]) -> None:
    """A table of some rows.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    features = (
        np.stack([row.feature for row in rows]) if rows else np.empty((0, described.columns), np.float32)
    )
    columns = [
        pa.array([row.path for row in rows], pa.string()),
        pa.array([row.length for row in rows], pa.int64()),
        pa.array([row.modified for row in rows], pa.int64()),
        pa.array([row.size[0] for row in rows], pa.int32()),
        pa.array([row.size[1] for row in rows], pa.int32()),
        pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1), pa.float32()), described.columns),
    ]
    _write(path, described, [pa.RecordBatch.from_arrays(columns, schema=described.schema())])


def merge(
    path: Path, described: Described, files: Sequence[Path], kept: Mapping[str, tuple[int, int]]
) -> None:
    """Write the rows of several tables as one, sorted by path, whatever fits into memory.

    Args:
        path: the file, which may be one of `files`.
        described: what it says of itself.
        files: each sorted by path.
        kept: path -> length and time of change of the rows that go into it; others are left out.

    Raises:
        InputError: a damaged table, a full disk. `path` is as it was then.
    """
    _write(path, described, _grouped(_merged(files, kept), described))


_Place = tuple[pa.RecordBatch, int]


def _merged(files: Sequence[Path], kept: Mapping[str, tuple[int, int]]) -> Iterator[_Place]:
    """The wanted rows of all files by path, each once."""

    def rows(number: int, file: Path) -> Iterator[tuple[str, int, int, pa.RecordBatch]]:
        for batch in _batches(_opened(file)[0], file, None):
            for at, (path, length, modified) in enumerate(_keys(batch, file)):
                if kept.get(path) == (length, modified):
                    yield path, number, at, batch

    chains = _chains(files)
    rounds = (chain.from_iterable(rows(number, file) for file in one) for number, one in enumerate(chains))
    last = None
    for path, _, at, batch in heapq.merge(*rounds, key=lambda row: row[:3]):
        if path != last:
            yield batch, at
        last = path


def _chains(files: Sequence[Path]) -> list[list[Path]]:
    """Files in as few chains as there are runs that made them: a chain is sorted, and has one file open at a time."""
    chains: list[tuple[str, list[Path]]] = []
    for file in files:
        paths = [path for path, _, _ in read_keys(file)]
        if not paths:
            continue
        fitting = [at for at, (last, _) in enumerate(chains) if last < paths[0]]
        if fitting:
            chains[fitting[-1]] = (paths[-1], [*chains[fitting[-1]][1], file])
        else:
            chains.append((paths[-1], [file]))
    return [chain for _, chain in chains]


def _grouped(places: Iterable[_Place], described: Described) -> Iterator[pa.RecordBatch]:
    """Rows as groups of one size, whatever the sizes they came in: equal rows give equal files."""
    schema, most = described.schema(), _group(described.columns)
    runs: list[list[Any]] = []  # batch, first, count

    def group() -> pa.RecordBatch:
        parts = [batch.slice(first, count) for batch, first, count in runs]
        table = pa.Table.from_batches(parts).replace_schema_metadata(schema.metadata)
        return table.combine_chunks().to_batches()[0]

    count = 0
    for batch, at in places:
        if runs and runs[-1][0] is batch and runs[-1][1] + runs[-1][2] == at:
            runs[-1][2] += 1
        else:
            runs.append([batch, at, 1])
        count += 1
        if count == most:
            yield group()
            runs, count = [], 0
    if runs:
        yield group()


def _write(path: Path, described: Described, batches: Iterable[pa.RecordBatch]) -> None:
    with (
        replacing(path) as file,
        pq.ParquetWriter(
            file, described.schema(), compression="zstd", use_dictionary=False, write_page_checksum=True
        ) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def _group(columns: int) -> int:
    return max(1, min(1024, GROUP_BYTES // (4 * columns)))


def _opened(path: Path) -> tuple[pq.ParquetFile, Described]:
    if not path.exists():
        raise InputError("does not exist", path=path, hint=_AGAIN)
    try:
        check_regular(path)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path, hint=_AGAIN) from error
    with reading(path, "Parquet file", again=f"delete it and {_AGAIN}"):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        schema = file.schema_arrow
    with reading(path, _KIND, again=_AGAIN):
        values = json.loads((schema.metadata or {})[KEY.encode()])
        described = Described(dict(values["settings"]), str(values["root"]), dict(values["notes"]))
        if schema != described.schema():
            raise ValueError("its columns are others")
    return file, described


def _batches(file: pq.ParquetFile, path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    with reading(path, _KIND, again=f"delete it and {_AGAIN}"):
        width = file.schema_arrow.field("feature").type.list_size
        for batch in file.iter_batches(_group(width), columns=columns):
            if any(column.null_count for column in batch.columns):
                raise ValueError("some cells are empty")
            yield batch


def _keys(batch: pa.RecordBatch, path: Path) -> list[tuple[str, int, int]]:
    with reading(path, _KIND, again=f"delete it and {_AGAIN}"):
        return list(zip(*(batch.column(name).to_pylist() for name in _KEYS), strict=True))


def _matrix(column: pa.FixedSizeListArray, width: int) -> Float32[np.ndarray, "image feature"]:
    values: Float32[np.ndarray, "image feature"] = column.flatten().to_numpy().reshape(-1, width)
    return values
