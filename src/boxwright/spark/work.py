"""One network over many images on Spark, by waves: what features and detections have in common."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from boxwright.errors import InputError
from boxwright.image_memory import gigabytes
from boxwright.images import EMPTY, read_header, read_image
from boxwright.spark.contents import contents
from boxwright.spark.listing import KEY, UNNAMED, Listing, without
from boxwright.spark.session import sql_settings
from boxwright.spark.table import UNOPENED, WaveTable, changed

Answer = dict[str, Any]
"""What a network says of one image, by the name of the field."""
Network = Callable[[Sequence[np.ndarray]], list[Answer]]
"""Upright uint8 RGB images of any size -> an answer for each."""

_TICK_SECONDS = 0.5
_LARGEST = (1 << 31) - 1


@dataclass(frozen=True)
class Work:
    """A network and what it makes of an image.

    Attributes:
        open: makes the network, in each of Spark's Python workers once.
        answer: the fields of an answer; lists are one-dimensional.
        empty: the answer for a file that is no image.
        columns: from the struct of an answer to the table's columns of it.
        batch: images that the network sees at once.
    """

    open: Callable[[], Network]
    answer: StructType
    empty: Answer
    columns: Callable[[Column], list[Column]]
    batch: int


@dataclass(frozen=True)
class Pace:
    """How the work is cut.

    Attributes:
        task: images in a task, which is what is lost when a worker dies.
        tasks: tasks a core in a wave, which is what is lost when the driver dies.
    """

    task: int = 128
    tasks: int = 16


@dataclass(frozen=True)
class Done:
    """How a run went.

    Attributes:
        images: files that were listed.
        before: of those, done by an earlier run.
        unreadable: (path, reason) of those that are no images, an earlier run's too.
        seconds: that this run took, of the listing on.
    """

    images: int
    before: int
    unreadable: tuple[tuple[str, str], ...]
    seconds: float


Watch = Callable[[int, int, float], None]
"""Told now and then: images done, of how many, and how many a second."""


def run_work(
    spark: SparkSession, work: Work, listing: Listing, table: WaveTable, pace: Pace, watch: Watch
) -> Done:
    """Give every image of `listing` a row in `table`, and take out the rows of others.

    Args:
        spark: where.
        work: the network.
        listing: the images.
        table: where the rows go; what is there already is not done again.
        pace: how the work is cut.
        watch: told how far it is.
    """
    started, files = perf_counter(), listing.files
    done = table.keys()
    table.forget(changed(done, files))
    todo = without(files, done)
    before, total = len(files) - len(todo), len(files)
    answers, position = _answers(work), 0
    while position < len(todo):
        # Workers may come and go between two waves.
        wave = todo[position : position + spark.sparkContext.defaultParallelism * pace.task * pace.tasks]

        def tell(share: float, position: int = position, size: int = len(wave)) -> None:
            fresh = position + share * size
            watch(before + int(fresh), total, fresh / (perf_counter() - started))

        _run_wave(spark, work, answers, listing, wave, table, pace, tell)
        position += len(wave)
    rows = table.unreadable().select("path", "reason").collect()
    return Done(
        total, before, tuple(sorted((row.path, row.reason) for row in rows)), perf_counter() - started
    )


def _run_wave(
    spark: SparkSession,
    work: Work,
    answers: Any,
    listing: Listing,
    wave: pd.DataFrame,
    table: WaveTable,
    pace: Pace,
    tell: Callable[[float], None],
) -> None:
    refused = (wave.length <= 0) | (wave.length > _LARGEST)
    if refused.any():
        table.refuse(wave[refused], [_refusal(listing, *row) for row in _rows(wave[refused])])
    wave = wave[~refused]
    if not wave.empty:
        with sql_settings(spark, _settings(work, wave, pace)):
            files = contents(spark, listing, wave, pace.task)
            rows = files.select(*KEY, answers("content").alias("answer"))
            named = rows.select(*KEY, *work.columns(F.col("answer")), F.col("answer.reason").alias("reason"))
            with _watched(spark, tell):
                table.add(named, F.col("reason"), list(wave.path))
    tell(1.0)


def _rows(wave: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(wave.path, wave.length, strict=True))


def _refusal(listing: Listing, path: str, length: int) -> str:
    """Why a file is not given to the workers: what one machine says of it, where it is on this one."""
    if length == UNNAMED:
        return "its name is not UTF-8; rename it"
    if length > _LARGEST:
        return f"too large: {gigabytes(length)}, and Spark hands over 2 GB at most; shrink it"
    if listing.is_local:
        try:
            read_header(Path(listing.root, path))
        except InputError as error:
            return told(error)
    return EMPTY if length == 0 else UNOPENED


def _answers(work: Work) -> Any:
    """The network as a function of a column of files' contents."""
    fields = [*work.answer.fields, StructField("height", IntegerType()), StructField("width", IntegerType())]
    returned = StructType([*fields, StructField("reason", StringType())])
    opened = partial(_judge, work.open, work.empty)
    # Else Spark may compute it once for each column that is made of it.
    return predict_batch_udf(opened, return_type=returned, batch_size=work.batch).asNondeterministic()


