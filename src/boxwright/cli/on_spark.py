"""What `cluster` and `detect` do with --spark."""

from __future__ import annotations

import re
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.cli.boundary import goes_on
from boxwright.stopping import advance, if_stopped

if TYPE_CHECKING:
    from boxwright.cluster.results import Clustered
    from boxwright.spark.cluster import SparkClusterSettings
    from boxwright.spark.work import Done

_LINE_SECONDS = 10.0


class Progress:
    """Images done and images a second: in place on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._said = 0.0
        self._screen = sys.stderr.isatty()

    def __call__(self, done: int, total: int, rate: float) -> None:
        """Say it, unless that was done just now."""
        advance("on Spark", done, total)
        now = time.monotonic()
        if now - self._said < (0.5 if self._screen else _LINE_SECONDS) and done < total:
            return
        self._said = now
        line = f"{done} of {total} images, {rate:.1f} images/s"
        print(
            f"\r{line} " if self._screen else line,
            end="" if self._screen else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """Leave the line."""
        if self._screen and self._said:
            print(file=sys.stderr)


def address(path: Path) -> str:
    """A path or an address, whose two slashes a path has made one.

    >>> address(Path("s3a://photos/2024")), address(Path("photos"))
    ('s3a://photos/2024', 'photos')
    """
    text = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+):/+(?=.)", r"\1://", path.as_posix())
    return re.sub("^file://", "file:/", text)


def is_address(path: Path) -> bool:
    """Whether it lies in a store, and not in this machine's folders.

    >>> is_address(Path("hdfs:///clusters")), is_address(Path("clusters"))
    (True, False)
    """
    return ":/" in address(path)


def is_table(source: Path) -> bool:
    """Whether it is the folder of features that a job on Spark has made."""
    return source.name == "features" and (source.parent / "settings.json").is_file()


def refuse_options(**given: bool) -> None:
    """What `cluster` does on one machine only.

    Raises:
        InputError: something of that is asked for.
    """
    from boxwright.errors import InputError

    if asked := [f"--{name.replace('_', '-')}" for name, there in given.items() if there]:
        raise InputError(f"--spark does not take {', '.join(asked)}", hint="leave it out")


def refuse(*, as_json: bool, csv: Path | None, coco: Path | None, sources: list[str]) -> None:
    """What `detect` does on one machine only.

    Raises:
        InputError: something of that is asked for.
    """
    from boxwright.errors import InputError

    given = {"--json": as_json, "--csv": csv is not None, "--coco": coco is not None}
    if asked := [name for name, there in given.items() if there]:
        raise InputError(f"--spark makes a table, and no {', '.join(asked)}", hint="leave it out")
    if len(sources) != 1 or sources == ["-"]:
        raise InputError("--spark takes one folder, pattern or address", hint="name the folder of them all")


def cluster(
    master: str,
    source: Path,
    out: Path,
    graph: bytes | None,
    settings: SparkClusterSettings,
    batch: int,
    below: float | None,
) -> tuple[dict[str, Any], Clustered | None, int]:
    """Cluster images, or a table of features, on Spark.

    Returns:
        The summary, the whole where it could be gathered, and how many files were unreadable.
    """
    from boxwright.spark.clusters import cluster_on_spark, read_features
    from boxwright.spark.features import extract_features
    from boxwright.spark.session import spark_session
    from boxwright.spark.work import Pace

    target = _target(out)
    if_stopped(lambda _: goes_on(f"waves that were complete are in {out}"))
    unreadable = 0
    with spark_session(master) as spark:
        if graph is None:
            rows, root, features = read_features(spark, _target(source))
        else:
            progress = Progress()
            table, done = extract_features(
                spark, graph, address(source), target, batch=batch, pace=Pace(), watch=progress
            )
            progress.end()
            unreadable = _tell(done)
            features = table.settings
            rows, root = table.rows(), features.pop("images")
        # Into a store go tables alone: what is made of pictures is made beside them.
        here = not is_address(out)
        found = cluster_on_spark(spark, rows, root, features, target, settings, below=below, gather=here)
    return found.summary, found.gathered, unreadable


def detect(master: str, model: str, source: str, out: Path, score: float | None, batch: int) -> int:
    """Detect on Spark into a table; says how it went, and returns the exit code."""
    from boxwright.cli.console import say
    from boxwright.outputs import Outputs
    from boxwright.spark.detect import DetectionSettings, detect_images
    from boxwright.spark.session import spark_session
    from boxwright.spark.work import Pace

    target = _target(out)
    if_stopped(lambda _: goes_on(f"waves that were complete are in {out}"))
    with nullcontext() if is_address(out) else Outputs(out), spark_session(master) as spark:
        progress = Progress()
        settings = DetectionSettings(score, batch)
        table, done = detect_images(
            spark, model, address(Path(source)), target, settings, pace=Pace(), watch=progress
        )
        progress.end()
        images, detections = table.rows().count(), _detections(table.rows())
    unreadable = _tell(done)
    say(f"{detections} detections on {images} images; see {out}/detections")
    if unreadable:
        say(f"{unreadable} of {done.images} could not be read; see {out}/unreadable")
    return 0 if not unreadable else 1 if images else 2


def _detections(rows: Any) -> int:
    from pyspark.sql import functions as F

    return int(rows.agg(F.sum(F.size("scores"))).first()[0] or 0)


def _tell(done: Done) -> int:
    from boxwright.cli.console import say

    for path, reason in done.unreadable[:20]:
        say(f"boxwright: skipped {path}: {reason}")
    if len(done.unreadable) > 20:
        say(f"boxwright: skipped {len(done.unreadable) - 20} more")
    return len(done.unreadable)


def _target(path: Path) -> str:
    """Absolute, since Spark's working folder need not be ours.

    Raises:
        InputError: its name is not UTF-8, in which Java could not be told it.
    """
    from boxwright.errors import InputError

    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError("its name is not UTF-8", path=path, hint="choose another with --spark") from None
    return address(path) if is_address(path) else str(path.absolute())
