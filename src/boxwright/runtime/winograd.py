"""Convolutions with a quarter of the multiplications, as nodes of an ONNX graph.

Winograd's way to a 3x3 convolution (Lavin and Gray 2016, F(4x4, 3x3)): of each 6x6 tile of the input 36 products give
4x4 results, where 144 would be needed one by one. With G, B and A as in section 4.1, of points of our own choice,

    result = A' [sum over channels of (G kernel G') * (B' tile B)] A

The sum over channels is 36 products of matrices, all that costs time; ONNX Runtime does those at the processor's full
speed. The kernels stay as they are in the graph: ONNX Runtime transforms them once, when it opens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

Matrix = list[list[Fraction]]

OUTPUTS, KERNEL = 4, 3
TILE = OUTPUTS + KERNEL - 1
POINTS = (Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2))
"""Besides infinity. No power of them is far from 1: rounding is a quarter of that with Lavin and Gray's 0, ±1, ±2."""
LEAST_CHANNELS = 128
"""In and out: with fewer the transformations cost what the products save."""


def transforms(points: Sequence[Fraction], outputs: int, kernel: int) -> tuple[Matrix, Matrix, Matrix]:
    """A', G and B' of one axis (Toom and Cook's, transposed).

    A' ((G g) * (B' d)) is the correlation of d, outputs + kernel - 1 long, with g, exactly.

    Args:
        points: outputs + kernel - 2 different ones.
        outputs: results at a time.
        kernel: length of g.

    >>> result, weight, data = transforms([Fraction(0), Fraction(1), Fraction(-1)], 2, 3)
    >>> [[str(v) for v in row] for row in result]
    [['1', '1', '1', '0'], ['0', '1', '-1', '1']]
    """
    tile = outputs + kernel - 1
    if len(set(points)) != tile - 1:
        raise ValueError(f"{tile - 1} different points are needed, not {points}")
    result, weight, whole = (_powers(points, length) for length in (outputs, kernel, tile))
    return _transposed(result), weight, _inverse(_transposed(whole))


