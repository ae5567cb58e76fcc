"""The contents of listed files as a table: by Spark's own reader, and by workers what that reader passes over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from boxwright.errors import InputError
from boxwright.regular import open_regular
from boxwright.spark.listing import KEY, Listing

_COLUMNS = "path string, length long, modified long, content binary"
# Hadoop takes names that begin so for files of its own, and a colon for the end of a scheme.
_PASSED_OVER = re.compile(r"^[._]|:")


def contents(spark: SparkSession, listing: Listing, files: pd.DataFrame, task: int) -> DataFrame:
    """Path (relative to the root), length, modified and content of files.

    Args:
        spark: where.
        listing: the root.
        files: some of its rows; one that cannot be opened any more is left out.
        task: files in a task, of those that workers open themselves.
    """
    ours = files.path.map(_is_passed_over).to_numpy(bool) & listing.is_local
    parts = []
    if not ours.all():
        parts.append(_by_spark(spark, listing, list(files.path[~ours])))
    if ours.any():
        named = spark.createDataFrame(files.loc[ours, ["path"]], "path string")
        spread = named.repartition(int(np.ceil(ours.sum() / task)))
        parts.append(spread.mapInPandas(partial(_opened, listing.root), _COLUMNS))
    return parts[0] if len(parts) == 1 else parts[0].union(parts[1])


def _is_passed_over(path: str) -> bool:
    """Whether Spark's reader leaves out a file of this name.

    >>> _is_passed_over("a/_DSC0001.JPG"), _is_passed_over("_a/1.jpg"), _is_passed_over("a:1/b.jpg")
    (True, False, True)
    """
    return ":" in path or _PASSED_OVER.match(PurePosixPath(path).name) is not None


def _opened(root: str, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Runs in a worker; opens files one at a time."""
    for path in (path for frame in frames for path in frame.path):
        file = Path(root, path)
        try:
            with open_regular(file) as source:
                about = file.stat()
                content = source.read()
        except OSError:
            continue
        row = (path, about.st_size, about.st_mtime_ns // 1_000_000, content)
        yield pd.DataFrame([row], columns=[*KEY, "content"])


def _by_spark(spark: SparkSession, listing: Listing, paths: list[str]) -> DataFrame:
    """The files as Spark's binary source; one that has gone since it was listed is left out."""
    modified = F.unix_millis("modificationTime").alias("modified")
    while True:
        try:
            files = spark.read.format("binaryFile").load([listing.given(path) for path in paths])
            return files.select(listing.relative(F.col("path")).alias("path"), "length", modified, "content")
        except AnalysisException as error:
            if error.getCondition() != "PATH_NOT_FOUND":
                raise
            gone = (error.getMessageParameters() or {}).get("path", "")
            left = [path for path in paths if gone not in (listing.given(path), listing.address + path)]
            if len(left) == len(paths) or not left:
                raise InputError("cannot be opened", path=gone, hint="check that it is there") from error
            paths = left
