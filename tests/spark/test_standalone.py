"""The job as a person runs it, on a master with two workers of their own, one of which is killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boxwright.cluster.extractor import Extractor, build_graph
from boxwright.cluster.features import extract
from boxwright.cluster.pictures import list_pictures
from boxwright.cluster.table import read_table
from boxwright.spark import job

from .pictures import photographs
from .standalone import HOME, cluster

NETWORK = ["--backbone", "efficientnet-lite0", "--tap", "stage2", "--size", "32", "--weights", "none"]
ENVIRONMENT = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}


def alone(images: Path, out: Path) -> tuple[list[str], np.ndarray]:
    graph = build_graph("efficientnet-lite0", "stage2", size=32, weights="none")
    table = read_table(extract(list_pictures(images), Extractor(graph, 1), out).table)
    return list(table.paths), table.features


def rows(out: Path) -> tuple[list[str], np.ndarray]:
    table = pd.read_parquet(out / "features").sort_values("path")
    return list(table.path), np.stack(list(table.feature))


def checked(command: Sequence[str], code: int = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr  # spark-submit gives both as one


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_and_spark_submit(java: str, tmp_path: Path) -> None:
    images, out = photographs(tmp_path / "images", 900), tmp_path / "out"
    (images / "bad.jpg").write_bytes(b"none")
    given = ["cluster", str(images), "-k", "3", *NETWORK, "-o", str(out)]
    with cluster(tmp_path / "cluster") as machines:
        command = [sys.executable, "-m", "boxwright", *given, "--spark", machines.address]
        job_run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert job_run.stderr is not None
        # As soon as tasks end: executors are at work then.
        staging = threading.Thread(target=lambda: _wait_for_tasks(out))
        staging.start()
        staging.join()
        machines.kill(1)
        _, said = job_run.communicate(timeout=300)
        assert job_run.returncode == 1, said
        assert "bad.jpg: not an image" in said
        assert re.search(r"900 images in 3 clusters", said)
        assert "WARN" not in said and "Exception" not in said
        paths, features = rows(out)
        wanted, same = alone(images, tmp_path / "alone.parquet")
        assert paths == wanted
        np.testing.assert_array_equal(features, same)
        assert set(pd.read_parquet(out / "unreadable").path) == {"bad.jpg"}
        assert (
            len(pd.read_parquet(out / "assignments"))
            == len(pd.read_parquet(out / "assignments.parquet"))
            == 900
        )
        assert json.loads((out / "summary.json").read_text())["images"] == 900
        assert (out / "sheet.html").stat().st_size > 10_000

        # The same on the worker that is left, by spark-submit: nothing is done anew.
        submit = [str(HOME / "bin/spark-submit"), "--master", machines.address, job.__file__, *given]
        before = {file: file.stat().st_mtime_ns for file in (out / "features").rglob("*.parquet")}
        assert "900 images in 3 clusters" in checked(submit, code=1)
        assert before == {file: file.stat().st_mtime_ns for file in (out / "features").rglob("*.parquet")}


def _wait_for_tasks(out: Path) -> None:
    ends = time.monotonic() + 200
    while not list(out.glob("staging-*/_temporary/0/task_*")) and time.monotonic() < ends:
        time.sleep(0.02)


@pytest.mark.slow
def test_a_local_cluster_does_the_same(java: str, tmp_path: Path) -> None:
    images, out = photographs(tmp_path / "images", 20), tmp_path / "out"
    given = [
        "cluster",
        str(images),
        "-k",
        "2",
        *NETWORK,
        "-o",
        str(out),
        "--spark",
        "local-cluster[2,1,1024]",
    ]
    assert "20 images in 2 clusters" in checked([sys.executable, "-m", "boxwright", *given])
    paths, features = rows(out)
    wanted, same = alone(images, tmp_path / "alone.parquet")
    assert paths == wanted
    np.testing.assert_array_equal(features, same)


@pytest.mark.slow
def test_a_driver_that_is_killed_loses_a_wave_at_most(java: str, tmp_path: Path) -> None:
    images, out = photographs(tmp_path / "images", 60), tmp_path / "out"
    script = (
        "import sys\n"
        "from boxwright.cluster.extractor import build_graph\n"
        "from boxwright.spark.features import extract_features\n"
        "from boxwright.spark.session import spark_session\n"
        "from boxwright.spark.work import Pace\n"
        "graph = build_graph('efficientnet-lite0', 'stage2', size=32, weights='none')\n"
        "with spark_session('local[2]') as spark:\n"
        "    table, done = extract_features(spark, graph, sys.argv[1], sys.argv[2], batch=4, pace=Pace(5, 2),\n"
        "                                   watch=lambda *_: None)\n"
        "    print(done.before)\n"
    )
    command = [sys.executable, "-c", script, str(images), str(out)]
    first = subprocess.Popen(command, env=ENVIRONMENT)
    while not list(out.glob("features/wave-*")):
        time.sleep(0.02)
    first.kill()
    first.wait()
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=True)
    assert 20 <= int(done.stdout) <= 60
    paths, features = rows(out)
    wanted, same = alone(images, tmp_path / "alone.parquet")
    assert paths == wanted
    np.testing.assert_array_equal(features, same)
    assert not list(out.glob("staging-*"))
