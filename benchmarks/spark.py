"""The Spark job with a worker killed in mid-job: `python -m benchmarks.spark FOLDER [--sample N] [--features TABLE]`.

Pictures are generated (seed 0, JPEG, 96 to 128 pixels a side) and their features taken four times: by one machine, by
two workers of which one is killed with all it has started, and, on a sample and in turns, by one and by two workers.
What Spark has shuffled is asked of Spark itself. One JSON object a finding; needs Linux and Java.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import threading
import time
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pyspark.sql import SparkSession
from tests.spark.standalone import JAVA, cluster, descendants

from boxwright.cluster.extractor import Extractor, build_graph
from boxwright.cluster.features import Pace as LocalPace
from boxwright.cluster.features import extract
from boxwright.cluster.local import ClusterSettings, cluster_table
from boxwright.cluster.pictures import list_pictures
from boxwright.cluster.table import read_table
from boxwright.spark.cluster import SparkClusterSettings, clustered_rows
from boxwright.spark.features import extract_features
from boxwright.spark.session import spark_session
from boxwright.spark.table import WaveTable
from boxwright.spark.work import Done, Pace

BACKBONE, TAP, SIZE, BATCH = "efficientnet-lite0", "stage5", 64, 32
PACE = Pace(task=64, tasks=16)


def generate(folder: Path, count: int) -> Path:
    """Deterministic pictures, 1000 to a folder; those that are there stay."""
    for number in range(count):
        path = folder / f"{number // 1000:03d}/{number:06d}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng((0, number))
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3)).astype(np.uint8))
        size = (int(rng.integers(96, 129)), int(rng.integers(96, 129)))
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=85)
    return folder


def checksum(paths: list[str], features: np.ndarray) -> str:
    """Of paths and features in the order of the paths, to the last bit."""
    sha = hashlib.sha256("\n".join(paths).encode())
    sha.update(np.ascontiguousarray(features, np.float32).tobytes())
    return sha.hexdigest()[:16]


def on_one_machine(images: Path, graph: bytes, out: Path, threads: int) -> tuple[float, str, int]:
    started = time.perf_counter()
    done = extract(
        list_pictures(images), Extractor(graph, threads), out, LocalPace(BATCH, threads), overwrite=True
    )
    seconds = time.perf_counter() - started
    table = read_table(done.table)
    return seconds, checksum(list(table.paths), table.features), len(table.paths)


def of_table(table: WaveTable) -> dict[str, Any]:
    rows = table.rows().select("path", "feature").toPandas().sort_values("path", ignore_index=True)
    return {
        "rows": len(rows),
        "distinct": int(rows.path.nunique()),
        "checksum": checksum(list(rows.path), np.stack(list(rows.feature))),
        "unreadable": table.unreadable().count(),
    }


def on_spark(
    spark: SparkSession, images: Path, graph: bytes, out: Path, watch: Any = lambda *_: None
) -> tuple[WaveTable, Done]:
    shutil.rmtree(out, ignore_errors=True)
    return extract_features(spark, graph, str(images), str(out), batch=BATCH, pace=PACE, watch=watch)


def stages(spark: SparkSession) -> list[dict[str, Any]]:
    """What Spark's own interface says of all stages that ran."""
    context = spark.sparkContext
    address = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}/stages?status=complete"
    with urllib.request.urlopen(address) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def say(**found: Any) -> None:
    print(json.dumps(found), flush=True)


def killed(folder: Path, images: Path, graph: bytes, count: int) -> None:
    """Two workers, one of which goes when three tenths are done."""
    with cluster(folder / "cluster-kill") as machines, spark_session(machines.address, UI) as spark:
        shot: dict[str, Any] = {}

        def watch(done: int, total: int, rate: float) -> None:
            if done >= 0.3 * total and not shot:
                shot.update(at=done, processes=1 + len(descendants(machines.workers[1].pid)))
                threading.Thread(target=machines.kill, args=(1,)).start()

        table, done = on_spark(spark, images, graph, folder / "killed", watch)
        everything = stages(spark)
        say(
            what="two workers, one killed",
            images=count,
            **of_table(table),
            seconds=round(done.seconds, 1),
            per_second=round(count / done.seconds, 1),
            killed_at=shot.get("at"),
            killed_processes=shot.get("processes"),
            failed_or_killed_tasks=sum(s["numFailedTasks"] + s["numKilledTasks"] for s in everything),
            shuffle_bytes=sum(s["shuffleWriteBytes"] for s in everything),
        )
        again, second = extract_features(
            spark, graph, str(images), str(folder / "killed"), batch=BATCH, pace=PACE, watch=lambda *_: None
        )
        say(
            what="the same once more",
            before=second.before,
            seconds=round(second.seconds, 1),
            **of_table(again),
        )


def clusters(images: Path, graph: bytes, folder: Path, count: int, table: Path | None) -> None:
    """Of the features that are there, on two local cores."""
    with spark_session("local[2]", UI) as spark:
        if table is not None:
            same_centres(spark, table, 5)
        made, _ = extract_features(
            spark, graph, str(images), str(folder / "killed"), batch=BATCH, pace=PACE, watch=lambda *_: None
        )
        shuffles(spark, made, count)


