"""Pipes, sockets and devices are refused at once by everything that opens a file of others."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxwright.cluster.table import _opened
from boxwright.data.doctor.probe import probe_all
from boxwright.data.formats.reading import read_text
from boxwright.data.formats.trees import parse_any
from boxwright.errors import InputError
from boxwright.files import read_arrays
from boxwright.images import read_header, read_image, read_thumbnail
from boxwright.modelfile import read_file
from boxwright.regular import check_regular, is_file, is_folder, read_regular, real_path
from boxwright.runtime.onnx import read_graph
from boxwright.segment.layout import read_names
from boxwright.segment.reading import read_mask
from boxwright.training.transfer import is_model_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """A reader that opens a pipe would wait for ever."""
    old = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits for a pipe"))
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(params=["pipe", "socket", "device", "link to a pipe"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))  # the whole path may be too long for a socket
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    return path


@pytest.mark.parametrize(
    "read",
    [
        read_image,
        read_header,
        lambda path: read_thumbnail(path, (4, 4)),
        read_mask,
        read_file,
        read_graph,
        read_names,
        _opened,
        lambda path: read_arrays(path, ("a",), kind="file", again="make it"),
    ],
)
def test_readers_refuse_in_one_line(odd: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(InputError, match=r"a\.jpg: .*a pipe, a socket or a device") as error:
        read(odd)
    assert "\n" not in str(error.value)


def test_readers_that_report(odd: Path) -> None:
    said: list[Any] = []
    assert read_text(odd, said.append) is None
    assert parse_any(odd, said.append) is None
    assert ["a pipe, a socket or a device" in one.message for one in said] == [True, True]
    assert not is_model_file(odd)
    found = probe_all([odd])[odd]
    assert (found.fault, "a pipe, a socket or a device" in found.message) == ("image-unreadable", True)


def test_what_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    assert check_regular(path).st_size == 7
    assert read_regular(path) == b"content"
    with pytest.raises(IsADirectoryError):
        check_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        check_regular(tmp_path / "none")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux only")
def test_files_of_the_kernel_are_no_images() -> None:
    for name in ("/proc/kmsg", "/proc/self/mem", "/proc/self/pagemap"):
        with pytest.raises(InputError):
            read_image(name)


def test_names_that_lead_nowhere_raise_nothing(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for name in (loop, tmp_path / ("x" * 5000), tmp_path / "a\0b", tmp_path / "none"):
        assert not is_file(name)
        assert not is_folder(name)
    assert real_path(loop).name == "loop"
    assert is_folder(tmp_path) and real_path(tmp_path / ".." / tmp_path.name) == tmp_path
