"""What it costs in memory to decode an image, and how many are decoded at a time.

Pixels say little: a transparent WebP takes seven times the memory of a JPEG of its size while it is decoded. So
the cost is estimated in bytes at the peak, from the header, and held against a budget before a pixel is decoded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

MAX_BYTES = 2 << 30
"""Memory that the decoding of one image may take at its peak, unless told otherwise; and of several at a time."""

_RGB = 3
"""Bytes of a pixel in what is given out."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes of a pixel in Pillow's image, by mode; 4 for all others."""

_DECODER = {
    "WEBP": 20,  # two canvases, a frame and copies
    "AVIF": 10,  # planes of up to 12 bits, and a copy
    "TIFF": 4,  # a strip, which can be the whole image
}
"""Bytes of a pixel that a decoder holds beside Pillow's image, by format; tests/test_image_memory.py measures."""

_WHOLE_FILES = ("JPEG", "MPO", "WEBP", "AVIF")
"""Formats whose files are read whole before they are decoded."""


def decoding_bytes(image: Image.Image, file_bytes: int, *, straight: bool = False) -> int:
    """Memory that decoding an opened image to RGB takes at its peak, but for a band of rows.

    Args:
        image: opened, not loaded.
        file_bytes: size of its file.
        straight: the decoder gives RGB itself, without Pillow's image in between.
    """
    kind = image.format or ""
    stored = 0 if straight else _STORED.get(image.mode, 4)
    decoder = _DECODER.get(kind, 0)
    if kind == "JPEG2000":
        decoder = 5 * len(image.getbands())  # integers of 32 bits
    elif kind in ("JPEG", "MPO") and image.info.get("progressive"):
        decoder = 2 * len(image.getbands())  # the coefficients of the whole image
    if straight:
        decoder += _RGB
    pixel = stored + max(decoder, 2 * _RGB)  # twice: as decoded, and turned upright
    return image.width * image.height * pixel + (file_bytes if kind in _WHOLE_FILES else 0)


def gigabytes(count: int) -> str:
    """A size for a person.

    >>> gigabytes(3_756_000_000), gigabytes(12_000_000)
    ('3.8 GB', '0.01 GB')
    """
    return f"{count / 1e9:.2g} GB"


@runtime_checkable
class Gate(Protocol):
    """Lets decoding begin when there is memory for it."""

    def hold(self, size: int) -> AbstractContextManager[None]:
        """Wait until `size` bytes may be taken, and take them while the block runs."""
        ...


class ThreadGate:
    """Lets the threads of this process take no more than a limit together; one alone may always go on.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._free = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """See `Gate`."""
        with self._free:
            self._free.wait_for(lambda: self._used == 0 or self._used + size <= self.limit)
            self._used += size
        try:
            yield
        finally:
            with self._free:
                self._used -= size
                self._free.notify_all()


class ProcessGate:
    """Lets several processes decode large images one at a time, and small ones as they come.

    The lock is the operating system's on an open file: a process that dies lets go of it.

    Args:
        path: an empty file that all of them can write.
        share: what each may take without asking, in bytes.
    """

    def __init__(self, path: Path, share: int) -> None:
        self.path, self.share = path, share

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """See `Gate`."""
        if size <= self.share:
            yield
            return
        try:
            import fcntl
        except ImportError:  # Windows: no such locks, so they are not kept apart
            yield
            return
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


THREADS = ThreadGate(MAX_BYTES)
"""The gate of this process, which every decoder goes through unless it is given another one."""
