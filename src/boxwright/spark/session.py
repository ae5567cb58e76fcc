"""A Spark session whose noise goes into a file, and whose troubles are one line each."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from boxwright.errors import InputError
from boxwright.spark.failures import logged, reason, spark_failures

_JAVA = "install a Java runtime (17 or newer) and let JAVA_HOME name its folder"
_FORMS = "such as local[2], spark://host:7077, yarn or k8s://..."
_MASTER = re.compile(
    r"local(\[(\d+|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|spark://[^:,/]+:\d+(,[^:,/]+:\d+)*|yarn|k8s://.+"
)
_ANSWER_SECONDS = 5.0
_logs: dict[int, Path] = {}
"""Where each Java that was started here writes, by its gateway."""


@contextmanager
def spark_session(master: str, settings: dict[str, str] | None = None) -> Iterator[SparkSession]:
    """A session on `master`, stopped at the end; one that is already active is used as it is, and left running.

    What Spark writes goes into a file beside the temporary ones, whose path an error names. Under spark-submit the
    log is that of spark-submit.

    Args:
        master: where to run, as Spark names it.
        settings: Spark's own (`spark.executor.memory`, ...), over those of its spark-defaults.conf.

    Raises:
        InputError: no Java, no such master, a setting that Spark refuses, or whatever Spark breaks off by inside the
            block.
    """
    if not _MASTER.fullmatch(master):
        raise InputError(f"no Spark master is called {master!r}", hint=_FORMS)
    if (active := SparkSession.getActiveSession()) is not None:
        with spark_failures(_logs.get(id(SparkContext._gateway))):
            yield active
        return
    _check(master)
    log = _logs.get(id(SparkContext._gateway))
    if log is None:
        log = Path(tempfile.mkdtemp(prefix="boxwright-spark-")) / "spark.log"
    before = signal.getsignal(signal.SIGINT)
    with logged(log):
        spark = _start(master, settings or {}, log)
        if threading.current_thread() is threading.main_thread() and callable(before):
            # A SparkContext puts a handler of its own in; jobs are ended by the stop below, whoever handles the signal.
            signal.signal(signal.SIGINT, before)
        try:
            with spark_failures(log):
                yield spark
        finally:
            # Java may be gone, by a signal to all processes; whatever was to be said has been.
            with suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                spark.stop()


@contextmanager
def sql_settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Spark's settings for the queries of a block, and afterwards those of before."""
    before = {name: spark.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def _check(master: str) -> None:
    """Whether there is a Java, and somebody at the other end: Spark itself asks for a minute or more."""
    home = os.environ.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else None
    if (java is not None and not java.exists()) or (java is None and shutil.which("java") is None):
        raise InputError("Spark needs Java, and there is none" + (f" in {home}" if home else ""), hint=_JAVA)
    if not master.startswith("spark://"):
        return
    for host in master.removeprefix("spark://").split(","):
        name, _, port = host.rpartition(":")
        try:
            socket.create_connection((name, int(port)), _ANSWER_SECONDS).close()
            return
        except OSError:
            continue
    raise InputError(f"no Spark master answers at {master}", hint="start it, or check host and port")


def _start(master: str, settings: dict[str, str], log: Path) -> SparkSession:
    # The workers' interpreter: on another machine its path is another, which PYSPARK_PYTHON then says.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False).setMaster(master).setAppName("boxwright")
    for name, value in (_defaults(master) | settings).items():
        conf.set(name, value)
    # One Java serves all sessions of a process; spark-submit has one running before Python begins.
    gateway = SparkContext._gateway
    try:
        if gateway is None:
            with log.open("wb") as noise:
                gateway = launch_gateway(conf, {"stdout": noise, "stderr": noise})
            _logs[id(gateway)] = log
        return SparkSession(SparkContext(conf=conf, gateway=gateway))
    # Java's errors come in as many classes as py4j has; what is of use is Spark's own line.
    except Exception as error:
        raise InputError(f"Spark does not start on {master}: {reason(error)}", hint=f"see {log}") from error


def _defaults(master: str) -> dict[str, str]:
    defaults = {
        "spark.ui.showConsoleProgress": "false",
        # A core a task: the graph's own threads and those of numpy would fight for it.
        **{f"spark.executorEnv.{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if master.startswith("local"):
        defaults |= {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
        defaults |= {"spark.driver.bindAddress": "127.0.0.1"}
    return defaults
