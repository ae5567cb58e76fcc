"""How fast the trained networks are, beside each other: in turns, so that whatever else the machine does hits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from boxwright.compare.record import Run, Speed
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.loading import load
from boxwright.model import Model
from boxwright.predict import Engine, stacked
from boxwright.runtime.export import export_onnx
from boxwright.runtime.onnx import OnnxEngine
from boxwright.training.journal import BEST

Time = TypeVar("Time", float, tuple[float, float, float])
"""Seconds, in all or by parts."""

IMAGES = 8
WARM_UP = 2
LEAST, MOST = 7, 40
"""Rounds that are measured."""
SECONDS = 90.0
"""After so long no further round begins, once there are enough."""


@dataclass(frozen=True)
class Entrant:
    """A network ready to be timed.

    Attributes:
        engine: what runs it.
        name: what to say of the engine.
        note: why it is not ONNX Runtime, or "".
        inputs: preprocessed images, with their regions where it does not find its own.
    """

    engine: Engine
    name: str
    note: str
    inputs: tuple[tuple[Any, ...], ...]


def measure(runs: Sequence[Run], images: Dataset, say: Callable[[str], None]) -> dict[str, Speed]:
    """Time one finished run of each variant, one image at a time.

    What is timed is the network with decoding and suppression, as a graph in ONNX Runtime where it can be
    exported and its boxes equal the model's, else eager torch on the CPU; reading and resizing is not.

    Args:
        runs: of all variants; of each the first finished one counts.
        images: some of these are fed.
        say: receives a line where a network cannot be exported.

    Returns:
        speeds by label.
    """
    first = {run.started.label: run for run in reversed(runs) if run.result is not None}
    paths = [sample.path for sample in images][:IMAGES]
    entrants = {label: _entrant(run.folder, paths) for label, run in first.items()}
    for label, entrant in entrants.items():
        if entrant.note:
            say(f"{label}: timed in eager torch: {entrant.note}")
    times = in_turns({label: _timed(entrant) for label, entrant in entrants.items()})
    return {label: _speed(entrants[label], taken) for label, taken in times.items()}


def in_turns(jobs: Mapping[str, Callable[[int], Time]]) -> dict[str, list[Time]]:
    """What each job takes, round by round; each job is given the round's number and says its time."""
    times: dict[str, list[Time]] = {label: [] for label in jobs}
    began = time.monotonic()
    for number in range(WARM_UP + MOST):
        if number >= WARM_UP + LEAST and time.monotonic() - began > SECONDS:
            break
        for label, job in jobs.items():
            seconds = job(number)
            if number >= WARM_UP:
                times[label].append(seconds)
    return times


def _entrant(folder: Path, paths: Sequence[Path]) -> Entrant:
    model = load(folder / BEST, engine="torch")
    assert isinstance(model, Model)
    graph, note = folder / "best.onnx", ""
    try:
        if not graph.exists() or graph.stat().st_mtime < (folder / BEST).stat().st_mtime:
            export_onnx(model, graph, images=paths[:2])
        engine: Engine = OnnxEngine(graph)
        name = "ONNX Runtime, CPU"
    except (InputError, RuntimeError) as error:
        # Whatever it is that torch cannot export, or boxes that differ (`ParityError`): the model itself runs.
        note, name = str(error).partition("\n")[0], "torch, CPU"
        engine = model.predictor().engine
    reader = model.predictor()
    inputs = []
    for path in paths:
        read = reader.read(path)
        if isinstance(read, InputError):
            raise read
        inputs.append(stacked([read], model.preprocess.pad_multiple))
    return Entrant(engine, name, note, tuple(inputs))


def _timed(entrant: Entrant) -> Callable[[int], float]:
    def job(number: int) -> float:
        fed = entrant.inputs[number % len(entrant.inputs)]
        began = time.perf_counter()
        entrant.engine.run(*fed)
        return time.perf_counter() - began

    return job


def _speed(entrant: Entrant, seconds: Sequence[float]) -> Speed:
    low, middle, high = (float(value) for value in np.percentile(seconds, (25, 50, 75)) * 1000)
    return Speed(middle, low, high, entrant.name, entrant.note)
