"""Which images there are: a table on the driver, one row an image, before any of them is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from boxwright.cluster.pictures import list_pictures
from boxwright.errors import InputError
from boxwright.images import EXTENSIONS

KEY = ("path", "length", "modified")
"""What makes a file the same file as before: where it is, its bytes, and its time of change in milliseconds."""

UNNAMED = -2
"""The length of a file whose name Spark cannot be told."""

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Hadoop reads these as patterns in what it is given as a path.
_MEANT = re.compile(r"([\\\[\]{}*?])")


@dataclass(frozen=True)
class Listing:
    """Image files below one folder or address.

    Attributes:
        root: the folder, absolute, or the address.
        files: a row an image, sorted: path (relative to the root), length (bytes) and modified (milliseconds since
            1970); both are -1 where there is no such file. A name that is not UTF-8 is shown as Python's `ascii` has
            it, with the length `UNNAMED`.
    """

    root: str
    files: pd.DataFrame

    @property
    def address(self) -> str:
        """The root as Spark says it, with a slash behind."""
        return (self.root if _REMOTE.match(self.root) else f"file:{self.root}").rstrip("/") + "/"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or one that all machines have under the same name."""
        return not _REMOTE.match(self.root)

    def given(self, path: str) -> str:
        r"""A file's address as Spark is to be given it: never a pattern.

        >>> print(Listing("/a", pd.DataFrame()).given("b[1].jpg"))
        file:/a/b\\[1\\].jpg
        """
        return _MEANT.sub(r"\\\1", self.address + path)

    def relative(self, address: Column) -> Column:
        """What Spark's file sources say in `path`, relative to the root."""
        return F.substring(address, len(self.address) + 1, 1 << 20)


def list_images(spark: SparkSession, source: str, without: str | None = None) -> Listing:
    """The images of a folder.

    What is on this machine is listed by it, as everywhere else in boxwright, and all of it is read; what has an
    address (s3a://, hdfs://) by Spark, which passes over names that begin with a dot or an underscore.

    Args:
        spark: lists what is remote.
        source: a folder (searched to any depth), a pattern, or the address of a folder.
        without: a folder that is not searched: the one results are written to.

    Raises:
        InputError: no images there, or no such address.
    """
    if _REMOTE.match(source) and not source.startswith("file:"):
        return _remote(spark, source)
    pictures = list_pictures(
        Path(re.sub("^file:/*", "/", source)), without=None if without is None else Path(without)
    )
    root = str(pictures.root)
    if not _is_utf8(root):
        raise InputError("its name is not UTF-8", path=root, hint="rename it")
    rows = [
        (one.path, one.length, one.modified)
        if _is_utf8(one.path)
        else (ascii(one.path), UNNAMED, one.modified)
        for one in pictures.files
    ]
    return Listing(root, _table(sorted(rows)))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote(spark: SparkSession, source: str) -> Listing:
    endings = ",".join(
        "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in ending[1:])
        for ending in sorted(EXTENSIONS)
    )
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        files = reader.option("pathGlobFilter", f"*.{{{endings}}}").load(source)
        listing = Listing(_qualified(spark, source), _table([]))
        rows = _rows(files, listing)
    # A storage's refusals come in as many classes as there are storages.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"cannot be listed ({reason})", path=source, hint="check the address") from error
    if not rows:
        raise InputError("no images here", path=source, hint="name a folder with images")
    return Listing(listing.root, _table(sorted(rows)))


def _rows(files: DataFrame, listing: Listing) -> list[tuple[str, int, int]]:
    modified = F.unix_millis("modificationTime")
    named = files.select(listing.relative(F.col("path")), "length", modified)
    rows = [tuple(row) for row in named.toLocalIterator(prefetchPartitions=True)]
    # Spark opens no file of 0 bytes, and lists none here: they are damaged images all the same.
    there = {row[0] for row in rows}
    every = [unquote(name).removeprefix(listing.address) for name in files.inputFiles()]
    return rows + [(path, 0, 0) for path in every if path not in there]


def _qualified(spark: SparkSession, address: str) -> str:
    jvm = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(address)  # type: ignore[union-attr]
    system = path.getFileSystem(spark._jsc.hadoopConfiguration())
    return str(system.makeQualified(path).toString())


def _table(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    paths, lengths, times = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"path": pd.Series(paths, dtype=object)}
    return pd.DataFrame(
        columns | {"length": np.array(lengths, np.int64), "modified": np.array(times, np.int64)}
    )


def without(files: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The rows of `files` whose key is not among those of `others`."""
    if others.empty:
        return files
    known = pd.MultiIndex.from_frame(others[list(KEY)])
    return files[~pd.MultiIndex.from_frame(files[list(KEY)]).isin(known)].reset_index(drop=True)
