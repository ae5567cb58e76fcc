"""A Spark standalone cluster on this machine: a master and workers of their own processes, which can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

HOME = Path(pyspark.__file__).parent
_ADDRESS = re.compile(r"Starting Spark master at (spark://\S+)")
_WEB = re.compile(r"Bound MasterWebUI to \S+, and started at http://127\.0\.0\.1:(\d+)")
_REGISTERED = re.compile(r"Successfully registered with master")
_PATIENCE_SECONDS = 400.0
# Programs of seconds: what the second compiler and a parallel collector cost they never win back.
JAVA = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


class Cluster:
    """A master and its workers, all on the loopback and on ports that the system chooses.

    Args:
        folder: for logs and the workers' files.
        workers, memory: how many, of one core each, and what each may give to executors.
    """

    def __init__(self, folder: Path, workers: int = 2, memory: str = "1g") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "master.log"
        self._processes = [self._start("master.Master", self._log, "--host", "127.0.0.1", "--port", "0")]
        self.address = self._await(self._log, _ADDRESS).group(1)
        self.workers = []
        for number in range(workers):
            given = ["--host", "127.0.0.1", "--cores", "1", "--memory", memory]
            given += ["--work-dir", str(folder / f"work-{number}"), self.address]
            self.workers.append(self._start("worker.Worker", folder / f"worker-{number}.log", *given))
        self._processes += self.workers
        for number in range(workers):
            self._await(folder / f"worker-{number}.log", _REGISTERED)

    def kill(self, worker: int) -> None:
        """End a worker with its executors and their Python, without a word."""
        kill_tree(self.workers[worker].pid)
        self.workers[worker].wait()

    def cpu_seconds(self) -> float:
        """Processor time of the workers, their executors and Python so far."""
        return cpu_seconds(pid for worker in self.workers for pid in [worker.pid, *descendants(worker.pid)])

    def close(self) -> None:
        """End everything."""
        for process in self._processes:
            kill_tree(process.pid)
            process.wait()

    def _start(self, name: str, log: Path, *given: str) -> subprocess.Popen[bytes]:
        command = [
            str(HOME / "bin/spark-class"),
            f"org.apache.spark.deploy.{name}",
            "--webui-port",
            "0",
            *given,
        ]
        env = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
        env |= {"SPARK_DAEMON_MEMORY": "256m", **JAVA}
        with log.open("wb") as file:
            return subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=env)

    def _await(self, log: Path, pattern: re.Pattern[str]) -> re.Match[str]:
        ends = time.monotonic() + _PATIENCE_SECONDS
        while (found := pattern.search(log.read_text(errors="replace"))) is None:
            if time.monotonic() > ends:
                self.close()
                raise RuntimeError(f"Spark does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        return found


@contextmanager
def cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[Cluster]:
    """A cluster that is gone at the end of the block."""
    started = Cluster(folder, workers, memory)
    try:
        yield started
    finally:
        started.close()


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all that it has started: Python's daemons are in groups of their own."""
    for child in [*descendants(pid), pid]:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that some processes have taken so far, those of them that live."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """All processes below one, by the kernel's table."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    below: list[int] = []
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        below += layer
    return below
