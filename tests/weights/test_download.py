from __future__ import annotations

import hashlib
import http.server
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright.errors import InputError
from boxwright.weights import download
from boxwright.weights.download import fetch

CONTENT = bytes(range(256)) * 4096
"""A megabyte: several of the pieces in which it is read."""
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}.pth"
HALF = 600_000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content` under every path, and does as the class attributes say."""

    content: ClassVar[bytes] = CONTENT
    etag: ClassVar[str | None] = '"one"'
    ranges: ClassVar[bool] = True
    obeys_if_range: ClassVar[bool] = True
    send: ClassVar[int | None] = None
    asked: ClassVar[list[dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        if "missing" in self.path:
            self.send_error(404)
            return
        begin, wanted = 0, self.headers.get("Range")
        if wanted and self.ranges and (not self.obeys_if_range or self.headers.get("If-Range") == self.etag):
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag is not None:
            self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin:][: self.send])

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


@contextmanager
def serving(**ways: Any) -> Iterator[tuple[str, type[Handler]]]:
    """A server's address, and its handler, whose ways may be changed while it runs."""
    handler: type[Handler] = type("Ways", (Handler,), {**ways, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/models", handler
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("BOXWRIGHT_CACHE", "BOXWRIGHT_OFFLINE", "XDG_CACHE_HOME")
    proxies = (f"{scheme}_proxy" for scheme in ("http", "https", "all", "no"))
    for name in (*names, *(case for proxy in proxies for case in (proxy, proxy.upper()))):
        monkeypatch.delenv(name, raising=False)


def quiet(_: str) -> None:
    """No progress."""


def refused(url: str, folder: Path, **options: Any) -> str:
    """The line of the error, which names the address and the file."""
    with pytest.raises(InputError) as caught:
        fetch(url, folder=folder, say=quiet, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert url in line
    assert str(folder / download._name(url)) in line
    return line


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def cut(folder: Path, url: str, handler: type[Handler]) -> None:
    """Leave a part of `HALF` bytes, as a cut connection does."""
    handler.send = HALF
    assert f"cut after {HALF} of {len(CONTENT)} bytes" in refused(url, folder)
    handler.send = None
    assert names(folder) == {f"{NAME}.part", f"{NAME}.part.json"}
    assert (folder / f"{NAME}.part").stat().st_size == HALF


def test_a_fresh_file_is_whole_and_its_digest_recorded(tmp_path: Path) -> None:
    lines: list[str] = []
    with serving() as (base, handler):
        place = fetch(f"{base}/{NAME}", folder=tmp_path / "new", say=lines.append)
    assert place == tmp_path / "new" / NAME
    assert place.read_bytes() == CONTENT
    assert (tmp_path / "new" / f"{NAME}.sha256").read_text() == f"{DIGEST}  {NAME}\n"
    assert names(place.parent) == {NAME, f"{NAME}.sha256"}
    assert lines == [f"downloading {base}/{NAME} (1.0 MB)"]
    assert len(handler.asked) == 1


def test_a_cached_file_is_not_asked_for_again(tmp_path: Path) -> None:
    with serving() as (base, handler):
        first = fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet)
        again = fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet)
    assert first == again
    assert len(handler.asked) == 1


def test_a_cached_file_that_was_damaged_is_deleted(tmp_path: Path) -> None:
    with serving() as (base, _):
        url = f"{base}/plain.pth"
        place = fetch(url, folder=tmp_path, say=quiet)
        place.write_bytes(CONTENT[:-1] + b"?")
        assert "its sha256 is" in refused(url, tmp_path)
        assert names(tmp_path) == set()
        assert fetch(url, folder=tmp_path, say=quiet).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_held_against_its_name(tmp_path: Path) -> None:
    place = tmp_path / NAME
    place.write_bytes(CONTENT)
    assert fetch(f"http://nowhere.invalid/{NAME}", folder=tmp_path) == place
    assert (tmp_path / f"{NAME}.sha256").read_text().startswith(DIGEST)
    (tmp_path / f"{NAME}.sha256").unlink()
    place.write_bytes(b"another")
    assert f"not {DIGEST[:8]}..." in refused(f"http://nowhere.invalid/{NAME}", tmp_path)
    assert not place.exists()


def test_a_cut_download_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    lines: list[str] = []
    with serving() as (base, handler):
        cut(tmp_path, f"{base}/{NAME}", handler)
        place = fetch(f"{base}/{NAME}", folder=tmp_path, say=lines.append)
    assert place.read_bytes() == CONTENT
    assert handler.asked[1]["range"] == f"bytes={HALF}-"
    assert len(handler.asked) == 2
    assert lines == [f"downloading {base}/{NAME} (1.0 MB) from byte {HALF} on"]
    assert names(tmp_path) == {NAME, f"{NAME}.sha256"}


def test_the_part_that_is_here_is_used_and_not_loaded_again(tmp_path: Path) -> None:
    """Else a server could be asked for the rest and yet the whole be read."""
    with serving() as (base, handler):
        cut(tmp_path, f"{base}/{NAME}", handler)
        (tmp_path / f"{NAME}.part").write_bytes(b"?" * HALF)
        assert "its sha256 is" in refused(f"{base}/{NAME}", tmp_path)
    assert names(tmp_path) == set()


def test_a_server_that_ignores_range_is_read_from_the_start(tmp_path: Path) -> None:
    with serving(ranges=False) as (base, handler):
        cut(tmp_path, f"{base}/{NAME}", handler)
        assert fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet).read_bytes() == CONTENT
    assert "range" in handler.asked[1]


def test_without_a_name_for_the_version_nothing_is_resumed(tmp_path: Path) -> None:
    with serving(etag=None) as (base, handler):
        cut(tmp_path, f"{base}/{NAME}", handler)
        assert fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet).read_bytes() == CONTENT
    assert all("range" not in asked for asked in handler.asked)


@pytest.mark.parametrize("obeys", [True, False])
def test_a_file_that_changed_between_parts_is_read_from_the_start(obeys: bool, tmp_path: Path) -> None:
    with serving(obeys_if_range=obeys) as (base, handler):
        url = f"{base}/plain.pth"
        handler.send = HALF
        refused(url, tmp_path)
        handler.send, handler.content, handler.etag = None, CONTENT[::-1], '"two"'
        assert fetch(url, folder=tmp_path, say=quiet).read_bytes() == CONTENT[::-1]
    assert len(handler.asked) == (2 if obeys else 3)


def test_a_part_that_is_longer_than_the_file_is_dropped(tmp_path: Path) -> None:
    with serving() as (base, handler):
        cut(tmp_path, f"{base}/{NAME}", handler)
        (tmp_path / f"{NAME}.part").write_bytes(b"?" * 2 * len(CONTENT))
        assert fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet).read_bytes() == CONTENT


def test_a_body_shorter_than_announced_is_no_file(tmp_path: Path) -> None:
    with serving(send=100) as (base, _):
        line = refused(f"{base}/plain.pth", tmp_path)
    assert f"cut after 100 of {len(CONTENT)} bytes" in line
    assert not (tmp_path / "plain.pth").exists()


@pytest.mark.parametrize("given", [None, "0000"])
def test_a_wrong_digest_leaves_nothing(given: str | None, tmp_path: Path) -> None:
    with serving() as (base, _):
        name = "net-00000000.pth" if given is None else NAME
        line = refused(f"{base}/{name}", tmp_path, digest_prefix=given)
    assert f"its sha256 is {DIGEST}, not 0000" in line
    assert names(tmp_path) == set()


def test_a_missing_file(tmp_path: Path) -> None:
    with serving() as (base, _):
        assert "not downloaded: 404" in refused(f"{base}/missing.pth", tmp_path)
    assert names(tmp_path) == set()


def test_nobody_there(tmp_path: Path) -> None:
    with serving() as (base, _):
        pass
    assert "not downloaded: [Errno" in refused(f"{base}/{NAME}", tmp_path)


def test_offline_uses_what_is_here_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as (base, handler):
        url = f"{base}/{NAME}"
        assert f"offline; put the file at {tmp_path / NAME}" in refused(url, tmp_path, offline=True)
        monkeypatch.setenv("BOXWRIGHT_OFFLINE", "1")
        refused(url, tmp_path)
        assert handler.asked == []
        fetch(url, folder=tmp_path, say=quiet, offline=False)
        assert fetch(url, folder=tmp_path, say=quiet).read_bytes() == CONTENT
        assert fetch(url, folder=tmp_path, say=quiet, offline=True).read_bytes() == CONTENT
    assert len(handler.asked) == 1


def test_a_mirror_on_disk(tmp_path: Path) -> None:
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    mirror.mkdir()
    (mirror / NAME).write_bytes(CONTENT)
    assert fetch(f"{mirror.as_uri()}/{NAME}", folder=cache, say=quiet).read_bytes() == CONTENT
    assert "not downloaded: " in refused(f"{mirror.as_uri()}/other.pth", cache)


def test_a_proxy_of_the_environment_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as (base, handler):
        monkeypatch.setenv("http_proxy", base.removesuffix("/models"))
        url = f"http://weights.invalid/models/{NAME}"
        assert fetch(url, folder=tmp_path, say=quiet).read_bytes() == CONTENT
    assert [asked["path"] for asked in handler.asked] == [url]


def test_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving() as (base, _):
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, hard))
        try:
            line = refused(f"{base}/{NAME}", tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "the disk is full" in line
        assert fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet).read_bytes() == CONTENT


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    places: list[Path] = []
    with serving() as (base, handler):
        calls = [
            threading.Thread(
                target=lambda: places.append(fetch(f"{base}/{NAME}", folder=tmp_path, say=quiet))
            )
            for _ in range(4)
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
    assert places == [tmp_path / NAME] * 4
    assert len(handler.asked) == 1


@pytest.mark.parametrize(
    "url", ["ftp://a.invalid/x.pth", "http://a.invalid/", "x.pth", "http://a.invalid/%2e%2e"]
)
def test_addresses_that_name_no_file(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the address of one file"):
        fetch(url, folder=tmp_path)


def test_where_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / ".cache/boxwright/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert download.cache_folder() == tmp_path / "xdg/boxwright/weights"
    monkeypatch.setenv("BOXWRIGHT_CACHE", "~/own")
    assert download.cache_folder() == tmp_path / "own"
