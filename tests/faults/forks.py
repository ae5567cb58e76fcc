"""The command line, run many times in processes that fork from one where everything heavy is imported.

Each process is the program as it is, killed or deprived of its disk at a moment that Python's audit events tell: when
it opens, begins to write or renames a certain file.

Run as a script it reads one JSON list a line, [folder, arguments, fault], and answers with [exit code, output].
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from boxwright.cli import main

EVENTS = {"opens": "open", "writes": "tempfile.mkstemp", "renames": "os.rename"}
PRELOADED = (
    "boxwright.evaluate.html",
    "boxwright.training.stages",
    "hotcoco",
    "matplotlib.figure",
    "sklearn.linear_model",
    "sklearn.svm",
    "torch._dynamo",
    "torch.utils.tensorboard",
)
"""What a training imports only when it comes to it, and takes long."""


@dataclass(frozen=True)
class Fault:
    """What happens to a process, and when.

    Attributes:
        what: "KILL", "TERM", or "full": from then on no file can grow.
        moments: each "opens PATTERN", "writes PATTERN" or "renames PATTERN"; it happens at the last of them, counted
            from when those before it have been.
    """

    what: str
    moments: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: a signal's number), and all that it said."""

    code: int
    text: str

    @property
    def errors(self) -> list[str]:
        """The lines that name what was wrong."""
        return [line for line in self.text.splitlines() if line.startswith("boxwright: ")]


class Program:
    """The command line in processes of its own; a context manager."""

    def __enter__(self) -> Program:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def __call__(self, folder: Path, arguments: Sequence[str], fault: Fault | None = None) -> Ended:
        """Run it in a folder."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        told = [str(folder), list(arguments), asdict(fault) if fault else None]
        print(json.dumps(told), file=self._server.stdin, flush=True)
        return Ended(*json.loads(self._server.stdout.readline()))


def serve() -> None:
    """Fork a process for each line, and tell how it ended."""
    load()
    gc.freeze()  # else every process's collector copies the pages that it shares with this one
    for line in sys.stdin:
        folder, arguments, fault = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            os.chdir(folder)
            if fault is not None:
                sys.addaudithook(watching(**fault))
            end(run(arguments))
        os.close(writing)
        with os.fdopen(reading) as file:
            text = file.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)


def run(arguments: Sequence[str]) -> int:
    """The command line as a shell would call it, and its exit code."""
    sys.argv = ["boxwright", *arguments]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    return 1


def end(code: int) -> NoReturn:
    """Without taking everything down object by object, which takes longer than many a run here."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def load() -> None:
    """Import what trains an R-CNN, and load its compiled kernels by detecting something."""
    for name in PRELOADED:
        importlib.import_module(name)
    import numpy as np

    from boxwright.model import create

    small = {"size": 32, "longest": 32, "crop": 32, "context": 2, "proposals": 4}
    model = create("rcnn-efficientnet-lite0", classes=["a"], weights=None, settings=small)
    model.predict(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    with redirect_stderr(io.StringIO()):
        run(["train", "nothing", "--out", "nothing"])


def watching(what: str, moments: Sequence[str]) -> Any:
    """An audit hook that strikes at the last of the moments."""
    waiting = [moment.split(" ", 1) for moment in moments]

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if not waiting or event != EVENTS[waiting[0][0]]:
            return
        if re.search(waiting[0][1], str(given[event == "os.rename"])) is None:
            return
        waiting.pop(0)
        if not waiting:
            if what == "full":
                _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
            else:
                os.kill(os.getpid(), getattr(signal, f"SIG{what}"))

    return hook


if __name__ == "__main__":
    serve()