def with_winograd(model: ModelProto) -> ModelProto:
    """The same function with other arithmetic: equal up to rounding.

    A layer's values differ by 1e-6 of their spread (root mean square), by 3e-5 at most.

    Replaced are convolutions of 3x3, stride 1, padding 1, with `LEAST_CHANNELS` or more on both sides, all in one
    group, over maps whose height and width are fixed.

    Args:
        model: stays as it is.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    weights = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    sides = {entry.name: _sides(entry) for entry in (*graph.input, *graph.value_info)}
    nodes: list[NodeProto] = []
    for node in graph.node:
        size = sides.get(node.input[0]) if node.input else None
        if size is not None and _fits(node, weights):
            nodes.extend(_nodes(node, weights[node.input[1]], size))
        else:
            nodes.append(node)
    if len(nodes) > len(graph.node):
        graph.initializer.extend(_constants())
    graph.ClearField("node")
    graph.node.extend(nodes)
    graph.ClearField("value_info")
    return model


def _fits(node: NodeProto, weights: dict[str, tuple[int, ...]]) -> bool:
    """Whether it is a convolution that is quicker so."""
    if node.op_type != "Conv" or node.input[1] not in weights:
        return False
    shape = weights[node.input[1]]
    given = {one.name: list(one.ints) or one.i for one in node.attribute if one.name != "auto_pad"}
    usual = {"kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "group": 1, "pads": [1] * 4}
    padded = given.get("pads") == usual["pads"]
    return (
        len(shape) == 4
        and shape[2:] == (KERNEL, KERNEL)
        and min(shape[:2]) >= LEAST_CHANNELS
        and padded
        and all(value == usual[name] for name, value in given.items())
    )


_RESULT, _WEIGHT, _DATA = "winograd.result", "winograd.weight", "winograd.data"


def _constants() -> list[TensorProto]:
    """The transformations of both axes at once."""
    from onnx import numpy_helper

    result, weight, data = (np.array(one, np.float64) for one in transforms(POINTS, OUTPUTS, KERNEL))
    both = {
        _RESULT: np.kron(result, result),
        _WEIGHT: np.kron(weight, weight).T,
        # As a convolution of one channel, which cuts out the tiles as well.
        _DATA: np.kron(data, data).reshape(TILE**2, 1, TILE, TILE),
    }
    return [
        numpy_helper.from_array(np.ascontiguousarray(v, dtype=np.float32), name) for name, v in both.items()
    ]


def _nodes(conv: NodeProto, shape: tuple[int, ...], size: tuple[int, int]) -> Iterator[NodeProto]:
    """What takes a convolution's place."""
    from onnx import helper

    outer, inner = shape[:2]
    (height, width), name = size, conv.output[0]
    rows, columns = -(-height // OUTPUTS), -(-width // OUTPUTS)
    values = TILE**2

    def node(kind: str, inputs: Sequence[str], to: str, **attributes: object) -> NodeProto:
        return helper.make_node(kind, inputs, [to], name=to, **attributes)

    def numbers(label: str, *ints: int) -> Iterator[NodeProto]:
        yield node("Constant", [], f"{name}.{label}", value_ints=ints)

    def reshape(source: str, to: str, *ints: int) -> Iterator[NodeProto]:
        yield from numbers(f"{to}.shape", *ints)
        yield node("Reshape", [source, f"{name}.{to}.shape"], f"{name}.{to}")

    # [outer, inner, 3, 3] -> [36, outer, inner]
    yield from reshape(conv.input[1], "kernels", -1, KERNEL**2)
    yield node("MatMul", [f"{name}.kernels", _WEIGHT], f"{name}.seen")
    yield node("Transpose", [f"{name}.seen"], f"{name}.turned", perm=[1, 0])
    yield from reshape(f"{name}.turned", "weights", values, outer, inner)
    # [batch, inner, height, width] -> [batch, 36, inner, tiles]
    yield from reshape(conv.input[0], "maps", -1, 1, height, width)
    beyond = [side * OUTPUTS + 1 - length for side, length in zip((rows, columns), size, strict=True)]
    yield node(
        "Conv",
        [f"{name}.maps", _DATA],
        f"{name}.cut",
        kernel_shape=[TILE, TILE],
        strides=[OUTPUTS, OUTPUTS],
        pads=[1, 1, *beyond],
    )
    yield from reshape(f"{name}.cut", "tiles", -1, inner, values, rows * columns)
    yield node("Transpose", [f"{name}.tiles"], f"{name}.data", perm=[0, 2, 1, 3])
    # Image by image, so that its values do not depend on its company: of wider products ONNX Runtime adds up the terms
    # in another order.
    yield node("MatMul", [f"{name}.weights", f"{name}.data"], f"{name}.products")
    # [batch, 36, outer, tiles] -> [batch, outer, height, width]
    yield node("Transpose", [f"{name}.products"], f"{name}.apart", perm=[0, 2, 1, 3])
    yield node("MatMul", [_RESULT, f"{name}.apart"], f"{name}.results")
    yield from reshape(f"{name}.results", "blocks", -1, outer * OUTPUTS**2, rows, columns)
    made = f"{name}.whole"
    yield node("DepthToSpace", [f"{name}.blocks"], made, blocksize=OUTPUTS, mode="CRD")
    if (height, width) != (rows * OUTPUTS, columns * OUTPUTS):
        for label, ints in (("from", (0, 0)), ("till", size), ("axes", (2, 3))):
            yield from numbers(label, *ints)
        cut = [made, *(f"{name}.{label}" for label in ("from", "till", "axes"))]
        made = f"{name}.cropped"
        yield node("Slice", cut, made)
    if len(conv.input) < 3:
        yield node("Identity", [made], name)
        return
    yield from reshape(conv.input[2], "bias", 1, outer, 1, 1)
    yield node("Add", [made, f"{name}.bias"], name)


def _sides(entry: ValueInfoProto) -> tuple[int, int] | None:
    """Height and width of a map, where both are fixed."""
    dims = entry.type.tensor_type.shape.dim
    if len(dims) != 4 or not dims[2].dim_value or not dims[3].dim_value:
        return None
    return dims[2].dim_value, dims[3].dim_value


def _powers(points: Sequence[Fraction], length: int) -> Matrix:
    """A polynomial's values at the points and at infinity, by its coefficients."""
    last = [Fraction(0)] * (length - 1) + [Fraction(1)]
    return [*([point**power for power in range(length)] for point in points), last]


def _transposed(matrix: Matrix) -> Matrix:
    return [list(row) for row in zip(*matrix, strict=True)]


def _inverse(matrix: Matrix) -> Matrix:
    """By Gauss and Jordan, exactly."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column and rows[i][column]:
                rows[i] = [a - rows[i][column] * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]
