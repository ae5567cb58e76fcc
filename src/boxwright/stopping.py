"""How a command ends that is stopped by Ctrl-C or SIGTERM: with a line that says what is done and how to go on.

Both signals raise KeyboardInterrupt, so that what cleans up after the one cleans up after the other. While a command
works it says here how far it is and what it would leave behind; whoever ends it asks for the line.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

Item = TypeVar("Item")

ECHO = 0.5
"""Seconds after a signal in which another one is not taken for a second wish."""

AGAIN = "the same command begins anew"
NOTHING = f"nothing is written; {AGAIN}"
_SWALLOWED_SECONDS = 0.1


@dataclass
class Standing:
    """How far a command is.

    Attributes:
        doing: what it does with its images ("detecting"); "" before it comes to them.
        done, total: of those images; the total is None where nobody knows it.
        saved: whether a run has said itself that it saved all it needs to go on.
    """

    doing: str = ""
    done: int = 0
    total: int | None = None
    saved: bool = False


Left = Callable[[Standing], str]
"""What is kept and how to go on, in words, at the moment of the stop."""

_standing = Standing()
_left: Left = lambda _: NOTHING  # noqa: E731


def begin() -> None:
    """A command begins: nothing is done yet, and nothing is written."""
    global _standing, _left
    _standing, _left = Standing(), lambda _: NOTHING


def if_stopped(left: Left) -> None:
    """From here on, a stop leaves this behind."""
    global _left
    _left = left


def counted(items: Iterable[Item], doing: str, total: int | None = None) -> Iterator[Item]:
    """Pass items through and count those that are done with."""
    global _standing
    standing = _standing = Standing(doing, 0, total)
    for item in items:
        yield item
        standing.done += 1


def advance(doing: str, done: int, total: int) -> None:
    """So many of so many images are done, as one knows who counts by himself."""
    global _standing
    _standing = Standing(doing, done, total)


def line(error: BaseException) -> str:
    """What is said of a command that a signal has ended.

    Args:
        error: that it ended by. A KeyboardInterrupt with a text comes from a run that has saved itself.
    """
    text = str(error) if isinstance(error, KeyboardInterrupt) else ""
    _standing.saved = bool(text)
    return f"{text or _how_far(_standing)}; {_left(_standing)}"


def _how_far(standing: Standing) -> str:
    if not standing.doing:
        return "stopped"
    of = "" if standing.total is None else f" of {standing.total}"
    return f"stopped {standing.doing} after {standing.done}{of} images"


class Signals:
    """Ctrl-C and SIGTERM as KeyboardInterrupt, once; a second one ends the process at once.

    A second one within `ECHO` seconds is the first one's echo: a terminal and whoever passes signals on send both.
    A signal that is ignored (`nohup`) stays so, and threads other than the main one handle none.

    Attributes:
        asked: whether one has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0
        self._old: dict[int, Any] = {}
        self._hook = sys.unraisablehook
        self._disabled = logging.root.manager.disable

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._old[number] = signal.signal(number, self._raise)
            sys.unraisablehook = self._unraisable
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook
        logging.disable(self._disabled)

    def is_end(self, error: BaseException) -> bool:
        """Whether an error is the end that a signal asked for.

        What is interrupted inside of a library may come out as an error of another kind.
        """
        if isinstance(error, KeyboardInterrupt):
            self.asked, self._since = True, time.monotonic()
        return self.asked

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            if time.monotonic() - self._since > ECHO:
                os.write(2, b"boxwright: ended at once\n")
                os._exit(3)
            return
        self.asked, self._since = True, time.monotonic()
        # Some libraries (py4j is one) log a signal as an error, with its traceback.
        logging.disable()
        raise KeyboardInterrupt

    def _unraisable(self, what: Any) -> None:
        """A signal that came in a destructor or callback, where nothing can be raised, comes again."""
        if not issubclass(what.exc_type, KeyboardInterrupt):
            self._hook(what)
            return
        self.asked = False
        threading.Timer(_SWALLOWED_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()
