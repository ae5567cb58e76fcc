"""Which images there are: a table on the driver, one row an image, before any of them is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from boxwright.errors import InputError
from boxwright.images import EXTENSIONS

KEY = ("path", "length", "modified")
"""What makes a file the same file as before: where it is, its bytes, and its time of change in milliseconds."""

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Hadoop reads these as patterns in what it is given as a path.
_MEANT = re.compile(r"([\\\[\]{}*?])")


def list_images(spark: SparkSession, sources: Sequence[str]) -> pd.DataFrame:
    """The images behind `sources`, each once, sorted by path.

    What is on this machine is listed by it, as everywhere else in boxwright; what has an address (s3a://, hdfs://)
    by Spark, which passes over names that begin with a dot or an underscore.

    Args:
        spark: lists what is remote.
        sources: folders (searched to any depth), patterns, files, and addresses of folders.

    Returns:
        Columns path (absolute, or an address), length (bytes) and modified (milliseconds since 1970); both are -1
        where there is no such file.

    Raises:
        InputError: a folder without images, or an address that does not exist.
    """
    remote = [source for source in sources if _REMOTE.match(source) and not source.startswith("file:")]
    local = [re.sub("^file:/*", "/", source) for source in sources if source not in remote]
    found = [_remote(spark, source) for source in remote] + ([_local(local)] if local else [])
    table = pd.concat(found, ignore_index=True).drop_duplicates("path")
    return table.sort_values("path", ignore_index=True)


def shown_path(path: Column) -> Column:
    """The `path` of Spark's file sources as `list_images` says it."""
    return F.regexp_replace(path, "^file:/+", "/")


def spark_path(path: str) -> str:
    r"""A path of `list_images` as Spark is to be given it: never a pattern.

    >>> print(spark_path("/a/b[1].jpg"))
    file:/a/b\[1\].jpg
    """
    address = path if _REMOTE.match(path) else f"file:{path}"
    return _MEANT.sub(r"\\\1", address)


def _local(sources: Sequence[str]) -> pd.DataFrame:
    from boxwright.runtime.sources import VIDEO_EXTENSIONS, Sources

    rows = []
    for name in Sources(sources).files():
        if name.suffix.lower() in VIDEO_EXTENSIONS:
            continue
        path = os.path.abspath(name)  # noqa: PTH100 (Path.resolve follows links, and Spark does not)
        try:
            about = Path(path).stat()
            rows.append((path, about.st_size, about.st_mtime_ns // 1_000_000))
        except OSError:
            # A link to nothing, or a name that was never there: told when nobody could read it.
            rows.append((path, -1, -1))
    return _table(rows)


def _remote(spark: SparkSession, source: str) -> pd.DataFrame:
    endings = ",".join(
        "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in ending[1:])
        for ending in sorted(EXTENSIONS)
    )
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        files = reader.option("pathGlobFilter", f"*.{{{endings}}}").load(source)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"cannot be listed ({reason})", path=source, hint="check the address") from error
    named = files.select(
        shown_path(F.col("path")).alias("path"),
        "length",
        F.unix_millis("modificationTime").alias("modified"),
    )
    rows = [tuple(row) for row in named.toLocalIterator(prefetchPartitions=True)]
    # Spark opens no file of 0 bytes, and lists none here: they are damaged images all the same.
    listed = {row[0] for row in rows}
    whole = [re.sub("^file:/+", "/", unquote(name)) for name in files.inputFiles()]
    rows += [(name, 0, 0) for name in whole if name not in listed]
    if not rows:
        raise InputError("no images at this address", path=source, hint="name a folder with images")
    return _table(rows)


def _table(rows: Sequence[tuple[str, int, int]]) -> pd.DataFrame:
    columns: list[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return pd.DataFrame(
        {
            "path": pd.Series(columns[0], dtype=object),
            "length": np.array(columns[1], np.int64),
            "modified": np.array(columns[2], np.int64),
        }
    )


def without(files: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The rows of `files` whose key is not among those of `others`."""
    if others.empty:
        return files
    known = pd.MultiIndex.from_frame(others[list(KEY)])
    return files[~pd.MultiIndex.from_frame(files[list(KEY)]).isin(known)].reset_index(drop=True)