def _judge(open_network: Callable[[], Network], empty: Answer) -> Callable[[np.ndarray], list[Answer]]:
    """Runs in a worker, once."""
    network = open_network()
    return lambda contents: judge(network, contents, empty)


def judge(network: Network, contents: Sequence[bytes] | np.ndarray, empty: Answer) -> list[Answer]:
    """Answers for image files, undecodable ones among them.

    Args:
        network: sees those that can be decoded, together.
        contents: of the files.
        empty: the answer for the others.

    Returns:
        For each file its answer, with height and width, and the reason where there is no image, else "".
    """
    images: list[np.ndarray] = []
    reasons = []
    for content in contents:
        try:
            images.append(read_image(bytes(content)))
            reasons.append("")
        except InputError as error:
            reasons.append(told(error))
    sizes = iter([image.shape[:2] for image in images])
    answers = iter(network(images) if images else ())
    rows = []
    for reason in reasons:
        height, width = (0, 0) if reason else next(sizes)
        answer = empty if reason else next(answers)
        rows.append({**answer, "height": height, "width": width, "reason": reason})
    return rows


def told(error: InputError) -> str:
    """What is wrong with an image, as the one-machine path says it."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _settings(work: Work, wave: pd.DataFrame, pace: Pace) -> dict[str, str]:
    """Spark's settings for a wave."""
    tasks = math.ceil(len(wave) / pace.task)
    return {
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(work.batch),
        # Files are dealt out by their bytes; an opening that counts as 4 MB would make tasks of 32 images.
        "spark.sql.files.openCostInBytes": "1",
        "spark.sql.files.maxPartitionBytes": str(math.ceil(wave.length.sum() / tasks) + pace.task),
        # A file that storage refuses must not stop a million others: it gets no row, and is written down.
        "spark.sql.files.ignoreMissingFiles": "true",
        "spark.sql.files.ignoreCorruptFiles": "true",
        # Two kinds of rows are written side by side, without a sort before.
        "spark.sql.maxConcurrentOutputFileWriters": "4",
        # Listing given files by tens of thousands of tasks takes longer than reading them.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
    }


@contextmanager
def _watched(spark: SparkSession, tell: Callable[[float], None]) -> Iterator[None]:
    """Tell from a thread which share of the tasks that are started in the block has ended."""
    context, group, ended = spark.sparkContext, f"boxwright-{uuid.uuid4().hex[:8]}", threading.Event()

    def watch() -> None:
        # With Java gone there is nobody to ask; what the block does meets that too, and says so.
        with suppress(Exception):
            follow()

    def follow() -> None:
        tracker, most = context.statusTracker(), 0.0
        while not ended.wait(_TICK_SECONDS):
            jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
            stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
            known = [stage for stage in stages if stage]
            tasks = sum(stage.numTasks for stage in known)
            # Of a stage that runs once more (its worker died) the count begins anew.
            most = max(most, sum(stage.numCompletedTasks for stage in known) / tasks) if tasks else most
            if not ended.is_set():
                tell(most)

    watcher = threading.Thread(target=watch, daemon=True)
    context.setJobGroup(group, "boxwright: images", interruptOnCancel=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        with suppress(Exception):
            context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]
