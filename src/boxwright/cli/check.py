"""`boxwright check`: what is wrong with a data set, and a clean copy of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boxwright.cli.data import FollowLinks, Images, Test, Train, Val, named_splits
from boxwright.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

    from boxwright.data.doctor import Diagnosis
    from boxwright.data.doctor.repair import Repaired
    from boxwright.data.doctor.statistics import SplitStatistics
    from boxwright.data.records import Finding

_FIRST = 3  # findings of a kind that are shown; --json has all
_CLASSES = 20  # rows of the table of classes
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def command(
    data: Annotated[
        Path | None,
        typer.Argument(help="A data set: folder, COCO file, data.yaml, CSV, folder of XML files."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="OUT", help="Write a clean copy here; DATA stays as it is."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this check (repeatable).")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="ID", help="Not this check (repeatable).")] = None,
    images: Images = None,
    follow_links: FollowLinks = True,
    train_path: Train = None,
    val_path: Val = None,
    test_path: Test = None,
    voc_zero_based: Annotated[
        bool, typer.Option("--voc-zero-based", help="VOC files count pixels from 0, not from 1.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Image headers only: no truncated images, no duplicates.")
    ] = False,
    list_checks: Annotated[
        bool, typer.Option("--list-checks", help="Print every check and what it means.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Look for what would stop or spoil a training. Exit 1 if there are errors, else 0.

    **Examples**

    `boxwright check data/cells`

    `boxwright check data/cells --fix data/cells-clean`  also writes a copy without the errors

    `boxwright check annotations.json --only box-no-area --json`
    """
    import json

    from boxwright.errors import InputError

    if list_checks:
        _list_checks(as_json)
        return
    if data is None:
        raise InputError("boxwright check needs a data set", hint="boxwright check DATA, or --list-checks")
    from boxwright.cli.console import progress
    from boxwright.data.doctor import examine
    from boxwright.data.doctor.repair import repair
    from boxwright.data.open import read_options

    options = read_options(voc_zero_based, images, follow_links)
    named = named_splits(train_path, val_path, test_path)
    diagnosis = examine(
        data, only=only or (), skip=skip or (), fast=fast, options=options, named=named, watch=progress
    )
    repaired = None if fix is None else repair(data, fix, options=options, named=named, watch=progress)
    if as_json:
        written = {} if repaired is None else {"fixed": repaired.to_dict()}
        typer.echo(json.dumps(diagnosis.to_dict() | written, indent=2))
    else:
        _show(diagnosis, repaired)
    if diagnosis.errors:
        raise typer.Exit(1)


def _show(diagnosis: Diagnosis, repaired: Repaired | None) -> None:
    from boxwright.data.open import NAMES

    console = _console()
    splits = [split for split in diagnosis.splits if split]
    console.print(
        printable(f"{diagnosis.path}: {NAMES[diagnosis.format]}, {', '.join(splits) or 'not split'}"),
        soft_wrap=True,
    )
    _numbers(console, diagnosis.statistics)
    _classes(console, diagnosis.statistics)
    by_check: dict[str, list[Finding]] = {}
    for found in diagnosis.findings:
        by_check.setdefault(found.check, []).append(found)
    for findings in by_check.values():
        _group(console, findings, diagnosis.path)
    console.print()
    console.print(printable(_verdict(diagnosis, repaired)), soft_wrap=True)


def _numbers(console: Console, statistics: Mapping[str, SplitStatistics]) -> None:
    from rich.table import Table

    table = Table("split", box=None, pad_edge=False, header_style="bold")
    for column in (
        "images",
        "empty",
        "objects",
        "ignored",
        "each",
        "small",
        "medium",
        "large",
        "box %",
    ):
        table.add_column(column, justify="right")
    for split, numbers in statistics.items():
        sides = "-"
        if numbers.box_width is not None and numbers.box_height is not None:
            sides = f"{100 * numbers.box_width[1]:.0f} x {100 * numbers.box_height[1]:.0f}"
        mean = f"{numbers.objects_per_image[0]:.1f}"
        counts = (numbers.images, numbers.empty_images, numbers.objects, numbers.ignored)
        sizes = (numbers.small, numbers.medium, numbers.large)
        table.add_row(printable(split) or "all", *map(str, counts), mean, *map(str, sizes), sides)
    console.print(table)


