"""How a figure is taken: warm up, repeat, quote the median."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured.
        value: the median.
        unit: of it.
        target: what the project asks for, as text; "" where it asks for nothing.
        spread: smallest and largest of the repeats.
        versus: ratio to a named other way in the same run, or "".
    """

    name: str
    value: float
    unit: str
    target: str = ""
    spread: tuple[float, float] = (0.0, 0.0)
    versus: str = ""


def seconds(
    work: Callable[[], object], repeats: int = 7, warmup: int = 2
) -> tuple[float, tuple[float, float]]:
    """Median time of `work`, with the smallest and the largest."""
    for _ in range(warmup):
        work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times), (min(times), max(times))


def milliseconds(name: str, work: Callable[[], object], *, target: str = "", repeats: int = 9) -> Figure:
    """A figure in milliseconds."""
    median, (low, high) = seconds(work, repeats)
    return Figure(name, 1e3 * median, "ms", target, (1e3 * low, 1e3 * high))


def per_second(
    name: str, work: Callable[[], object], images: int, *, target: str = "", repeats: int = 5
) -> Figure:
    """A figure in images a second, for work on `images` of them."""
    median, (low, high) = seconds(work, repeats, warmup=1)
    return Figure(name, images / median, "images/s", target, (images / high, images / low))
