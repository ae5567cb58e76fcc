"""Processes that prepare images beside the training process. Torch-free, so that they start quickly.

Each worker has a pipe of its own and answers in the order it was asked; images travel through the pipe, not
through /dev/shm, which is 64 MB in a container. Before it opens a file it says which, so that when it dies
(out of memory, a decoder that crashes) the run ends with the file's name instead of waiting for ever.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from boxwright.data.prepare import Broken, Job, Prepared, Preparer, preparing_bytes
from boxwright.errors import InputError
from boxwright.image_memory import Gate, ProcessGate

Answers = list[Prepared | Broken]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHARE = 512 << 20
"""Memory that a process takes for one job without asking the others: images of 50 million pixels."""


@dataclass
class _Worker:
    """A process, its pipe, and what it still owes."""

    process: BaseProcess
    pipe: Connection
    owed: deque[int] = field(default_factory=deque)  # tickets, in the order it answers them
    at: str = ""  # the file it opened last


@dataclass(frozen=True)
class _Defect:
    """A traceback on its way to the training process."""

    text: str


class Pool:
    """Prepares lists of jobs, in processes or, with none, when they are collected.

    Args:
        preparer: what each process does with a job.
        count: processes; 0 works in the caller's.

    Use it as a context manager: leaving it ends the processes.
    """

    def __init__(self, preparer: Preparer, count: int) -> None:
        self._preparer = preparer
        self._jobs: dict[int, Sequence[Job]] = {}
        self._done: dict[int, Answers] = {}
        self._asked = 0
        # Large images are prepared by one process at a time, whichever.
        self._lock = Path(tempfile.mkstemp(prefix="boxwright-lock-")[1]) if count > 1 else None
        gate = None if self._lock is None else ProcessGate(self._lock, _SHARE)
        self._workers = [_start(preparer, gate) for _ in range(count)]

    def submit(self, jobs: Sequence[Job]) -> int:
        """Ask for some images; the ticket that comes back is for `collect`."""
        ticket, self._asked = self._asked, self._asked + 1
        if self._workers:
            worker = self._workers[ticket % len(self._workers)]
            worker.owed.append(ticket)
            # A dead worker is reported by `collect`, which knows the file.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                worker.pipe.send(jobs)
        else:
            self._jobs[ticket] = jobs
        return ticket

    def collect(self, ticket: int) -> Answers:
        """The images of a ticket, in the order of its jobs; waits for them.

        Raises:
            InputError: the worker died; names the file that it was reading.
            RuntimeError: a defect of boxwright in the worker, with its traceback.
        """
        if not self._workers:
            return [self._preparer(job) for job in self._jobs.pop(ticket)]
        worker = self._workers[ticket % len(self._workers)]
        while ticket not in self._done:
            self._done[worker.owed.popleft()] = _receive(worker)
        return self._done.pop(ticket)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()  # it hears no other signal
        for worker in self._workers:
            worker.process.join()
        self._workers = []
        if self._lock is not None:
            self._lock.unlink(missing_ok=True)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def automatic_workers(cores: int) -> int:
    """How many processes to use when nobody says: all cores but one, at most sixteen.

    >>> [automatic_workers(n) for n in (1, 2, 4, 16)]
    [0, 1, 3, 15]
    """
    return min(16, cores - 1)


def _start(preparer: Preparer, gate: Gate | None) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work, args=(theirs, preparer, gate), daemon=True, name="boxwright-loader"
    )
    with _without_interrupts():
        process.start()
    # The worker holds the only other end now: when it dies, reading from ours fails instead of waiting.
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Signals reach all processes of a terminal or a group; children that start in this block never see them."""
    if os.name == "nt":
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _work(pipe: Connection, preparer: Preparer, gate: Gate | None) -> None:
    """What a worker does until the pipe closes: prepare the jobs of a list, announcing each, then send all.

    A pipe holds less than one image, so sending waits until the list is collected; by then it is complete.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The training process closes the pipe when it ends, however it ends.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            answers = []
            for job in pipe.recv():
                pipe.send(job.path)
                try:
                    with contextlib.nullcontext() if gate is None else gate.hold(preparing_bytes(job)):
                        answers.append(preparer(job))
                except Exception:
                    pipe.send(_Defect(traceback.format_exc()))
                    return
            pipe.send(len(answers))
            for answer in answers:
                _send(pipe, answer)


def _send(pipe: Connection, answer: Prepared | Broken) -> None:
    """The record without its pixels, then these as they lie in memory: pickling them costs two copies."""
    if isinstance(answer, Broken):
        pipe.send((answer, None))
        return
    image = np.ascontiguousarray(answer.image)
    pipe.send((replace(answer, image=np.empty((3, 0, 0), np.float32)), image.shape))
    pipe.send_bytes(image.reshape(-1).view(np.uint8).data)


def _receive(worker: _Worker) -> Answers:
    """What a worker made of its earliest list of jobs."""
    try:
        while isinstance(message := worker.pipe.recv(), str):
            worker.at = message
        if isinstance(message, _Defect):
            raise RuntimeError(f"while preparing {worker.at}:\n{message.text}")
        return [_receive_one(worker.pipe) for _ in range(message)]
    except (EOFError, OSError, pickle.UnpicklingError) as error:
        raise _death(worker) from error


def _receive_one(pipe: Connection) -> Prepared | Broken:
    answer: Prepared | Broken
    answer, shape = pipe.recv()
    if isinstance(answer, Broken):
        return answer
    image = np.empty(shape, np.float32)
    pipe.recv_bytes_into(image.reshape(-1).view(np.uint8).data)
    return replace(answer, image=image)


def _death(worker: _Worker) -> InputError:
    worker.process.join(5)
    code = worker.process.exitcode
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    if not worker.at:
        return InputError(
            f"a loader process ended before its first image ({how}); its own words stand above",
            hint="a script calls train under `if __name__ == '__main__':`; workers=0 needs no processes",
        )
    return InputError(
        f"the process that read it died ({how})",
        path=worker.at,
        hint="look at that image; if memory ran out use fewer workers (--workers 0 uses none)",
    )
