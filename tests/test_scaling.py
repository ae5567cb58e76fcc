"""Ten times as many classes, images or objects are at most ten times as much work, in calls and in comparisons.

Calls and comparisons are counted, which no busy machine changes; `benchmarks.scaling` has the seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest
from benchmarks.scaling import GROWN, right, set_up, write

from boxwright.data import open_dataset
from boxwright.data.classes import ClassChoice, choose_classes, match_classes, with_classes
from boxwright.data.convert import convert
from boxwright.data.doctor import examine
from boxwright.data.doctor.probe import probe_all
from boxwright.data.doctor.repair import cleaned, repair
from boxwright.data.formats import tables
from boxwright.data.records import Dataset
from boxwright.evaluate.report import evaluate

MOST = 15.0
"""Times as much: ten, and what sorting adds."""
SMALL = {"classes": ((4, 100, 10), (4, 1000, 10)), "images": ((10, 4, 3), (100, 4, 3))}
SMALL["objects an image"] = ((3, 4, 10), (3, 4, 100))


def calls(work: Callable[[], object]) -> int:
    """Functions that are called, Python's and C's."""
    counted = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def work_on(root: Path, out: Path) -> dict[str, Callable[[], object]]:
    """What is counted."""
    data = open_dataset(root)
    found = right(data)
    report = evaluate(data, found)
    chosen = ClassChoice(",".join(data.classes[1:]), (f"{data.classes[0]}=x",))
    return {
        "open": lambda: open_dataset(root),
        "check": lambda: examine(root, fast=True, jobs=1),
        "fix": lambda: repair(root, out / "fixed"),
        "evaluate": lambda: evaluate(data, found),
        "report": lambda: report.save(out / "report"),
        "choose classes": lambda: choose_classes(data, chosen),
        "match classes": lambda: match_classes(data, data.classes[::-1], data.ids),
        "set up a training": lambda: set_up(data),
        **{
            f"to {name}": lambda name=name: convert(root, out / name, name)
            for name in ("coco", "voc", "yolo", "csv")
        },
    }


def test_the_benchmark_grows_the_same() -> None:
    assert SMALL.keys() == GROWN.keys()


@pytest.mark.parametrize("what", SMALL)
def test_calls_grow_with_what_there_is(what: str, tmp_path: Path) -> None:
    once = work_on(write(tmp_path / "once", 2, 2, 2), tmp_path / "once-out")
    for work in once.values():
        work()  # what is loaded and compiled at the first call
    few, many = (
        work_on(write(tmp_path / f"in{number}", *size), tmp_path / f"out{number}")
        for number, size in enumerate(SMALL[what])
    )
    for name, work in few.items():
        less, more = calls(work), calls(many[name])
        assert more < MOST * max(less, 500), f"{name}: {less} calls, and {more} for ten times as many {what}"


class Name(str):
    """A class's name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_comparisons_of_names_grow_with_the_classes(tmp_path: Path) -> None:
    def compared(classes: int) -> dict[str, int]:
        read = open_dataset(write(tmp_path / str(classes), 4, classes, 5))
        data: Dataset = replace(read, classes=tuple(map(Name, read.classes)))
        other = tuple(Name(str(name)) for name in data.classes[::-1])
        probes = probe_all((sample.path for sample in data), jobs=1)
        found = {}
        for name, work in {
            "with classes": lambda: with_classes(data, other, data.ids),
            "choose": lambda: choose_classes(data, ClassChoice(",".join(other), ())),
            "fix": lambda: cleaned({"train": data}, probes),
            "evaluate": lambda: evaluate(data, right(data)),
        }.items():
            Name.compared = 0
            work()
            found[name] = Name.compared
        return found

    few, many = compared(100), compared(1000)
    assert all(many[name] < MOST * max(few[name], 100) for name in few), (few, many)


def test_tables_that_are_many_are_each_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / f"{number}.csv" for number in range(100)]
    for file in files:
        file.write_text("path,xmin,ymin,xmax,ymax,class\na.png,1,2,3,4,cat\n")
    looked = []
    plain = tables.split_in
    monkeypatch.setattr(tables, "split_in", lambda stem: looked.append(stem) or plain(stem))
    assert len(tables._rows(files, lambda finding: None)) == 100
    assert len(looked) <= 3 * len(files)
