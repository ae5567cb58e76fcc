"""One named file from the network into a cache folder, whole and verified or not at all.

A file arrives as `NAME.part`, beside which `NAME.part.json` says which version of the file the part is of; a later
call goes on where this one was cut. It takes its name once its length and digest are right, and `NAME.sha256`
keeps the digest, which is checked each time the file is used.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from boxwright.errors import InputError
from boxwright.files import unwritable, write_text

_CHUNK = 1 << 18
# Seconds: without a byte, until a connection counts as cut; and between lines of progress.
_SILENCE, _EVERY = 30, 5
_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
"""The beginning of a file's digest at the end of its name, as torchvision's files have it."""


def fetch(
    url: str,
    *,
    folder: Path | None = None,
    digest_prefix: str | None = None,
    offline: bool | None = None,
    say: Callable[[str], object] = print,
) -> Path:
    """A file of the network, from the cache folder or else downloaded into it.

    Args:
        url: of one file, http, https or file; proxies are taken from the environment.
        folder: where files are kept; `cache_folder()` if not given.
        digest_prefix: what its sha256 begins with; what stands in names such as "resnet18-f37072fd.pth" if not
            given.
        offline: never connect; the environment's `BOXWRIGHT_OFFLINE` if not given.
        say: receives lines of progress.

    Raises:
        InputError: no connection, no such file, cut short, another digest, a full disk, or offline without the
            file. After a cut connection the next call goes on; a file of another digest is deleted.
    """
    name = _name(url)
    prefix = (_PREFIX.search(name) or ("", ""))[1] if digest_prefix is None else digest_prefix.lower()
    place = (cache_folder() if folder is None else folder) / name
    if place.is_file():
        _verify(place, place, url, prefix)
        return place
    if _offline(offline) and not url.startswith("file:"):
        raise InputError("not here, and boxwright is offline", path=url, hint=f"put the file at {place}")
    transfer = _Transfer(url, place, say)
    with _alone(place.parent):
        # Another process may have had the folder, and fetched the file, while this one waited.
        if place.is_file():
            _verify(place, place, url, prefix)
            return place
        transfer.receive()
        _verify(transfer.part, place, url, prefix)
        transfer.finish()
    return place


def cache_folder() -> Path:
    """Where downloaded files are kept: `BOXWRIGHT_CACHE`, or boxwright/weights in the user's cache folder."""
    if own := os.environ.get("BOXWRIGHT_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boxwright" / "weights"


def sha256(path: Path) -> str:
    """Digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Version:
    """What a server says of a file, by which a part of it is known again."""

    url: str
    etag: str | None
    modified: str | None

    @property
    def named(self) -> str | None:
        """What the server may be asked for; a weak ETag does not promise the same bytes."""
        weak = self.etag is not None and self.etag.startswith("W/")
        return self.modified if weak or self.etag is None else self.etag


def _name(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise InputError("not a http, https or file address", path=url, hint="give the address of one file")
    name = urllib.parse.unquote(parts.path.rsplit("/", 1)[-1])
    if name in ("", ".", "..") or re.search(r"[/\\:\0]", name):
        raise InputError("the address names no file", path=url, hint="give the address of one file")
    return name


def _offline(asked: bool | None) -> bool:
    return os.environ.get("BOXWRIGHT_OFFLINE", "") not in ("", "0") if asked is None else asked


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have the folder for this process alone: two that write into one part would spoil it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems lock no folders; there it is as without. The lock ends with the process.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True)
class _Transfer:
    """One file on its way.

    Attributes:
        url: from where.
        place: to where.
        say: receives lines of progress.
    """

    url: str
    place: Path
    say: Callable[[str], object]

    @property
    def part(self) -> Path:
        return _beside(self.place, "part")

    def receive(self) -> None:
        """Make `part` the whole of what `url` holds."""
        known, have = self._known(), self.part.stat().st_size if self.part.is_file() else 0
        response = self._open(have, known)
        version = self._version(response)
        if response.status == 206 and (version != known or _range(response)[0] != have):
            # The file has changed since: what is here is of another one.
            response.close()
            response = self._open(0, None)
            version = self._version(response)
        with response:
            resumed = response.status == 206
            length = response.headers.get("Content-Length", "")
            whole = _range(response)[1] if resumed else int(length) if length.isdecimal() else None
            size = f" ({_megabytes(whole)})" if whole is not None else ""
            self.say(f"downloading {self.url}{size}" + f" from byte {have} on" * resumed)
            try:
                if not resumed:
                    self.part.unlink(missing_ok=True)
                    write_text(_beside(self.part, "json"), json.dumps(asdict(version)))
                file = self.part.open("ab")
            except OSError as error:
                raise self._unwritable(error) from error
            with file:
                self._copy(response, file, have if resumed else 0, whole)

    def finish(self) -> None:
        """Give the part its name."""
        try:
            self.part.replace(self.place)
            _beside(self.part, "json").unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _open(self, begin: int, known: _Version | None) -> Any:
        """The server's answer: from byte `begin` on if it still has the same file, else all of it."""
        request = urllib.request.Request(self.url, headers={"User-Agent": "boxwright"})
        if begin and known is not None and known.named is not None:
            request.add_header("Range", f"bytes={begin}-")
            request.add_header("If-Range", known.named)
        try:
            # An opener of its own: the shared one keeps the proxies of its first use.
            return urllib.request.build_opener().open(request, timeout=_SILENCE)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and begin:
                return self._open(0, None)
            raise self._failed(f"{error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(str(getattr(error, "reason", error)) or type(error).__name__) from error

    def _copy(self, response: Any, file: BinaryIO, have: int, whole: int | None) -> None:
        cut, said = "", time.monotonic()
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                cut = f" ({error})"
                break
            if not chunk:
                break
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                raise self._unwritable(error) from error
            have += len(chunk)
            if time.monotonic() - said > _EVERY:
                said = time.monotonic()
                self.say(_megabytes(have) + (f" of {_megabytes(whole)}" if whole is not None else ""))
        if cut or (whole is not None and have != whole):
            of = f" of {whole}" if whole is not None else ""
            raise InputError(
                f"cut after {have}{of} bytes{cut}",
                path=self.url,
                hint=f"run it again, which goes on with {self.part} where the server can",
            )
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _known(self) -> _Version | None:
        """The version of the part that is here, if it can be told."""
        try:
            known = _Version(**json.loads(_beside(self.part, "json").read_text()))
        except Exception:  # whatever stands there, it says nothing of the part
            return None
        return known if known.url == self.url else None

    def _version(self, response: Any) -> _Version:
        return _Version(self.url, response.headers.get("ETag"), response.headers.get("Last-Modified"))

    def _failed(self, why: str) -> InputError:
        return InputError(
            f"not downloaded: {why}",
            path=self.url,
            hint=f"check address and connection, or put the file at {self.place}",
        )

    def _unwritable(self, error: OSError) -> InputError:
        known = unwritable(self.part, error)
        return InputError(f"{known.message}, in the download of {self.url}", path=self.part, hint=known.hint)


def _range(response: Any) -> tuple[int, int | None]:
    """First byte and length of the whole, of an answer with a part."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    return (-1, None) if found is None else (int(found[1]), int(found[2]) if found[2] != "*" else None)


def _verify(file: Path, place: Path, url: str, prefix: str) -> None:
    """Hold `file`, which is or will be `place`, against its name and its record; write that if there is none."""
    record = _beside(place, "sha256")
    fresh = file != place or not record.is_file()
    try:
        digest = sha256(file)
        recorded = digest if fresh else (record.read_text().split() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read ({error})", path=place, hint=f"delete it and fetch {url} again"
        ) from error
    named = digest.startswith(prefix)
    if not named or digest != recorded:
        for gone in (file, record, _beside(file, "json")):
            gone.unlink(missing_ok=True)
        raise InputError(
            f"its sha256 is {digest}, not {recorded if named else prefix + '...'}, so that it was deleted",
            path=place,
            hint=f"fetch {url} again; if that gives the same, the server has another file",
        )
    if fresh:
        write_text(record, f"{digest}  {place.name}\n")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