def same_centres(spark: SparkSession, file: Path, k: int) -> None:
    """MLlib and scikit-learn from the same images' features, drawn with seed 0."""
    from sklearn.metrics import adjusted_rand_score

    table = read_table(file)
    drawn = np.sort(np.random.default_rng(0).choice(len(table.paths), k, replace=False))
    alone = cluster_table(table.features, ClusterSettings(pca=64), table.features[drawn])
    rows = spark.read.parquet(str(file)).repartition(4)
    with clustered_rows(rows, SparkClusterSettings(pca=64), table.features[drawn]) as found:
        labels = found.assignments.toPandas().sort_values("path").cluster
    say(
        what="the same centres",
        table=file.name,
        images=len(table.paths),
        features=table.features.shape[1],
        k=k,
        adjusted_rand=adjusted_rand_score(alone.labels, labels),
        inertia=(alone.inertia, found.inertia),
        inertia_ratio=found.inertia / alone.inertia,
        differing=int((alone.labels != labels.to_numpy()).sum()),
    )


def shuffles(spark: SparkSession, table: WaveTable, count: int) -> None:
    """What components and k-means send about, beside what docs/spark.md computes."""
    rows = table.rows()
    last = max(s["stageId"] for s in stages(spark))
    started = time.perf_counter()
    k = 20
    with clustered_rows(rows, SparkClusterSettings(k, pca=32, seed=0)) as found:
        found.assignments.write.mode("overwrite").parquet(f"{table.folder.at('assignments')}")
        seconds = time.perf_counter() - started
        mine = [s for s in stages(spark) if s["stageId"] > last]
        loops = [s for s in mine if s["shuffleWriteBytes"] and "KMeans" in s["name"]]
        say(
            what="clusters",
            images=count,
            k=k,
            components=found.centres.shape[1],
            seconds=round(seconds, 1),
            silhouette=round(found.silhouette, 4),
            stages=len(mine),
            shuffle_bytes=sum(s["shuffleWriteBytes"] for s in mine),
            kmeans_stages=[
                {"name": s["name"], "tasks": s["numTasks"], "bytes": s["shuffleWriteBytes"]} for s in loops
            ][:4],
            kmeans_loops=len(loops),
            kmeans_bytes=sum(s["shuffleWriteBytes"] for s in loops),
            others=[
                {"name": s["name"], "tasks": s["numTasks"], "bytes": s["shuffleWriteBytes"]}
                for s in mine
                if s["shuffleWriteBytes"] and s not in loops
            ],
            result_bytes=sum(s.get("resultSize", 0) for s in mine),
        )


UI = {"spark.ui.enabled": "true", "spark.ui.port": "0", "spark.driver.host": "127.0.0.1"}


def in_turns(folder: Path, images: Path, graph: bytes, count: int, turns: int) -> None:
    """One machine on one thread and on two, one worker and two workers: each in each turn."""
    for turn in range(turns):
        load = round(os.getloadavg()[0], 1)
        for threads in (1, 2):
            before = time.process_time()
            seconds, _, _ = on_one_machine(images, graph, folder / f"alone-{threads}.parquet", threads)
            spent = time.process_time() - before
            figures(f"one machine, {threads} threads", turn, load, count, seconds, spent)
        for workers in (1, 2):
            with (
                cluster(folder / f"cluster-{workers}-{turn}", workers) as machines,
                spark_session(machines.address, UI) as spark,
            ):
                # Python's workers start, and open the graph, once a job of any size.
                on_spark(spark, images / "000", graph, folder / "warm")
                before = machines.cpu_seconds()
                _, done = on_spark(spark, images, graph, folder / f"turn-{workers}")
                spent = machines.cpu_seconds() - before
            figures(f"Spark, {workers} workers", turn, load, count, done.seconds, spent)


def figures(what: str, turn: int, load: float, count: int, seconds: float, spent: float) -> None:
    """Images a second by the clock, and what one takes of a core, which other work beside it does not change."""
    say(
        what=what,
        turn=turn,
        load=load,
        per_second=round(count / seconds, 1),
        core_milliseconds_an_image=round(1e3 * spent / count, 3),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=4_000)
    parser.add_argument("--features", type=Path, help="a table of boxwright features, for the same centres")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument(
        "--network", nargs=3, default=(BACKBONE, TAP, SIZE), metavar=("BACKBONE", "TAP", "SIZE")
    )
    parser.add_argument("--weights", default="auto", help="none, where only time is asked for")
    parts = ("kill", "alone", "turns", "clusters")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    given = parser.parse_args()
    os.environ.update(JAVA)
    say(
        what="run",
        date=str(date.today()),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        load=os.getloadavg(),
        network=" ".join(map(str, given.network)),
    )
    images = generate(given.folder / "images", given.images)
    backbone, tap, size = given.network
    graph = build_graph(backbone, tap, size=int(size), weights=given.weights)
    if "kill" in given.only:
        killed(given.folder, images, graph, given.images)
    if "alone" in given.only:
        seconds, digest, rows = on_one_machine(images, graph, given.folder / "alone.parquet", 2)
        say(what="one machine", rows=rows, checksum=digest, per_second=round(rows / seconds, 1))
    if "turns" in given.only:
        sample = generate(given.folder / f"sample-{given.sample}", given.sample)
        in_turns(given.folder, sample, graph, given.sample, given.turns)
    if "clusters" in given.only:
        clusters(images, graph, given.folder, given.images, given.features)


if __name__ == "__main__":
    main()