def _classes(console: Console, statistics: Mapping[str, SplitStatistics]) -> None:
    from rich.table import Table

    total: dict[str, int] = {}
    for numbers in statistics.values():
        for name, count in numbers.classes.items():
            total[name] = total.get(name, 0) + count
    if not total:
        return
    table = Table("class", box=None, pad_edge=False, header_style="bold")
    for split in statistics:
        table.add_column(printable(split) or "objects", justify="right")
    for name in sorted(total, key=lambda name: -total[name])[:_CLASSES]:
        table.add_row(
            printable(name), *(str(numbers.classes.get(name, 0)) for numbers in statistics.values())
        )
    console.print()
    console.print(table)
    if len(total) > _CLASSES:
        console.print(f"and {len(total) - _CLASSES} more classes with fewer objects")


def _group(console: Console, findings: Sequence[Finding], data: Path) -> None:
    """One check: its id and meaning, the first findings, and how many more there are."""
    from rich.text import Text

    from boxwright.data.findings import CHECKS

    first = findings[0]
    console.print()
    title = Text(f"{first.severity} ", style=_COLOURS[first.severity])
    title.append(f"{first.check} ({len(findings)}) ", style="bold")
    title.append(CHECKS[first.check].meaning + (f"; --fix: {first.fix}" if first.fix else ""))
    console.print(title, soft_wrap=True)
    for found in findings[:_FIRST]:
        place = f"{_short(found.file, data)}{f', {found.where}' if found.where else ''}"
        console.print(printable(f"  {place}: {found.message}"), soft_wrap=True)
    if len(findings) > _FIRST:
        console.print(f"  and {len(findings) - _FIRST} more; --json lists all")


def _short(file: str, data: Path) -> str:
    """Relative to the data set where it lies in it."""
    for folder in (data, data.absolute(), data.absolute().parent):
        if Path(file).is_relative_to(folder) and Path(file) != folder:
            return str(Path(file).relative_to(folder))
    return file


def _verdict(diagnosis: Diagnosis, repaired: Repaired | None) -> str:
    """The last line: how it stands and what to do."""
    counts = [
        (sum(found.severity == severity for found in diagnosis.findings), word)
        for severity, word in (("error", "error"), ("warning", "warning"), ("info", "note"))
    ]
    said = (
        ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count) or "Nothing found"
    )
    if repaired is not None:
        return f"{said}. {repaired.summary()} {_advice(diagnosis, repaired.path)}"
    if diagnosis.errors:
        return f"{said}. For a copy without the errors: boxwright check {diagnosis.path} --fix OUT"
    return f"{said}. {_advice(diagnosis, diagnosis.path)}"


def _advice(diagnosis: Diagnosis, path: Path) -> str:
    """How to train on it, or why one cannot: the same decision as `boxwright train` makes."""
    from boxwright.data.training_splits import choose
    from boxwright.errors import InputError

    try:
        choice = choose([split for split in diagnosis.splits if split], path)
    except InputError as error:
        return f"Not yet to be trained on: {error.message}; {error.hint}"
    numbers = diagnosis.statistics.get(choice.train or "")
    if numbers is not None and not numbers.objects - numbers.ignored:
        return "Not to be trained on: no object to learn."
    if choice.val is None and (numbers is None or numbers.images < 2):
        return "Not to be trained on: one image cannot be divided into training and validation."
    return f"To train on it: boxwright train {path} --out runs/first"


def _list_checks(as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from boxwright.data.findings import CHECKS

    if as_json:
        rows: list[dict[str, Any]] = [{"check": name} | asdict(check) for name, check in CHECKS.items()]
        typer.echo(json.dumps(rows, indent=2))
        return
    console = _console()
    for name, check in CHECKS.items():
        fixed = f"; --fix: {check.fix}" if check.fix else ""
        console.print(f"{check.severity:8}{name:22}{check.meaning}{fixed}", soft_wrap=True)


def _console() -> Console:
    """Standard output, taking names of files and classes for text and not for markup."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
