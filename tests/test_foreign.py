"""Whatever a foreign file causes is one line that names it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from boxwright.errors import InputError
from boxwright.foreign import read_json, reading


@pytest.mark.parametrize(
    "cause",
    [
        RecursionError("maximum recursion depth exceeded"),
        OverflowError("too large"),
        struct.error("unpack requires 4 bytes"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        MemoryError(),
        AssertionError(),
        RuntimeError("first line\nsecond line"),
        PermissionError(13, "Permission denied"),
        KeyError("facts"),
        InputError("has no classes"),
        type("ForeignError", (Exception,), {})(),
    ],
)
def test_any_exception_is_one_line_with_the_path_and_its_cause(cause: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"^a/b\.bin: .+; do so$") as raised,
        reading("a/b.bin", "x", again="do so"),
    ):
        raise cause
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is cause


def test_what_names_its_file_passes_and_so_does_an_interruption() -> None:
    error = InputError("is empty", path="other.txt")
    with pytest.raises(InputError) as raised, reading("a", "x", again="do so"):
        raise error
    assert raised.value is error
    with pytest.raises(KeyboardInterrupt), reading("a", "x", again="do so"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff{}", b"[" * 100_000, b"1" * 5000, b"NaN", b'{"a":'])
def test_json_that_is_no_object_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: is damaged or no list of things \(.+\); make it"):
        read_json(tmp_path / "a.json", "list of things", again="make it")
    with pytest.raises(InputError, match=r"b\.json: does not exist; make it"):
        read_json(tmp_path / "b.json", "list of things", again="make it")
