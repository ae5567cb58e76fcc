"""What goes wrong inside Spark, as one line; what it has to say beside that goes into a log."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxwright.errors import InputError
from boxwright.foreign import in_words

_OURS = ("py4j", "pyspark")
"""Packages whose exceptions are Spark's."""
_WORKER = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+(?P<last>\S[^\n]*)")
_PREFIX = re.compile(r"^(?:[a-z0-9_]+\.)*[A-Za-z]*(?:Error|Exception)\b:?\s*")
_CAUSE = re.compile(r"(?:Job aborted|most recent failure): (?:Lost task [^:]*: )?(?P<said>[^\n]+)")


@contextmanager
def spark_failures(log: Path | None) -> Iterator[None]:
    """Turn what Spark, its Java or its workers raise inside the block into one line; the traceback goes into the log.

    Args:
        log: where Java's own words are; None where Spark was started by somebody else.

    Raises:
        InputError: Spark could not do what it was asked for. Other exceptions pass.
    """
    try:
        yield
    except Exception as error:
        if (stop := _stopped(error)) is not None:
            raise stop from error
        if not is_sparks(error):
            raise
        if log is not None:
            with log.open("a", errors="backslashreplace") as file:
                traceback.print_exc(file=file)
        place = "the log of the Spark session" if log is None else log
        raise InputError(f"Spark broke off: {reason(error)}", hint=f"see {place}") from error


def is_sparks(error: BaseException | None) -> bool:
    """Whether an exception is Spark's, or follows from one that is: with Java gone, Python's own go astray."""
    if error is None or isinstance(error, InputError):
        return False
    modules = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    if modules & set(_OURS) or isinstance(error, ConnectionError | EOFError):
        return True
    return is_sparks(error.__cause__ or error.__context__)


def _stopped(error: BaseException | None) -> KeyboardInterrupt | None:
    """Ctrl-C, where what was raised while all was being ended hides it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def reason(error: Exception) -> str:
    """What is of use in it: a worker's last line, or else Spark's own first one."""
    java = getattr(error, "java_exception", None)
    text = str(error)
    if (found := list(_WORKER.finditer(text))) and (last := _PREFIX.sub("", found[-1]["last"])):
        return in_words(Exception(last))
    try:
        said = str(java.getMessage()) if java is not None else text
    except Exception:  # Java is gone
        said = text
    if (cause := list(_CAUSE.finditer(said))) and "Caused by" not in cause[-1]["said"]:
        said = cause[-1]["said"]
    return in_words(Exception(said)) if said.strip() else type(error).__name__


@contextmanager
def logged(log: Path) -> Iterator[None]:
    """Let py4j and pyspark write into the log what Python would else send to the terminal."""
    handler = logging.FileHandler(log, errors="backslashreplace")
    loggers = [logging.getLogger(name) for name in _OURS]
    # Some of py4j's words have no logger of their own.
    loggers += [] if logging.root.handlers else [logging.root]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
        handler.close()
