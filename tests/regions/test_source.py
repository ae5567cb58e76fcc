"""Windows that lie whole cells apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.regions.source import Windows


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0.05, 1),
    st.sampled_from([0.4, 0.5, 1.0, 2.0, 3.0]),
    st.sampled_from([1 / 14, 1 / 3, 0.37]),
)
def test_windows_lie_whole_cells_apart(
    height: int, width: int, side: float, ratio: float, cell: float
) -> None:
    windows = Windows((side,), (ratio,), 0.25, cell)
    boxes = windows(np.zeros((height, width, 3), np.uint8)).astype(float)
    assert windows.most(height, width) == len(boxes)
    wide, tall = (side * max(height, width) * f for f in (ratio**-0.5, ratio**0.5))
    assert (len(boxes) > 0) == (wide <= width and tall <= height)
    if not len(boxes):
        return
    for axis, (length, own) in enumerate(((width, wide), (height, tall))):
        places = np.unique(boxes[:, axis].round(3))
        np.testing.assert_allclose(boxes[:, axis + 2] - boxes[:, axis], own, atol=1e-3)
        step = max(1, round(0.25 / cell)) * cell * own
        np.testing.assert_allclose(np.diff(places), step, atol=4e-3)
        # As much is left over at both ends, and less than half a step, up to rounding.
        before, behind = places[0], length - (places[-1] + own)
        assert before == pytest.approx(behind, abs=4e-3)
        assert -1e-3 <= before <= step / 2 + 1e-3
    places = [len(np.unique(boxes[:, axis].round(3))) for axis in (0, 1)]
    assert len(np.unique(boxes.round(3), axis=0)) == len(boxes) == np.prod(places)


def test_without_cells_they_go_from_edge_to_edge() -> None:
    boxes = Windows((0.5,), (1.0,), 0.25)(np.zeros((60, 80, 3), np.uint8))
    assert np.unique(boxes[:, 0]).tolist() == [0, 10, 20, 30, 40]
    assert np.unique(boxes[:, 1]).tolist() == [0, 10, 20]
