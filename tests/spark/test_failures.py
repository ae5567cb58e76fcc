"""Whatever Spark breaks off by is one line and the path of the log that holds the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType

from boxwright.errors import InputError
from boxwright.spark.failures import is_sparks, reason, spark_failures


def test_what_a_worker_raises_is_its_last_line(spark: SparkSession, tmp_path: Path) -> None:
    log = tmp_path / "spark.log"
    ask = F.udf(lambda number: 1 // number, IntegerType())
    with (
        pytest.raises(
            InputError, match=r"^Spark broke off: .*division.* by zero; see .*spark\.log$"
        ) as raised,
        spark_failures(log),
    ):
        spark.range(1).select(ask("id")).collect()
    assert "\n" not in str(raised.value)
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    "ask",
    [
        lambda spark: spark.read.parquet("/no/such/folder").collect(),
        lambda spark: spark.sql("no such words"),
        lambda spark: spark.range(1).select("other"),
        lambda spark: spark._jvm.java.lang.Integer.parseInt("x"),
    ],
)
def test_java_s_errors_are_one_line(spark: SparkSession, tmp_path: Path, ask: object) -> None:
    with pytest.raises(InputError, match=r"^Spark broke off: \S.+; see "), spark_failures(tmp_path / "log"):
        ask(spark)  # type: ignore[operator]


def test_own_defects_keep_their_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), spark_failures(tmp_path / "log"):
        _ = 1 / 0
    with pytest.raises(InputError, match=r"^mine$"), spark_failures(tmp_path / "log"):
        raise InputError("mine")


def test_what_follows_from_spark_s_is_spark_s() -> None:
    try:
        try:
            raise PySparkRuntimeError("gone")
        except PySparkRuntimeError:
            _ = None.sc  # type: ignore[attr-defined]
    except AttributeError as error:
        assert is_sparks(error)
        assert reason(error) == "'NoneType' object has no attribute 'sc'"


SCRIPT = """
import os, signal, sys
from pathlib import Path
from boxwright.spark import features
from boxwright.cli import main

def dies(*_):
    victims = sys.argv.pop()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(") ", 1)
        except OSError:
            continue
        if name == victims and int(rest.split()[1]) in ours():
            os.kill(int(stat.parent.name), signal.SIGKILL)
    return original(*_)

def ours():
    found = {os.getpid()}
    for _ in range(4):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rsplit(") ", 1)[1].split()[1]) in found:
                    found.add(int(stat.parent.name))
            except OSError:
                continue
    return found

original, features.run_work = features.run_work, dies
main()
"""


@pytest.mark.slow
def test_a_dead_java_is_one_line(java: str, tmp_path: Path) -> None:
    from .pictures import photographs

    images = photographs(tmp_path / "images", 4)
    network = ["--backbone", "efficientnet-lite0", "--tap", "stage2", "--size", "32", "--weights", "none"]
    words = ["cluster", str(images), "-k", "2", *network, "-o", str(tmp_path / "out"), "--spark", "local[1]"]
    script = SCRIPT.replace("victims = sys.argv.pop()", "victims = 'java'")
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if "images/s" not in line]
    assert len(lines) == 1 and lines[0].startswith("boxwright: Spark broke off: "), done.stderr
    assert Path(lines[0].rpartition("see ")[2]).is_file()
