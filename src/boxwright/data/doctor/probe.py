"""Looking at many image files at once: what each says of itself, whether it decodes, what it looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from boxwright.errors import InputError
from boxwright.images import EMPTY, TRUNCATED, read_header, read_thumbnail

SIDE = 32
"""Height and width of the thumbnails, in pixels."""

_SMALL = 16 << 20
"""Bytes of a file that are held in memory at once."""

_WEIGHTS = np.array([299, 587, 114], np.uint32)


@dataclass(frozen=True)
class Probe:
    """One image file.

    Attributes:
        path: the file.
        fault: the id of the check that it fails ("image-missing", "image-truncated", ...), or "".
        message: what is wrong, one line; "" without a fault.
        size: (height, width) upright, or None if the header cannot be read.
        orientation: EXIF's, 1 to 8.
        format: Pillow's name of the format, by content; "" if the header cannot be read.
        digest: of the file's bytes; b"" unless decoded.
        thumbnail: the picture in grey, or None unless decoded.
    """

    path: Path
    fault: str = ""
    message: str = ""
    size: tuple[int, int] | None = None
    orientation: int = 1
    format: str = ""
    digest: bytes = b""
    thumbnail: UInt8[np.ndarray, "32 32"] | None = None


Watch = Callable[[Iterable[Probe], str, int], Iterable[Probe]]
"""Passes files on and shows how many of how many are done; `boxwright.cli.console.progress` is one."""


def probe(path: Path, *, decode: bool = True) -> Probe:
    """Read one file's header and, with `decode`, the whole of it."""
    try:
        # Small files are read once; those that are larger than memory should hold stay where they are.
        source = path.read_bytes() if decode and path.is_file() and path.stat().st_size <= _SMALL else path
        header = read_header(source)
    except OSError as error:
        check = "image-missing" if isinstance(error, FileNotFoundError) else "image-unreadable"
        return Probe(path, check, f"cannot be opened ({error.strerror or error})")
    except InputError as error:
        return Probe(path, _check(path, error), error.message)
    known = Probe(path, size=header.size, orientation=header.orientation, format=header.format)
    if not decode:
        return known
    try:
        pixels = read_thumbnail(source, (SIDE, SIDE))
    except InputError as error:
        return replace(known, fault=_check(path, error), message=error.message)
    grey = (pixels @ _WEIGHTS // 1000).astype(np.uint8)
    return replace(known, digest=_digest(source), thumbnail=grey)


def _digest(source: Path | bytes) -> bytes:
    digest = hashlib.blake2b(source if isinstance(source, bytes) else b"", digest_size=16)
    if isinstance(source, Path):
        with source.open("rb") as file:
            while part := file.read(_SMALL):
                digest.update(part)
    return digest.digest()


def probe_all(
    paths: Iterable[Path], *, decode: bool = True, jobs: int | None = None, watch: Watch | None = None
) -> dict[Path, Probe]:
    """Every file once, in parallel threads (decoding leaves Python alone).

    Args:
        paths: the files; repeated ones are looked at once.
        decode: read whole files, not only their headers.
        jobs: how many at a time; as many as there are processors by default.
        watch: passes each file on as it is done.
    """
    unique = list(dict.fromkeys(paths))
    found: dict[Path, Probe] = {}
    with ThreadPoolExecutor(jobs or processors()) as pool:
        results: Iterable[Probe] = pool.map(lambda path: _guarded(path, decode), unique)
        try:
            for result in results if watch is None else watch(results, "looking at images", len(unique)):
                found[result.path] = result
        except BaseException:
            # Ctrl-C must not wait for the images that are still in the queue.
            pool.shutdown(cancel_futures=True)
            raise
    return found


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _guarded(path: Path, decode: bool) -> Probe:
    try:
        return probe(path, decode=decode)
    except Exception as error:  # one file must not end the report on all others
        return Probe(path, "check-crashed", f"looking at it failed: {type(error).__name__}: {error}")


def _check(path: Path, error: InputError) -> str:
    if error.message == EMPTY:
        return "image-empty"
    if error.message == TRUNCATED:
        return "image-truncated"
    return "image-unreadable" if path.exists() else "image-missing"
