"""Images to a table of features: decoding in threads beside the network; what is done is never done again.

Finished rows wait in a folder beside the file, some seconds' work to a part, until the last image is there. A run
that was stopped goes on from them, and a finished table is brought up to date: new and changed images are added,
those that are gone leave it.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.card import Card
from boxwright.cluster.pictures import Picture, Pictures
from boxwright.cluster.table import GROUP_BYTES, Described, Row, merge, read_described, read_keys, write_rows
from boxwright.data.doctor.probe import processors
from boxwright.errors import InputError
from boxwright.files import sweep, write_text
from boxwright.images import read_image
from boxwright.outputs import Outputs

SECONDS = 20.0
"""Work in a part at most: what a kill may lose."""

_COLUMNS = "path,reason"
Watch = Callable[[Iterable["Seen"], str, int], Iterable["Seen"]]


@runtime_checkable
class Network(Protocol):
    """What turns images into features: `boxwright.cluster.extractor.Extractor`, or torch's."""

    @property
    def card(self) -> Card:
        """What it is."""

    def prepare(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "3 size size"]:
        """One image as the network wants it; called from several threads."""

    def run(self, images: Float32[np.ndarray, "batch 3 size size"]) -> Float32[np.ndarray, "batch feature"]:
        """Features of a batch."""


@dataclass(frozen=True)
class Skipped:
    """An image without features.

    Attributes:
        path: relative to the root.
        reason: one line.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Extracted:
    """What a run has done.

    Attributes:
        table: the file.
        images: rows in it.
        computed: those that this run added.
        skipped: images that could not be read.
    """

    table: Path
    images: int
    computed: int
    skipped: tuple[Skipped, ...]


Seen = Row | Skipped


@dataclass(frozen=True)
class Pace:
    """How the work is cut; none of it changes a feature.

    Attributes:
        batch: images that the network sees at once.
        jobs: images decoded at a time; None is one a processor.
    """

    batch: int = 16
    jobs: int | None = None


def extract(
    pictures: Pictures,
    network: Network,
    out: Path,
    pace: Pace = Pace(),
    *,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> Extracted:
    """Bring a table of features up to date with some images.

    Args:
        pictures: the images.
        network: gives their features.
        out: the `.parquet` file; beside it `.skipped.csv` lists images that could not be read.
        pace: how the work is cut.
        overwrite: forget what there is instead of going on.
        watch: passes each image on as it is done.

    Raises:
        InputError: what there is was made with other settings or of other images, a full disk. Nothing is lost.
    """
    with Outputs(parts_of(out)) as parts:
        return _extract(pictures, network, out, parts, pace, overwrite, watch)


def _extract(
    pictures: Pictures,
    network: Network,
    out: Path,
    parts: Outputs,
    pace: Pace,
    overwrite: bool,
    watch: Watch | None,
) -> Extracted:
    unread = out.with_suffix(".skipped.csv")
    if overwrite:
        parts.remove()
        out.unlink(missing_ok=True)
    else:
        _refuse_strange(unread)
    sweep(out.parent, (out.name, unread.name))
    card = network.card
    described = Described(card.settings, str(pictures.root), card.notes)
    wanted = {picture.path: picture for picture in pictures.files}
    before = [*([out] if out.exists() else []), *parts.files()]
    done, stale = _done(before, described, wanted)
    missing = [picture for picture in pictures.files if picture.path not in done]
    skipped: list[Skipped] = []
    writer = _Parts(parts, described)
    computed = 0
    with ThreadPoolExecutor(pace.jobs or processors()) as pool:
        seen: Iterable[Seen] = _seen(pictures, missing, network, pace.batch, pool)
        try:
            for one in seen if watch is None else watch(seen, "computing features", len(missing)):
                if isinstance(one, Skipped):
                    skipped.append(one)
                    continue
                writer.add(one)
                computed += 1
        except BaseException:
            # Ctrl-C must not wait for images in the queue, nor lose those that are done.
            pool.shutdown(cancel_futures=True)
            writer.flush()
            raise
    writer.flush()
    if before != [out] or computed or stale or read_described(out) != described:
        kept = {path: (wanted[path].length, wanted[path].modified) for path in wanted}
        merge(out, described, [*before, *writer.files], kept)
    parts.remove()
    _list(unread, skipped)
    return Extracted(out, len(wanted) - len(skipped), computed, tuple(skipped))


def parts_of(out: Path) -> Path:
    """The folder beside a table in which its rows wait for the last one."""
    return out.with_name(out.name + ".parts")


def _done(
    before: Sequence[Path], described: Described, wanted: Mapping[str, Picture]
) -> tuple[set[str], int]:
    """Images that have their features already, if those were made as these would be; and the rows of others."""
    done: set[str] = set()
    stale = strange = 0
    for file in before:
        known = read_described(file).settings
        if known != described.settings:
            raise InputError(
                f"was made with other settings ({_difference(known, described.settings)})",
                path=file,
                hint="choose another file, or --overwrite",
            )
        for path, length, modified in read_keys(file):
            if path in wanted and (length, modified) == (wanted[path].length, wanted[path].modified):
                done.add(path)
            else:
                stale += 1
                strange += path not in wanted
    if strange and not done:
        raise InputError(
            f"holds features of other images, none of {described.root}",
            path=before[0],
            hint="choose another file, or --overwrite",
        )
    return done, stale


def _difference(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    def flat(values: Mapping[str, Any]) -> dict[str, Any]:
        inner = values.get("preprocess", {})
        return {**{k: v for k, v in values.items() if k not in ("preprocess", "columns")}, **inner}

    one, other = flat(known), flat(wanted)
    unlike = [key for key in one if one[key] != other.get(key)]
    if unlike == ["weights"]:
        return "other weights"
    return ", ".join(f"{key} {one[key]}" for key in unlike if key != "weights")


def _seen(
    pictures: Pictures, missing: Sequence[Picture], network: Network, batch: int, pool: ThreadPoolExecutor
) -> Iterator[Seen]:
    """Features in the images' order; while the network computes, the next two batches are decoded."""
    ahead = iter(missing)
    queue: deque[tuple[Picture, Future[_Prepared | Skipped]]] = deque()

    def fill() -> None:
        while len(queue) < 3 * batch and (picture := next(ahead, None)) is not None:
            queue.append((picture, pool.submit(_prepare, pictures, picture, network)))

    fill()
    while queue:
        waiting: list[tuple[Picture, _Prepared]] = []
        while queue and len(waiting) < batch:
            picture, future = queue.popleft()
            prepared = future.result()
            if isinstance(prepared, Skipped):
                yield prepared
            else:
                waiting.append((picture, prepared))
            fill()
        if waiting:
            features = network.run(np.stack([prepared.input for _, prepared in waiting]))
            for (picture, prepared), feature in zip(waiting, features, strict=True):
                yield Row(picture.path, picture.length, picture.modified, prepared.size, feature)


