"""The folder of a run: whose it is.

A mark inside the folder says that boxwright made it; names of files alone never do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from boxwright.files import sweep, write_text
from boxwright.outputs import Record, refuse_foreign

MARK = ".boxwright-run"
_RUN_KEYS = {"classes", "iterations", "train"}


def is_ours(out: Path) -> bool:
    """Whether a run of boxwright made the folder; version 0.1 left no mark, but a `run.json` with its own keys."""
    if (out / MARK).is_file():
        return True
    try:
        said = json.loads((out / "run.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and (set(said) >= _RUN_KEYS or set(said) >= {"task", "train"})


def claim(out: Path, names: Sequence[str], *, folders: Sequence[str] = (), overwrite: bool) -> None:
    """Make the folder ours: remove an earlier run's files, and nothing that is not of a run.

    Args:
        out: the folder; it need not exist.
        names: of the files that a run writes.
        folders: that a run makes and fills alone.
        overwrite: replace files of these names even though no run of ours wrote them.

    Raises:
        InputError: files of these names are there, the folder is not ours, and nobody said to overwrite them.
    """
    record = Record(out)
    refuse_foreign(out, (*names, *folders, "tb"), record.names, overwrite=overwrite or is_ours(out))
    sweep(out, names)
    for folder in folders:
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in names:
        (out / name).unlink(missing_ok=True)
    for events in sorted((out / "tb").glob("**/events.out.tfevents.*")):
        events.unlink(missing_ok=True)
    write_text(out / MARK, '{"made by": "boxwright", "kind": "training run"}\n')
    record.add(*names)
