"""Features on Spark: a backbone's graph over many images, a row of features for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from pyspark import Broadcast
from pyspark.sql import Column, SparkSession
from pyspark.sql.types import ArrayType, FloatType, IntegerType, StructField, StructType

from boxwright.cluster.extractor import Extractor
from boxwright.spark.listing import list_images
from boxwright.spark.table import KEY_FIELDS, WaveTable
from boxwright.spark.work import Answer, Done, Network, Pace, Watch, Work, run_work

SCHEMA = StructType(
    [
        *KEY_FIELDS,
        StructField("height", IntegerType()),
        StructField("width", IntegerType()),
        StructField("feature", ArrayType(FloatType())),
    ]
)
"""The columns of `boxwright.cluster.table`."""

_ANSWER = StructType([StructField("feature", ArrayType(FloatType()))])


def extract_features(
    spark: SparkSession, graph: bytes, source: str, out: str, *, batch: int, pace: Pace, watch: Watch
) -> tuple[WaveTable, Done]:
    """The features of many images; goes on where an earlier run in the same folder stopped.

    Args:
        spark: where.
        graph: from `boxwright.cluster.extractor.build_graph`.
        source: as in `list_images`.
        out: the folder for the tables, see `WaveTable`; rows as in `SCHEMA`.
        batch: images that the network sees at once; no feature depends on it.
        pace: how the work is cut.
        watch: told how far it is.

    Raises:
        InputError: no images, or a folder with features that were made with other settings.
    """
    listing = list_images(spark, source, without=out)
    said = {"job": "features", "images": listing.root, **Extractor(graph, threads=1).settings}
    table = WaveTable(spark, out, "features", SCHEMA, said)
    shared = spark.sparkContext.broadcast(graph)
    try:
        work = Work(partial(_open, shared), _ANSWER, {"feature": np.zeros(0, np.float32)}, _columns, batch)
        done = run_work(spark, work, listing, table, pace, watch)
    finally:
        shared.unpersist()
    return table, done


def _open(shared: Broadcast[bytes]) -> Network:
    extractor = Extractor(shared.value, threads=1)

    def features(images: Sequence[np.ndarray]) -> list[Answer]:
        inputs = np.stack([extractor.prepare(image) for image in images])
        return [{"feature": feature} for feature in extractor.run(inputs)]

    return features


def _columns(answer: Column) -> list[Column]:
    return [answer[name].alias(name) for name in ("height", "width", "feature")]