@dataclass(frozen=True)
class _Prepared:
    input: Float32[np.ndarray, "3 size size"]
    size: tuple[int, int]


def _prepare(pictures: Pictures, picture: Picture, network: Network) -> _Prepared | Skipped:
    try:
        picture.path.encode()
    except UnicodeEncodeError:
        return Skipped(ascii(picture.path), "its name is not UTF-8; rename it")
    try:
        image = read_image(pictures.file(picture))
    except InputError as error:
        return Skipped(picture.path, f"{error.message}; {error.hint}" if error.hint else error.message)
    return _Prepared(network.prepare(image), (image.shape[0], image.shape[1]))


class _Parts:
    """Rows that wait for the last image, in files of some seconds' work."""

    def __init__(self, outputs: Outputs, described: Described) -> None:
        self._outputs, self._described = outputs, described
        self._first = len(outputs.files())
        self._rows: list[Row] = []
        self._since = time.monotonic()
        self._most = max(1, GROUP_BYTES // (4 * described.columns))
        self.files: list[Path] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= self._most or time.monotonic() - self._since > SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            name = f"{self._first + len(self.files):06d}-{os.getpid()}.parquet"
            part = self._outputs.claim(self._outputs.folder / name)
            write_rows(part, self._described, self._rows)
            self.files.append(part)
            self._rows = []
        self._since = time.monotonic()


def _refuse_strange(unread: Path) -> None:
    """See that the list of unreadable images takes the place of an earlier one, and of nothing else."""
    if not os.path.lexists(unread):
        return
    with unread.open("rb") as file:
        if file.readline(100).strip() != _COLUMNS.encode():
            raise InputError(
                "exists, and boxwright did not write it",
                path=unread,
                hint="choose another file, or --overwrite",
            )


def _list(path: Path, skipped: Sequence[Skipped]) -> None:
    if not skipped:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS.split(","))
    lines.writerows((one.path, one.reason) for one in skipped)
    write_text(path, text.getvalue())
