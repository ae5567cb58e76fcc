"""`python -m benchmarks.fuzz [--minutes M] [--seed S] [--kinds a,b] [--keep FOLDER] | --replay FOLDER`."""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.fuzz import cases, runner, seeds

_KEPT = 3
"""Failures of one kind that are kept."""


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    options.add_argument(
        "--minutes", type=float, default=1.0, help="of processor time, in the commands themselves"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--kinds", default=",".join(cases.KINDS))
    options.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where failures are kept")
    options.add_argument("--replay", type=Path, help="a kept failure, to run once more")
    options.add_argument("--first", type=int, default=0, help="number of the first case")
    told = options.parse_args()
    runner.preload()
    with tempfile.TemporaryDirectory(prefix="boxwright-fuzz-") as name:
        return _replay(told.replay, Path(name)) if told.replay else _fuzz(told, Path(name))


def _fuzz(told: argparse.Namespace, room: Path) -> int:
    sound = room / "seeds"
    code, _ = runner.forked(lambda: seeds.make(sound) or 0, room / "seeds.txt")
    if code:
        print((room / "seeds.txt").read_text(), file=sys.stderr)
        return 1
    kinds = told.kinds.split(",")
    often = [cases.KINDS[kind][1] for kind in kinds]
    done: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    failures: Counter[str] = Counter()
    number, began = told.first, _cpu()
    stopped: list[int] = []
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda number, _: stopped.append(number))
    while _cpu() - began < 60 * told.minutes and not stopped:
        rng = random.Random(f"{told.seed}-{number}")
        kind, here = rng.choices(kinds, often)[0], room / str(number)
        words = _made(kind, sound, here, rng)
        ended = runner.run(words, here)
        done[kind] += 1
        codes[ended.code] += 1
        if ended.wrong:
            failures[f"{kind}: {ended.wrong}"] += 1
            print(f"case {number}, {kind}: {ended.wrong}", file=sys.stderr, flush=True)
            if failures[f"{kind}: {ended.wrong}"] <= _KEPT:
                runner.keep(told.keep / f"{told.seed}-{number}-{kind}", here, words, ended)
        shutil.rmtree(here, ignore_errors=True)
        here.with_name(f"{here.name}.txt").unlink(missing_ok=True)
        number += 1
        if number % 200 == 0:
            print(f"{number} cases, {(_cpu() - began) / 60:.1f} minutes", file=sys.stderr, flush=True)
    figures = {
        "seed": told.seed,
        "cases": dict(sorted(done.items())),
        "processor minutes": round((_cpu() - began) / 60, 1),
        "exit codes": dict(sorted(codes.items())),
        "failures": dict(failures.most_common()),
    }
    print(json.dumps(figures, indent=1))
    return 1 if failures else 0


def _made(kind: str, sound: Path, here: Path, rng: random.Random) -> list[str]:
    """The words of a case, whose files are made by a process of its own: libraries that make them begin threads."""
    told = here.with_name(f"{here.name}.json")

    def make() -> int:
        here.mkdir()
        words = cases.KINDS[kind][0](sound, here, rng)
        told.write_text(json.dumps(words))
        return 0

    log = here.with_name(f"{here.name}.made")
    code, _ = runner.forked(make, log)
    if code:
        raise RuntimeError(f"case of {kind} could not be made:\n{log.read_text()}")
    log.unlink()
    words: list[str] = json.loads(told.read_text())
    told.unlink()
    return words


def _replay(kept: Path, room: Path) -> int:
    words = json.loads((kept / "case.json").read_text())["words"]
    shutil.copytree(kept / "files", room / "files", symlinks=True)
    ended = runner.run(words, room / "files")
    print(
        ended.output, f"\nexit {ended.code} after {ended.seconds:.1f} s: {ended.wrong or 'as it should be'}"
    )
    return 1 if ended.wrong else 0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


sys.exit(main())
