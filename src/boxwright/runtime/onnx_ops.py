"""Our own operators said in ONNX's, for `boxwright.runtime.export`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from boxwright import nms
from boxwright.errors import InputError
from boxwright.regions import roi_max_ops, roi_ops

_OPERATORS = (nms, roi_ops, roi_max_ops)
"""Whose import registers what is translated here."""
_FAR = -float(1 << 20)
"""In pixels: outside every map, where RoIAlign reads 0."""


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """The `custom_translation_table` of `torch.onnx.export`.

    Raises:
        InputError: onnxscript is not installed.
    """
    try:
        from onnxscript import opset18 as op
    except ImportError as error:
        raise InputError(
            "exporting needs onnx and onnxscript", hint='pip install "boxwright[export]"'
        ) from error
    ours = torch.ops.boxwright
    return {
        ours.nms.default: _nms_in_onnx(op),
        ours.roi_align.default: _roi_align_in_onnx(op),
        ours.roi_pool.default: _roi_pool_in_onnx(op),
    }


def _roi_align_in_onnx(op: Any) -> Callable[..., Any]:
    """`boxwright::roi_align` in ONNX's operators: a RoiAlign for each level, of the RoIs that are its own."""

    def roi_align(
        levels: Sequence[Any],
        rois: Any,
        level: Any,
        scales: Sequence[float],
        height: int,
        width: int,
        samples: int,
        aligned: bool,
    ) -> Any:
        if samples == 0:  # ONNX Runtime's allocates without bound for a RoI whose corners are swapped
            raise InputError(
                "RoIAlign with as many samples as a bin has cells is not exported", hint="use samples=2"
            )
        image = op.Cast(op.Squeeze(op.Slice(rois, [0], [1], [1]), [1]), to=7)  # int64
        boxes = op.Slice(rois, [1], [5], [1])

        def pool(features: Any, own: Any, image: Any, scale: float) -> Any:
            return op.RoiAlign(
                features,
                own,
                image,
                mode="avg",
                coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
                output_height=height,
                output_width=width,
                sampling_ratio=samples,
                spatial_scale=scale,
            )

        if len(levels) == 1:
            absent = op.Unsqueeze(op.Less(level, 0), [1])
            return pool(levels[0], op.Where(absent, op.Constant(value_float=_FAR), boxes), image, scales[0])
        places, pooled = [], []
        for number, (features, scale) in enumerate(zip(levels, scales, strict=True)):
            place = op.Squeeze(op.NonZero(op.Equal(level, number)), [0])
            own, its_image = op.Gather(boxes, place, axis=0), op.Gather(image, place, axis=0)
            places.append(place)
            pooled.append(pool(features, own, its_image, scale))
        bins = op.Constant(value_ints=[height, width])
        shape = op.Concat(op.Shape(rois, start=0, end=1), op.Shape(levels[0], start=1, end=2), bins, axis=0)
        nothing = op.Expand(op.Constant(value_float=0.0), shape)
        return op.ScatterND(
            nothing, op.Unsqueeze(op.Concat(*places, axis=0), [1]), op.Concat(*pooled, axis=0)
        )

    return roi_align


def _roi_pool_in_onnx(op: Any) -> Callable[..., Any]:
    """`boxwright::roi_pool` is MaxRoiPool to the last bit; only training asks which cells were the largest."""

    def roi_pool(features: Any, rois: Any, scale: float, height: int, width: int) -> Any:
        pooled = op.MaxRoiPool(features, rois, pooled_shape=[height, width], spatial_scale=scale)
        return pooled, op.Cast(pooled, to=6)  # int32: removed from the graph, as nobody reads it

    return roi_pool


def _nms_in_onnx(op: Any) -> Callable[..., Any]:
    """`boxwright::nms` in ONNX's operators.

    NonMaxSuppression never compares boxes of different classes, so each group becomes a class in which the
    others' scores are -inf. (The usual trick, moving each class's boxes far away from the others', rounds
    coordinates and so changes IoUs in float32.) What it keeps comes class by class and is put back into the
    order of scores by TopK, which like the operator takes the lower index first among equals.
    """

    def nms(boxes: Any, scores: Any, groups: Any, iou: float, k: int) -> Any:
        nothing = op.Constant(value_float=float("-inf"))
        # A corner on the wrong side makes a box without area; ONNX would take it as the other corner.
        low = op.Slice(boxes, [0], [2], [2])
        upright = op.Concat(low, op.Max(low, op.Slice(boxes, [2], [4], [2])), axis=-1)
        classes = op.Unsqueeze(op.Range(0, op.Add(op.ReduceMax(groups, keepdims=0), 1), 1), [0, 2])
        by_class = op.Where(op.Equal(op.Unsqueeze(groups, [1]), classes), op.Unsqueeze(scores, [1]), nothing)
        kept = op.NonMaxSuppression(
            upright,
            by_class,
            op.Constant(value_ints=[k]),
            op.Constant(value_floats=[iou]),
            op.Constant(value_floats=[float(np.finfo(np.float32).min)]),  # only above this: -inf never
        )
        # Rows of (image, class, box): mark the boxes that stay.
        places = op.Gather(kept, [0, 2], axis=1)
        ones = op.Expand(op.Constant(value_float=1.0), op.Shape(places, start=0, end=1))
        marks = op.ScatterND(op.Expand(op.Constant(value_float=0.0), op.Shape(scores)), places, ones)
        left = op.Where(op.Greater(marks, 0.0), scores, nothing)
        count = op.Min(op.Constant(value_ints=[k]), op.Shape(scores, start=1, end=2))
        best, index = op.TopK(left, count, axis=1)
        index = op.Where(op.Greater(best, nothing), index, op.Constant(value_int=-1))
        short = op.Sub(op.Constant(value_ints=[k]), count)
        return op.Pad(index, op.Concat(op.Constant(value_ints=[0, 0, 0]), short, axis=0), -1)

    return nms
