"""What a comparison keeps on disk for each run, beside the run's own files, and how it is read again."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from boxwright.errors import InputError
from boxwright.evaluate.plain import from_plain, to_plain
from boxwright.files import write_text
from boxwright.foreign import read_json, reading
from boxwright.training.record import read_metrics

Record = TypeVar("Record")
_LARGEST = 1e30

_KIND, _AGAIN = "record of a comparison", "remove its folder to train that run again"
VARIANT, RESULT, FAILED, SPEED = "variant.json", "result.json", "failed.json", "speed.json"


@dataclass(frozen=True)
class Started:
    """What a run was told, written before it begins.

    Attributes:
        label, seed: its name; `number` is the variant's place in the tables.
        recipe: the network.
        changes: against the recipe, as they were typed.
        parameters: learnt numbers.
        gflops: operations of one image, in 10^9; a multiply-add is 2.
        facts: everything that decides what comes out, by name; a run that is begun again must agree.
    """

    label: str
    seed: int
    number: int
    recipe: str
    changes: tuple[str, ...]
    parameters: int
    gflops: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a finished run came to.

    Attributes:
        figures: accuracies by name, in [0, 1].
        split: the part of the data set that they are of; `images` how many.
        seconds: of training, validations included, over all its parts.
        iterations: in all.
    """

    figures: dict[str, float]
    split: str
    images: int
    seconds: float
    iterations: int


@dataclass(frozen=True)
class Speed:
    """How fast a variant's network is, with what follows it: decoding and suppression.

    Attributes:
        ms: milliseconds an image, the median of all rounds.
        low, high: between them lie the middle half of the rounds.
        engine: what ran it; `note` why it was not ONNX Runtime.
    """

    ms: float
    low: float
    high: float
    engine: str
    note: str


@dataclass(frozen=True)
class Run:
    """A run as it stands on disk.

    Attributes:
        folder: where.
        started: what it was told.
        result: what it came to, or None.
        failure: why it broke off, or "".
        curve: (epoch, figure) of each validation; the figure is the one that chose the best weights.
        images_per_second: in training, mean over validations' intervals; nan where there was none.
    """

    folder: Path
    started: Started
    result: Result | None
    failure: str
    curve: tuple[tuple[float, float], ...]
    images_per_second: float


def folder(out: Path, label: str, seed: int) -> Path:
    """Where a run stands."""
    return out / "runs" / f"{label}-{seed}"


def write(path: Path, record: Any) -> None:
    """A record, or a mapping of such, as JSON."""
    write_text(path, json.dumps(to_plain(record), indent=1) + "\n")


def read_started(path: Path) -> Started:
    """What stands in a `variant.json`."""
    values = _read(path)
    with reading(path, _KIND, again=_AGAIN):
        return from_plain(Started, values)


def read_by_label(path: Path, kind: type[Record]) -> dict[str, Record]:
    """Records by label, where they were taken."""
    if not path.exists():
        return {}
    values = _read(path)
    with reading(path, _KIND, again="remove it to measure again"):
        return {label: from_plain(kind, one) for label, one in values.items()}


def gather(out: Path) -> list[Run]:
    """All runs of a comparison, by variant and seed.

    Raises:
        InputError: none is there, or a record cannot be read.
    """
    found = [_run(path.parent) for path in sorted(out.glob(f"runs/*/{VARIANT}"))]
    if not found:
        raise InputError("holds no comparison", path=out, hint="begin one without --report-only")
    return sorted(found, key=lambda run: (run.started.number, run.started.label, run.started.seed))


def _run(folder: Path) -> Run:
    result, failed, metrics = folder / RESULT, folder / FAILED, folder / "metrics.csv"
    rows = read_metrics(metrics) if metrics.exists() else []
    started = read_started(folder / VARIANT)
    select = str(started.facts.get("train.select", "AP50"))
    with reading(metrics, "table of a run's validations", again=_AGAIN):
        curve = tuple((row["epoch"], row[select]) for row in rows if select in row)
        _check_figures(curve)
        speeds = [row["images_per_second"] for row in rows]
    return Run(
        folder,
        started,
        _result(result) if result.exists() else None,
        str(_read(failed).get("reason", "")) if failed.exists() and not result.exists() else "",
        curve,
        statistics.fmean(speeds) if speeds else math.nan,
    )


def _result(path: Path) -> Result:
    values = _read(path)
    with reading(path, _KIND, again=_AGAIN):
        return from_plain(Result, values)


def _read(path: Path) -> dict[str, Any]:
    values = read_json(path, _KIND, again=_AGAIN)
    with reading(path, _KIND, again=_AGAIN):
        _check_figures(values)
    return values


def _check_figures(value: Any) -> None:
    """See that numbers are such as a measurement can give; what is infinite was written as null."""
    if isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            _check_figures(one)
    elif isinstance(value, int | float) and abs(value) > _LARGEST:
        raise ValueError(f"{str(value)[:20]} where a figure should be")
