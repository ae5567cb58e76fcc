"""What a run leaves on disk beside its weights: `run.json`, `metrics.csv`, TensorBoard's events."""

from __future__ import annotations

import csv
import io
import json
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import boxwright
from boxwright.errors import InputError
from boxwright.files import write_text
from boxwright.foreign import read_json, reading
from boxwright.regular import open_regular

Row = Mapping[str, float]


class Metrics:
    """`metrics.csv`: one row for each validation; rewritten whole, so that it is never half a row.

    Args:
        path: the file; what it holds already is kept.
        until: rows after this iteration are dropped: a resumed run makes them again.
    """

    def __init__(self, path: Path, until: int) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        if until and path.exists():
            with reading(path, "table of a run's validations", again="remove it"):
                self.rows = [row for row in read_metrics(path) if row["iteration"] <= until]

    def add(self, row: Row) -> None:
        """Append a row."""
        self.rows = [old for old in self.rows if old["iteration"] != row["iteration"]] + [dict(row)]
        names = list(dict.fromkeys(name for one in self.rows for name in one))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.8g}" for name, value in one.items()} for one in self.rows)
        write_text(self.path, text.getvalue())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.csv`.

    Raises:
        InputError: it is not one.
    """
    with reading(path, "table of numbers", again="remove it"), open_regular(path) as file:
        lines = io.TextIOWrapper(file, "utf-8", newline="")
        return [{k: float(v) for k, v in row.items() if v != ""} for row in csv.DictReader(lines)]


class Events:
    """TensorBoard's events under `folder`.

    Args:
        folder: where.
        start: the iteration that a resumed run begins with; later events of before are hidden.
    """

    def __init__(self, folder: Path, start: int) -> None:
        # Here, because it takes most of a second and only the first process needs it.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=start if start else None)

    def add(self, kind: str, values: Row, iteration: int) -> None:
        """Numbers of one iteration, under a common heading."""
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, iteration)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()  # type: ignore[no-untyped-call]


def write_run(path: Path, facts: Mapping[str, Any]) -> None:
    """`run.json`: everything a run was told, and where it ran."""
    circumstances = {
        "boxwright": boxwright.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_text(path, json.dumps({**facts, **circumstances}, indent=2, default=str) + "\n")


def add_to_run(path: Path, facts: Mapping[str, Any]) -> None:
    """Say more in a `run.json`, where it is not said yet; a person may have taken the file away."""
    if not path.exists():
        return
    there = read_run(path)
    if any(there.get(key) != value for key, value in facts.items()):
        write_text(path, json.dumps({**there, **facts}, indent=2) + "\n")


def read_run(path: Path) -> dict[str, Any]:
    """What `write_run` wrote.

    Raises:
        InputError: missing, or not JSON.
    """
    if not path.exists():
        raise InputError("holds no run to resume", path=path.parent, hint="begin one without --resume")
    return read_json(path, "record of a run", again="give all options again, or begin anew")
