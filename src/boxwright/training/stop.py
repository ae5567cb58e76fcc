"""The ways a run ends before its time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, TypeVar

from boxwright.errors import InputError
from boxwright.stopping import ECHO

Item = TypeVar("Item")


class DivergenceError(InputError):
    """A loss or gradient is not finite: the run cannot go on with these settings or this data.

    Args:
        what: which loss, and when.
        images: the files of the batch.
    """

    def __init__(self, what: str, images: list[str]) -> None:
        self.images = tuple(images)
        more = f" and {len(images) - 4} more" if len(images) > 4 else ""
        super().__init__(
            f"{what} is not finite; its images: {', '.join(images[:4])}{more}",
            hint="look at them (not_finite.txt lists all) or lower train.lr; best and last are from before",
        )


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, has saved `last`, and can go on; its text says how."""


class StopRequest:
    """Notes Ctrl-C and SIGTERM instead of raising, so that the batch at hand is finished.

    A second Ctrl-C is raised at once, unless it comes so soon that it is the first one's echo: torchrun passes
    on what the terminal has sent already. In threads other than the main one, which cannot handle signals,
    nothing is noted.

    Attributes:
        asked: whether a signal has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0
        self._old: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._old = {}

    def watch(self, items: Iterator[Item], *, alone: bool = True) -> Iterator[Item]:
        """Pass items through until a signal has come.

        Args:
            items: anything.
            alone: of several processes none may leave in the middle: then all items are passed.

        Raises:
            Interrupted: a signal has come.
        """
        for item in items:
            if self.asked and alone:
                raise Interrupted("stopped during a validation")
            yield item

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            if number == signal.SIGINT and time.monotonic() - self._since > ECHO:
                self.__exit__()
                raise KeyboardInterrupt
            return
        self.asked, self._since = True, time.monotonic()
        # Written past Python's buffers, which a signal may have found half way through a line.
        text = b"\nfinishing the batch and saving; press Ctrl-C again to drop what is not saved\n"
        if not int(os.environ.get("RANK", "0")):
            os.write(2, text)
