"""A graph that names other files is refused before ONNX Runtime would open them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from boxwright.errors import InputError
from boxwright.runtime import onnx as runtime
from boxwright.runtime.external_data import has_external_data
from boxwright.runtime.onnx import BLANK, load, seal

PLACES = ("weights.bin", "../weights.bin", "/etc/hostname", "*/_ORT_MEM_ADDR_/*")


def external(place: str) -> TensorProto:
    tensor = TensorProto(
        name="far", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=place)
    return tensor


def in_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["far"], value=tensor))


def in_branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node.append(helper.make_node("If", ["c"], ["far"], then_branch=inner, else_branch=inner))


def in_sparse(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def in_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.functions.add().node.append(helper.make_node("Constant", [], ["far"], value=tensor))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("put", [in_initializer, in_constant, in_branch, in_sparse, in_function])
def test_other_files_are_refused_wherever_they_are_named(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[onnx.ModelProto, TensorProto], None],
    place: str,
) -> None:
    np.zeros(3, np.float32).tofile(tmp_path / "weights.bin")
    monkeypatch.chdir(tmp_path)
    model = onnx.load(exported)
    put(model, external(place))
    for entry in model.metadata_props:
        if entry.key == "sha256":
            entry.value = BLANK
    (tmp_path / "x.onnx").write_bytes(seal(model.SerializeToString()))
    with pytest.raises(
        InputError, match=r"x\.onnx: keeps its weights in other files, which are never opened; "
    ):
        load(tmp_path / "x.onnx")


def test_a_whole_graph_names_none(exported: Path) -> None:
    assert not has_external_data(exported.read_bytes())


@given(st.binary(max_size=60))
def test_any_bytes_are_answered(content: bytes) -> None:
    try:
        has_external_data(content)
    except ValueError as error:
        assert str(error)


def test_what_onnx_runtime_says_of_a_run_is_one_line(exported: Path) -> None:
    engine = load(exported).engine
    with pytest.raises(InputError, match=r"\.onnx: ONNX Runtime cannot run it \(.+\); ") as raised:
        engine.run(np.zeros((1, 3, 7, 7), np.float32), np.zeros((1, 2), np.int64))
    assert "\n" not in str(raised.value)


def test_the_format_is_never_guessed() -> None:
    with pytest.raises(InputError, match="is damaged or no ONNX model"):
        runtime.session(b"\x1c\0\0\0ORTM" + bytes(40), 1, Path("x.onnx"))


@pytest.mark.parametrize("dims", [[2**62], [7], [-1]])
def test_onnx_runtime_says_nothing_beside_our_line(
    exported: Path, capfd: pytest.CaptureFixture[str], dims: list[int]
) -> None:
    model = onnx.load(exported)
    model.graph.initializer[0].dims[:] = dims
    with pytest.raises(InputError, match=r"x\.onnx: ONNX Runtime cannot open it \(.{9,210}\); "):
        runtime.session(model.SerializeToString(), 1, Path("x.onnx"))
    said = capfd.readouterr()
    assert said.out + said.err == ""
