"""Whether an ONNX graph names other files: found in its bytes, before ONNX Runtime would open them.

A tensor may say that its values lie in another file, whose name is whatever the graph's author wrote, `../` and
absolute ones too; ONNX Runtime looks for it beside the current folder when it is given bytes. Graphs of ours hold
all that they need. Only the wire format of protocol buffers is read here: neither onnx nor protobuf is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

_DEEPEST = 64
"""Graphs in nodes of graphs, more than any export has."""

_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Where tensors stand, by message and field number: onnx.proto of ONNX 1.23.
_HELD = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


def has_external_data(content: bytes) -> bool:
    """Whether a tensor of an ONNX model names a file that holds its values.

    Args:
        content: the model; its tensors' own bytes are skipped, not read.

    Raises:
        ValueError: it is not a protocol buffer, or is nested too deeply.
    """
    return _external(memoryview(content), "model", 0)


def _external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("graphs are nested too deeply")
    if kind == "tensor":
        return any(
            number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == _EXTERNAL)
            for number, value in _fields(message)
        )
    held = _HELD[kind]
    return any(
        number in held and isinstance(value, memoryview) and _external(value, held[number], depth + 1)
        for number, value in _fields(message)
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; of one of fixed length the number alone is of use."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
        if length > end - at:
            raise ValueError("a field is longer than what holds it")
        yield number, message[at : at + length] if wire == _BYTES else 0
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number does not end")
