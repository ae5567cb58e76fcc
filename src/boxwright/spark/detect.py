"""Detection on Spark: a detector's graph over many images, a row of boxes for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pyspark import Broadcast
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from boxwright.loading import PACKAGED, load
from boxwright.runtime.onnx import OnnxEngine, OnnxModel, read_graph
from boxwright.spark.listing import list_images
from boxwright.spark.table import KEY_FIELDS, WaveTable
from boxwright.spark.work import Answer, Done, Network, Pace, Watch, Work, run_work

SCHEMA = StructType(
    [
        *KEY_FIELDS,
        StructField("height", IntegerType()),
        StructField("width", IntegerType()),
        StructField("boxes", ArrayType(ArrayType(FloatType()))),
        StructField("scores", ArrayType(FloatType())),
        StructField("labels", ArrayType(LongType())),
        StructField("names", ArrayType(StringType())),
    ]
)
"""One row an image: boxes xyxy in the pixels of the upright image, best score first; labels are the data set's ids."""

_ANSWER = StructType(
    [
        StructField("corners", ArrayType(FloatType())),
        StructField("scores", ArrayType(FloatType())),
        StructField("labels", ArrayType(LongType())),
        StructField("index", ArrayType(LongType())),
    ]
)


@dataclass(frozen=True)
class DetectionSettings:
    """What decides the boxes, beside the model.

    Attributes:
        score: detections from this score on; None is the model's own threshold.
        batch: images that the network sees at once.
    """

    score: float | None = None
    batch: int = 1


def detect_images(
    spark: SparkSession,
    model: str | Path,
    source: str,
    out: str,
    settings: DetectionSettings,
    *,
    pace: Pace,
    watch: Watch,
) -> tuple[WaveTable, Done]:
    """Detect on many images; goes on where an earlier run in the same folder stopped.

    Args:
        spark: where.
        model: an exported `.onnx`, or a packaged model's name.
        source: as in `list_images`.
        out: the folder for the tables, see `WaveTable`; rows as in `SCHEMA`.
        settings: what decides the boxes.
        pace: how the work is cut.
        watch: told how far it is.

    Raises:
        InputError: no such model, nothing to detect on, or a folder with rows of another model.
    """
    graph, names = _graph(model)
    said: dict[str, Any] = {
        "graph": sha256(graph).hexdigest(),
        "score": settings.score,
        "batch": settings.batch,
    }
    listing = list_images(spark, source, without=out)
    said |= {"job": "detect", "images": listing.root}
    table = WaveTable(spark, out, "detections", SCHEMA, said)
    shared = spark.sparkContext.broadcast(graph)
    try:
        work = Work(
            partial(_open, shared, settings), _ANSWER, _EMPTY, partial(_columns, names), settings.batch
        )
        done = run_work(spark, work, listing, table, pace, watch)
    finally:
        shared.unpersist()
    return table, done


def _graph(model: str | Path) -> tuple[bytes, tuple[str, ...]]:
    """A model's graph and its classes; the graph is opened once here, where an error is one line."""
    opened = load(model, engine="onnx")
    if not isinstance(opened, OnnxModel):
        from boxwright.errors import InputError

        raise InputError(
            "Spark runs exported models", path=model, hint="boxwright export makes an .onnx of it"
        )
    file = Path(model) if Path(model).suffix else PACKAGED / f"{model}.onnx"
    return read_graph(file), opened.classes


def _open(shared: Broadcast[bytes], settings: DetectionSettings) -> Network:
    predictor = OnnxModel(OnnxEngine(shared.value, threads=1)).predictor()

    def detect(images: Sequence[np.ndarray]) -> list[Answer]:
        found = predictor.predict(list(images), settings.score, batch=settings.batch)
        return [
            {
                "corners": result.boxes.reshape(-1),
                "scores": result.scores,
                "labels": result.labels,
                "index": result.index,
            }
            for result in found
        ]

    return detect


_EMPTY: dict[str, Any] = {
    "corners": np.zeros(0, np.float32),
    "scores": np.zeros(0, np.float32),
    "labels": np.zeros(0, np.int64),
    "index": np.zeros(0, np.int64),
}


def _columns(names: Sequence[str], answer: Column) -> list[Column]:
    def boxes(corners: Column) -> Column:
        starts = F.sequence(F.lit(1), F.size(corners) - 3, F.lit(4))
        return F.when(F.size(corners) == 0, F.array()).otherwise(
            F.transform(starts, lambda i: F.slice(corners, i, 4))
        )

    known = F.array(*[F.lit(name) for name in names])
    return [
        answer.height.alias("height"),
        answer.width.alias("width"),
        boxes(answer.corners).alias("boxes"),
        answer.scores.alias("scores"),
        answer.labels.alias("labels"),
        F.transform(answer["index"], lambda i: F.element_at(known, i.cast("int") + 1)).alias("names"),
    ]
