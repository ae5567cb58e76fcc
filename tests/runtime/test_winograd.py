"""Fewer multiplications, the same function: exact in fractions, and within rounding in ONNX Runtime."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from boxwright.runtime.winograd import (
    KERNEL,
    LEAST_CHANNELS,
    OUTPUTS,
    POINTS,
    TILE,
    transforms,
    with_winograd,
)

FRACTIONS = st.fractions(-5, 5, max_denominator=7)


def product(matrix: list[list[Fraction]], vector: list[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]


@given(
    st.lists(FRACTIONS, min_size=TILE, max_size=TILE), st.lists(FRACTIONS, min_size=KERNEL, max_size=KERNEL)
)
def test_the_transformations_correlate_exactly(data: list[Fraction], kernel: list[Fraction]) -> None:
    result, weight, tile = transforms(POINTS, OUTPUTS, KERNEL)
    products = [a * b for a, b in zip(product(weight, kernel), product(tile, data), strict=True)]
    wanted = [sum(data[at + i] * kernel[i] for i in range(KERNEL)) for at in range(OUTPUTS)]
    assert product(result, products) == wanted


@given(st.lists(FRACTIONS, min_size=2, max_size=6, unique=True), st.integers(1, 4), st.data())
def test_any_points_do(points: list[Fraction], kernel: int, data: st.DataObject) -> None:
    outputs = len(points) + 2 - kernel
    if outputs < 1:
        with pytest.raises(ValueError, match="points are needed"):
            transforms(points, 1, len(points) + 2)
        return
    result, weight, tile = transforms(points, outputs, kernel)
    signal = data.draw(st.lists(FRACTIONS, min_size=len(points) + 1, max_size=len(points) + 1))
    taps = data.draw(st.lists(FRACTIONS, min_size=kernel, max_size=kernel))
    products = [a * b for a, b in zip(product(weight, taps), product(tile, signal), strict=True)]
    wanted = [sum(signal[at + i] * taps[i] for i in range(kernel)) for at in range(outputs)]
    assert product(result, products) == wanted


def convolution(
    inner: int,
    outer: int,
    height: int | str = 9,
    width: int | str = 9,
    kernel: int = 3,
    bias: bool = True,
    **attributes: object,
) -> onnx.ModelProto:
    """One convolution and an activation; random kernels of the usual spread."""
    rng = np.random.default_rng((inner, outer))
    group = attributes.get("group", 1)
    assert isinstance(group, int)
    weight = rng.normal(size=(outer, inner // group, kernel, kernel)) * np.sqrt(2 / (inner * kernel**2))
    held = {"kernels": weight.astype(np.float32)}
    if bias:
        held["bias"] = rng.normal(size=outer).astype(np.float32)
    given = {"kernel_shape": [kernel, kernel], "pads": [1] * 4} | attributes
    nodes = [
        helper.make_node("Conv", ["maps", *held], ["convolved"], **given),
        helper.make_node("Relu", ["convolved"], ["found"]),
    ]
    shape = ["batch", inner, height, width]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, maps: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    (found,) = session.run(None, {"maps": maps})
    return np.asarray(found)


@given(st.integers(1, 13), st.integers(1, 13), st.integers(1, 3), st.sampled_from([128, 144]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_layer_is_the_same_up_to_rounding(
    height: int, width: int, batch: int, outer: int, bias: bool
) -> None:
    plain = convolution(136, outer, height, width, bias=bias)
    quick = with_winograd(plain)
    onnx.checker.check_model(quick, full_check=True)
    assert len(plain.graph.node) == 2 < len(quick.graph.node)
    maps = np.random.default_rng(0).normal(size=(batch, 136, height, width)).astype(np.float32)
    wanted, found = run(plain, maps), run(quick, maps)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 2e-5 * max(1.0, float(wanted.std()))


def test_an_image_s_values_do_not_depend_on_its_company() -> None:
    quick = with_winograd(convolution(160, 192, 14, 11))
    maps = np.random.default_rng(0).normal(size=(7, 160, 14, 11)).astype(np.float32)
    together = run(quick, maps)
    for first, last in ((0, 1), (1, 3), (3, 7)):
        np.testing.assert_array_equal(run(quick, maps[first:last]), together[first:last])


@pytest.mark.parametrize(
    "other",
    [
        convolution(LEAST_CHANNELS, LEAST_CHANNELS - 1),
        convolution(LEAST_CHANNELS - 1, LEAST_CHANNELS),
        convolution(128, 128, strides=[2, 2]),
        convolution(128, 128, dilations=[2, 2]),
        convolution(256, 128, group=2),
        convolution(128, 128, pads=[0] * 4),
        convolution(128, 128, kernel=5, pads=[2] * 4),
        convolution(128, 128, "height", "width"),
    ],
    ids=["few out", "few in", "stride", "dilation", "groups", "unpadded", "5x5", "free size"],
)
def test_what_does_not_fit_stays(other: onnx.ModelProto) -> None:
    assert list(with_winograd(other).graph.node) == list(other.graph.node)
    assert len(with_winograd(other).graph.initializer) == len(other.graph.initializer)
