"""The `.safetensors` file of a model: weights, description and a hash over every byte; no pickle, ever.

The layout is the published safetensors one (eight bytes of header length, a JSON header, raw tensors), so any
reader of that format opens it. It is written here rather than by the library because the header must hold a
digest of the payload that follows, and because writing tensor by tensor needs no second copy of the weights.

The digest under the key "sha256" is of the whole file with the digest itself read as 64 zeros. It is against
damage (a cut download, a bad disk), not against a forger.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.files import replacing
from boxwright.foreign import reading
from boxwright.manifest import KEY, Manifest
from boxwright.regular import open_regular

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_BLANK = "0" * 64
_LARGEST_HEADER = 100_000_000
_CHUNK = 1 << 22
_DAMAGED = "copy or download it again"


@runtime_checkable
class Description(Protocol):
    """What is said of a model beside its weights: a detector's `Manifest`, another network's `Card`."""

    def to_json(self) -> str:
        """One line of JSON."""
        ...


@dataclass(frozen=True)
class TensorFile:
    """What any model file holds, its description unread.

    Attributes:
        tensors: by name, as views into one buffer; writable.
        description: the JSON that stands beside the weights.
        extra: further texts that the writer put in (a checkpoint's optimiser state, ...).
    """

    tensors: dict[str, np.ndarray]
    description: str
    extra: dict[str, str]


@dataclass(frozen=True)
class ModelFile:
    """What a detector's file holds.

    Attributes:
        tensors: by name, as views into one buffer; writable.
        manifest: classes, preprocessing, recipe.
        extra: further texts that the writer put in (a checkpoint's optimiser state, ...).
    """

    tensors: dict[str, np.ndarray]
    manifest: Manifest
    extra: dict[str, str]


def write_model(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    description: Description,
    *,
    extra: Mapping[str, str] | None = None,
    keep: Path | None = None,
) -> None:
    """Write one model file, all of it or nothing.

    Args:
        path: the `.safetensors` file; what it held stays until the new one is complete and synced.
        tensors: float16/32/64, int32/64, uint8 or bool arrays by name.
        description: of the model.
        extra: further texts for the header; not "boxwright" or "sha256".
        keep: where the previous file stays, if there was any.

    Raises:
        InputError: the file cannot be written, or the disk is full.
        ValueError: a dtype that the format does not hold, or a reserved name.
    """
    reserved = {KEY, "sha256"} & set(extra or {}) | {"__metadata__"} & set(tensors)
    if reserved:
        raise ValueError(f"{sorted(reserved)} is reserved")
    # Wide elements first: then every tensor is aligned to its own element size without gaps.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": {**(extra or {}), KEY: description.to_json(), "sha256": _BLANK}}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        if (dtype := tensors[name].dtype.newbyteorder("<")) not in _NAMES:
            raise ValueError(f"{name} has dtype {dtype}, which a model file does not hold")
        header[name] = {"dtype": _NAMES[dtype], "shape": tensors[name].shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(head)
    for name in names:
        digest.update(_raw(tensors[name]))
    with replacing(path, keep=keep) as file:
        file.write(head.replace(_digest_field(_BLANK), _digest_field(digest.hexdigest()), 1))
        for name in names:
            file.write(_raw(tensors[name]))


def read_model(path: str | Path) -> ModelFile:
    """Read and verify a detector's file.

    Raises:
        InputError: missing, damaged, cut short, not a model file, one that boxwright did not write, or another
            network than a detector.
    """
    file = read_file(path)
    with reading(path, "detector's model file", again=_DAMAGED):
        if (card := Card.found(file.description)) is not None:
            raise InputError(
                f"is a network for {card.task}, not a detector",
                path=path,
                hint=f"see boxwright {card.task} --help",
            )
        manifest = Manifest.from_json(file.description, path=Path(path))
    return ModelFile(file.tensors, manifest, file.extra)


def read_net(path: str | Path, task: str) -> tuple[dict[str, np.ndarray], Card]:
    """Read and verify the file of a network that is no detector.

    Args:
        path: the `.safetensors` file.
        task: what it must be for, such as "style".

    Raises:
        InputError: as `read_model`; or it is for something else.
    """
    file = read_file(path)
    own = {name: value for name, value in file.tensors.items() if not name.startswith("training.")}
    with reading(path, "model file", again=_DAMAGED):
        return own, Card.expected(file.description, task, Path(path))


def read_file(path: str | Path) -> TensorFile:
    """Read and verify one model file of any kind.

    Raises:
        InputError: missing, damaged, cut short, not a model file, or one that boxwright did not write.
    """
    path = Path(path)
    try:
        opened = open_regular(path)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", path=path, hint="check the path of the model file"
        ) from error
    with opened as file, reading(path, "model file", again=_DAMAGED):
        size = path.stat().st_size
        head = _read_head(file, size, path)
        header = _parse(head[8:], size - len(head), path)
        payload = np.empty(size - len(head), np.uint8)
        metadata = header.pop("__metadata__")
        _verify(head, file, payload, metadata["sha256"], path)
        tensors = {name: _tensor(payload, entry, path) for name, entry in header.items()}
    extra = {key: value for key, value in metadata.items() if key not in (KEY, "sha256")}
    return TensorFile(tensors, metadata[KEY], extra)


def _raw(array: np.ndarray) -> memoryview:
    """The bytes of an array, little-endian, without a copy where it is contiguous already."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def _tensor(payload: np.ndarray, entry: Mapping[str, Any], path: Path) -> np.ndarray:
    try:
        return payload[slice(*entry["data_offsets"])].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    except (
        ValueError,
        OverflowError,
    ) as error:  # more axes than numpy has, or an empty one beside a huge one
        raise InputError(f"holds a tensor of shape {entry['shape']}", path=path, hint=_DAMAGED) from error


def _digest_field(digest: str) -> bytes:
    return b'"sha256":"' + digest.encode() + b'"'


def _read_head(file: BinaryIO, size: int, path: Path) -> bytes:
    """The length and the header, raw; whatever is not a safetensors file is named for what it is."""
    start = file.read(512)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:9] != b"{":
        raise _foreign(start, path)
    if length > _LARGEST_HEADER or length > size - 8:
        raise InputError(
            f"is cut short or no model file (a header of {length} bytes in {size})", path=path, hint=_DAMAGED
        )
    file.seek(0)
    return file.read(8 + length)


def _foreign(start: bytes, path: Path) -> InputError:
    """Say what the first bytes are, when they are no safetensors header."""
    text = start.lstrip()[:64].lower()
    if not start:
        return InputError("is empty", path=path, hint=_DAMAGED)
    if start.startswith(b"PK") or (start[0] == 0x80 and start[1:2] in (b"\2", b"\3", b"\4", b"\5")):
        return InputError(
            "is a pickle, which can run any code when read, so boxwright never opens one",
            path=path,
            hint="save the weights as .safetensors where they were made",
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return InputError("is a web page, not a model", path=path, hint="download the file itself")
    if text.startswith(b"version https://git-lfs"):
        return InputError("is a Git LFS pointer, not the model", path=path, hint="run git lfs pull")
    if path.suffix == ".onnx":
        return InputError("is not a .safetensors file", path=path, hint="open it with boxwright.load")
    return InputError("is not a .safetensors file, or is damaged", path=path, hint=_DAMAGED)


def _parse(text: bytes, payload: int, path: Path) -> dict[str, Any]:
    """The header as JSON, with every entry checked against the payload's size."""

    def bad(why: str) -> InputError:
        return InputError(f"its header is damaged ({why})", path=path, hint=_DAMAGED)

    try:
        header: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad("not JSON") from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not {KEY, "sha256"} <= set(metadata):
        raise InputError(
            "holds weights but no boxwright description",
            path=path,
            hint="for a backbone pass it as weights= to create; else see boxwright.weights",
        )
    if not all(isinstance(value, str) for value in metadata.values()):
        raise bad("metadata that is no text")
    expected = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
                whole = all(type(n) is int and n >= 0 for n in shape) and dtype in _DTYPES
                if not whole or begin != expected or end - begin != _bytes(dtype, shape):
                    raise bad(f"tensor {name!r}")
                expected = end
            case _:
                raise bad(f"tensor {name!r}")
    if expected != payload:
        raise InputError(
            f"is cut short or has bytes too many (tensors of {expected} bytes, {payload} in the file)",
            path=path,
            hint=_DAMAGED,
        )
    return header


def _bytes(dtype: str, shape: list[int]) -> int:
    return math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize


def _verify(head: bytes, file: BinaryIO, payload: np.ndarray, digest: str, path: Path) -> None:
    """Read the tensors into `payload`, hashing on the way; the file must be what was written, to the byte."""
    actual = hashlib.sha256(head.replace(_digest_field(digest), _digest_field(_BLANK), 1))
    view = payload.data
    for begin in range(0, len(payload), _CHUNK):
        part = view[begin : begin + _CHUNK]
        if file.readinto(part) != len(part):  # type: ignore[attr-defined]
            raise InputError("is cut short", path=path, hint=_DAMAGED)
        actual.update(part)
    if actual.hexdigest() != digest:
        raise InputError("is damaged: its contents do not match its sha256", path=path, hint=_DAMAGED)
