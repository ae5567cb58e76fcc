from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.regions.pool import multilevel_roi_align, roi_align, roi_pool
from boxwright.runtime.onnx_ops import translations

SCALES = [1 / 4, 1 / 8]


class Pooled(nn.Module):
    """All that a graph may ask of the two operators."""

    def forward(self, fine: Tensor, coarse: Tensor, rois: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
        last = torch.full_like(rois[-1, :, :1], rois.shape[0] - 1)
        flat = torch.cat((last, rois[-1]), 1)
        return (
            multilevel_roi_align([fine, coarse], SCALES, rois, valid, 7),
            multilevel_roi_align([fine, coarse], SCALES, rois, valid, (2, 3), samples=1, aligned=True),
            multilevel_roi_align([coarse], SCALES[1:], rois, valid, 3),
            roi_align(fine, flat, (1, 4), SCALES[0], aligned=True),
            roi_pool(fine, flat, (7, 3), SCALES[0]),
        )


def case(batch: int, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes of all sizes, on half pixels (where rounding decides), inside, across and outside 100 x 120 px."""
    g = torch.Generator().manual_seed(batch + count)
    corner = torch.rand(batch, count, 2, generator=g) * 150 - 30
    extent = torch.rand(batch, count, 2, generator=g) ** 3 * 300 - 4
    rois = (torch.cat((corner, corner + extent), -1) * 2).round() / 2
    maps = (torch.randn(batch, 5, n, n + 5, generator=g) for n in (25, 13))
    return *maps, rois, torch.rand(batch, count, generator=g) > 0.2  # type: ignore[return-value]


@pytest.fixture(scope="module")
def session() -> object:
    import onnxruntime

    batch, roi = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("roi", min=0, max=4000)
    shapes = ({0: batch}, {0: batch}, {0: batch, 1: roi}, {0: batch, 1: roi})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter on its own internals
        captured = torch.export.export(Pooled(), case(2, 9), dynamic_shapes=shapes)
        program = torch.onnx.export(
            captured, dynamo=True, verbose=False, opset_version=18, custom_translation_table=translations()
        )
    assert program is not None
    kinds = [node.op_type for node in program.model_proto.graph.node]
    assert {node.domain for node in program.model_proto.graph.node} == {""}
    assert (kinds.count("RoiAlign"), kinds.count("MaxRoiPool")) == (6, 1)
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString())


@pytest.mark.parametrize("batch, count", [(2, 9), (1, 1), (3, 250), (2, 0)])
def test_onnx_runtime_pools_the_same(session: object, batch: int, count: int) -> None:
    given = case(batch, count)
    names = [entry.name for entry in session.get_inputs()]  # type: ignore[attr-defined]
    found = session.run(None, {name: t.numpy() for name, t in zip(names, given, strict=True)})  # type: ignore[attr-defined]
    expected = Pooled()(*given)
    for ours, theirs in zip(expected[:-1], found[:-1], strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(theirs, ours, atol=2e-6, rtol=0)
    np.testing.assert_array_equal(found[-1], expected[-1])


def test_sampling_by_the_roi_s_size_is_not_exported() -> None:
    # ONNX Runtime's breaks down on a RoI whose corners are swapped.
    align = translations()[torch.ops.boxwright.roi_align.default]
    with pytest.raises(InputError, match="as many samples as a bin has cells"):
        align([None], None, None, [1.0], 7, 7, 0, True)
