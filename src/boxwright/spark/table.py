"""What a job has made so far: a folder of Parquet that grows by whole waves, and goes on where it stopped.

    OUT/settings.json              what the rows were made with; a run with other settings is refused
    OUT/NAME/wave-.../             rows of images, NAME being what they hold: one folder a wave, plain Parquet
    OUT/unreadable/wave-.../       path, length, modified, reason of files that are no images
    OUT/staging-.../               a wave that is being written, or that a kill has left behind

A wave is written into a staging folder by one Spark job, whose tasks commit each once whoever dies, and is then
renamed into its place. An image is done when its row is in a table: so wherever a run is killed, the next one throws
the staging folders away and does what has no row. Nothing that reads the tables need know of any of this.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from boxwright.errors import InputError
from boxwright.lock import LOCK
from boxwright.outputs import RECORD
from boxwright.spark.listing import KEY, without

UNREADABLE = "unreadable"
UNOPENED = "no such file, or it cannot be opened"
KEY_FIELDS = [
    StructField("path", StringType()),
    StructField("length", LongType()),
    StructField("modified", LongType()),
]
_REFUSED = StructType([*KEY_FIELDS, StructField("reason", StringType())])
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class Folder:
    """A folder in any file system that Spark can write.

    Attributes:
        spark: whose file systems they are.
        address: of the folder.
    """

    spark: SparkSession
    address: str

    def at(self, name: str) -> str:
        """The address of something in it."""
        return f"{self.address.rstrip('/')}/{name}"

    def names(self, name: str = "") -> list[str]:
        """What lies in a subfolder, sorted; nothing where there is none."""
        files, path = self._system(name)
        return (
            sorted(entry.getPath().getName() for entry in files.listStatus(path))
            if files.exists(path)
            else []
        )

    def delete(self, name: str) -> None:
        """Remove a file or a folder with all that is in it."""
        files, path = self._system(name)
        files.delete(path, True)

    def rename(self, old: str, new: str) -> None:
        """Give a folder its place, whose parent is made; nothing happens where there is no `old`."""
        files, path = self._system(old)
        if not files.exists(path):
            return
        target = self._system(new)[1]
        files.mkdirs(target.getParent())
        if files.exists(target) or not files.rename(path, target):
            raise InputError(f"cannot be renamed to {new}", path=self.at(old), hint="check the rights there")

    def replace(self, name: str, write: Callable[[str], None]) -> None:
        """Let a table take the place of the one of before, when it is whole.

        Args:
            name: of its folder.
            write: makes it at the address that it is given.
        """
        staging = f"staging-{uuid.uuid4().hex[:8]}"
        write(self.at(staging))
        self.delete(name)
        self.rename(staging, name)

    def read_text(self, name: str) -> str | None:
        """A file's text, or None where there is no such file."""
        files, path = self._system(name)
        if not files.exists(path):
            return None
        stream = files.open(path)
        try:
            jvm: Any = self.spark._jvm
            return bytes(jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode()
        finally:
            stream.close()

    def write_text(self, name: str, text: str) -> None:
        """Make a file, whole, in the place of one of before."""
        temporary = f"{name}.{uuid.uuid4().hex[:8]}.part"
        files, path = self._system(temporary)
        stream = files.create(path, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        self.delete(name)
        self.rename(temporary, name)

    def _system(self, name: str) -> tuple[Any, Any]:
        jvm: Any = self.spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(self.at(name) if name else self.address)
        return path.getFileSystem(self.spark._jsc.hadoopConfiguration()), path


class WaveTable:
    """The rows made so far of one job, in one folder.

    Args:
        spark: reads and writes it.
        address: the folder; made when it is needed.
        name: of the rows of readable images, and of their folder: "features".
        schema: of the rows of readable images, the key's columns first.
        settings: JSON values that decide what the rows hold.

    Raises:
        InputError: the folder holds something else, or rows that were made with other settings.
    """

    def __init__(
        self, spark: SparkSession, address: str, name: str, schema: StructType, settings: dict[str, Any]
    ) -> None:
        self.spark, self.name, self.folder = spark, name, Folder(spark, address)
        self._schemas = {name: schema, UNREADABLE: _REFUSED}
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._agree(self.settings)
        for name in self.folder.names():
            if name.startswith("staging-") or name.endswith(".part"):
                self.folder.delete(name)

    def _agree(self, settings: dict[str, Any]) -> None:
        text = self.folder.read_text(_SETTINGS)
        if text is None:
            # The lock and the record are ours.
            if set(self.folder.names()) - {LOCK, RECORD}:
                raise InputError(
                    "is not empty, and was not made by this job",
                    path=self.folder.address,
                    hint="choose another output folder",
                )
            self.folder.write_text(_SETTINGS, json.dumps(settings, indent=1, sort_keys=True) + "\n")
            return
        try:
            before = json.loads(text)
        except ValueError:
            before = {}
        other = sorted(
            name for name in before.keys() | settings.keys() if before.get(name) != settings.get(name)
        )
        if other:
            raise InputError(
                f"was made with another {', '.join(other)}",
                path=self.folder.address,
                hint="choose another output folder, or delete this one",
            )

    def rows(self) -> DataFrame:
        """Those of readable images so far."""
        return self._rows(self.name)

    def unreadable(self) -> DataFrame:
        """Those of files that are no images: path, length, modified, reason."""
        return self._rows(UNREADABLE)

    def _rows(self, kind: str) -> DataFrame:
        return self._read(kind, [f"{kind}/{wave}" for wave in self.folder.names(kind)])

    def keys(self) -> pd.DataFrame:
        """The key of each image that is done, and the wave and kind of its row."""
        found = [self._located(kind) for kind in (self.name, UNREADABLE)]
        return pd.concat(found, ignore_index=True)

    def add(self, rows: DataFrame, reason: Column, expected: Sequence[str]) -> None:
        """Write one wave.

        Args:
            rows: with the columns of the schema, computed once.
            reason: why an image could not be read; empty for those that could.
            expected: the paths that should have a row. One that Spark could not open has none, and is written down
                as unreadable under a key that no file has, so that the next run tries it again.
        """
        staging = f"staging-{uuid.uuid4().hex[:8]}"
        address = self.folder.at(staging)
        # Rows of both kinds come out of one pass, into one folder each; what a kind has not is null.
        kind = F.when(reason == "", self.name).otherwise(UNREADABLE)
        written = rows.withColumns({"reason": F.nullif(reason, F.lit("")), "kind": kind})
        written.write.partitionBy("kind").parquet(address)
        there = self.spark.read.schema(StructType(KEY_FIELDS)).parquet(address).select("path").toPandas().path
        lost = sorted(set(expected) - set(there))
        if lost:
            whole = self.spark.createDataFrame([(path, -1, -1, UNOPENED) for path in lost], _REFUSED)
            whole.write.mode("append").parquet(f"{address}/kind={UNREADABLE}")
        self._place(staging)

    def refuse(self, files: pd.DataFrame, reasons: Sequence[str]) -> None:
        """Write down files that need not be opened to be known as unreadable.

        Args:
            files: with the key's columns.
            reasons: for each of them.
        """
        staging = f"staging-{uuid.uuid4().hex[:8]}"
        rows = self.spark.createDataFrame(files[list(KEY)].assign(reason=list(reasons)), _REFUSED)
        rows.coalesce(1).write.parquet(f"{self.folder.at(staging)}/kind={UNREADABLE}")
        self._place(staging)

    def forget(self, stale: pd.DataFrame) -> None:
        """Take out the rows of images that have changed or gone.

        Args:
            stale: some rows of `keys`.
        """
        for (kind, wave), gone in stale.groupby(["kind", "wave"]):
            place, staging = f"{kind}/{wave}", f"staging-{uuid.uuid4().hex[:8]}"
            keys = self.spark.createDataFrame(gone[list(KEY)], StructType(KEY_FIELDS))
            kept = self._read(kind, [place]).join(F.broadcast(keys), list(KEY), "left_anti")
            kept.write.parquet(self.folder.at(f"{staging}/kind={kind}"))
            # Between the two steps the wave's images have no rows: killed there, they are done once more.
            self.folder.delete(place)
            self._place(staging)

    def _place(self, staging: str) -> None:
        wave = f"wave-{uuid.uuid4().hex[:12]}"
        for kind in (UNREADABLE, self.name):
            self.folder.rename(f"{staging}/kind={kind}", f"{kind}/{wave}")
        self.folder.delete(staging)

    def _read(self, kind: str, places: list[str]) -> DataFrame:
        if not places:
            return self.spark.createDataFrame([], self._schemas[kind])
        addresses = [self.folder.at(place) for place in places]
        return self.spark.read.schema(self._schemas[kind]).parquet(*addresses)

    def _located(self, kind: str) -> pd.DataFrame:
        wave = F.element_at(F.split("_metadata.file_path", "/"), -2).alias("wave")
        if not self.folder.names(kind):
            return pd.DataFrame({name: [] for name in (*KEY, "wave", "kind")})
        return self._rows(kind).select(*KEY, wave).toPandas().assign(kind=kind)


def changed(done: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    """Those of the rows that are done whose file has changed, or is gone."""
    return without(done, files)
