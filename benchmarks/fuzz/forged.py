"""Model files and tables that are forged: sound to the readers' first glance, digests too, and wrong within."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np
import onnx

from benchmarks.fuzz.mutations import mutate_bytes, mutated_json

_BLANK = "0" * 64


def forge(path: Path, rng: random.Random) -> None:
    """Damage a file with knowledge of its format; what has no way of its own here is damaged as bytes."""
    content = path.read_bytes()
    ways = {".safetensors": _safetensors, ".onnx": _onnx, ".npz": _npz, ".parquet": _parquet}
    way = ways.get(path.suffix)
    if way is None or rng.random() < 0.2:
        path.write_bytes(mutate_bytes(content, rng))
        return
    try:
        path.write_bytes(way(content, rng))
    except Exception:  # damage that the format's own library refuses
        path.write_bytes(mutate_bytes(content, rng))


def _safetensors(content: bytes, rng: random.Random) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header, payload = json.loads(content[8 : 8 + length]), content[8 + length :]
    texts = header.get("__metadata__", {})
    match rng.randrange(4):
        case 0:
            values = np.frombuffer(payload, np.uint8).copy()
            at = rng.randrange(max(1, len(values) - 4))
            values[at : at + 400] = rng.choice((0, 255, 127))
            payload = values.tobytes()
        case 1 if texts:
            key = rng.choice([key for key in texts if key != "sha256"])
            texts[key] = mutated_json(texts[key], rng) if texts[key][:1] in "{[" else "x"
        case 2:
            name = rng.choice(list(header))
            header[name] = json.loads(mutated_json(json.dumps(header[name]), rng))
        case _:
            if texts and texts.get("boxwright", "")[:1] == "{":
                texts["boxwright"] = mutated_json(texts["boxwright"], rng)
    if "sha256" not in texts:
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + payload
    texts["sha256"] = _BLANK
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(head + payload).hexdigest()
    return head.replace(f'"sha256":"{_BLANK}"'.encode(), f'"sha256":"{digest}"'.encode(), 1) + payload


def _onnx(content: bytes, rng: random.Random) -> bytes:
    model = onnx.load_model_from_string(content)
    nodes, tensors = model.graph.node, model.graph.initializer
    match rng.randrange(9):
        case 0:
            rng.choice(nodes).op_type = rng.choice(nodes).op_type
        case 1:
            del nodes[rng.randrange(len(nodes))]
        case 2:
            tensor = rng.choice(tensors)
            tensor.dims[:] = [rng.choice((-1, 0, 1, 7, 2**31, 2**62)) for _ in tensor.dims]
        case 3:
            tensor = rng.choice(tensors)
            tensor.raw_data = mutate_bytes(tensor.raw_data, rng)
        case 4:
            tensor = rng.choice(tensors)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=rng.choice(("beside.bin", "/etc/passwd", "../x")))
        case 5:
            entry = rng.choice([entry for entry in model.metadata_props if entry.key != "sha256"])
            entry.value = mutated_json(entry.value, rng)
        case 6:
            place = rng.choice((model.graph.input, model.graph.output))
            rng.choice(place).name = rng.choice(("x", "images", "boxes", ""))
        case 7:
            node = rng.choice([node for node in nodes if node.attribute] or nodes)
            for attribute in node.attribute:
                attribute.i = rng.choice((-1, 0, 2**31, 10**9))
                attribute.ints[:] = [rng.choice((-1, 0, 3, 10**6)) for _ in attribute.ints]
        case _:
            node = rng.choice(nodes)
            if node.input:
                node.input[rng.randrange(len(node.input))] = rng.choice(nodes).output[0]
    for entry in model.metadata_props:
        if entry.key == "sha256":
            entry.value = _BLANK
    made = model.SerializeToString()
    seal = b"\x0a\x06sha256\x12\x40"
    before, _, after = made.rpartition(seal + _BLANK.encode())
    return before + seal + hashlib.sha256(made).hexdigest().encode() + after


def _npz(content: bytes, rng: random.Random) -> bytes:
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    name = rng.choice(list(arrays))
    array = arrays[name]
    match rng.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            kind = rng.choice(("f8", "i1", "U5", "S3", "c8", "M8[s]", "?"))
            arrays[name] = np.zeros(array.shape, kind)
        case 2:
            arrays[name] = array.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1, 1, -1))))
        case 3 if array.dtype.kind in "fi" and array.size:
            flat = array.reshape(-1).copy()
            bad = (np.nan, np.inf, -1e30) if array.dtype.kind == "f" else (-1, 2**31 - 1, -(2**31))
            flat[rng.randrange(flat.size)] = rng.choice(bad)
            arrays[name] = flat.reshape(array.shape)
        case 4 if array.dtype.kind == "U" and array.ndim == 0:
            arrays[name] = np.array(mutated_json(str(array), rng) if str(array)[:1] == "{" else "")
        case _:
            arrays[name] = array[:0] if array.ndim else np.zeros(0)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for key, value in arrays.items():
            one = io.BytesIO()
            np.save(one, value)
            text = one.getvalue()
            if rng.random() < 0.1:
                text = text.replace(b"'shape': (", b"'shape': (9", 1)
            out.writestr(f"{key}.npy", text)
    return made.getvalue()


def _parquet(content: bytes, rng: random.Random) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content), use_threads=False)
    held = dict(table.schema.metadata)
    match rng.randrange(5):
        case 0:
            held[b"boxwright"] = mutated_json(held[b"boxwright"].decode(), rng).encode("utf-8", "replace")
        case 1:
            table = table.drop_columns([rng.choice(table.column_names)])
        case 2:
            at = rng.randrange(table.num_columns)
            column = table.column(at)
            holes = pa.array([None] * len(column), column.type)
            table = table.set_column(at, table.schema.field(at), holes)
        case 3:
            rows = table.column("feature").combine_chunks()
            values = rows.flatten().to_numpy().copy()
            values[rng.randrange(len(values))] = rng.choice((np.nan, np.inf, 3e38))
            made = pa.FixedSizeListArray.from_arrays(pa.array(values), rows.type.list_size)
            table = table.set_column(table.column_names.index("feature"), table.schema.field("feature"), made)
        case _:
            table = table.slice(0, rng.choice((0, 1, 2)))
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(held), out)
    return out.getvalue()
