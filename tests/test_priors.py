"""Where boxes are laid: worked numbers for each placement, and laws of the layout."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.features import FeatureSpec, Step
from boxwright.priors import GridPriors, Placement, ssd_shapes

SPEC = FeatureSpec(8, (Step(3, 2, "same"), Step(3, 2, "same")))


def lay(priors: GridPriors, grid: tuple[int, int], image: tuple[int, int], sizes: list[list[int]]):
    return priors([grid], image, torch.tensor(sizes), [SPEC])


@pytest.mark.parametrize(
    ("placement", "steps", "expected"),
    [
        ("cell", (), [5.0, 15.0, 25.0]),  # (i + .5) * 30 / 3
        ("step", (8.0,), [4.0, 12.0, 20.0]),  # (i + .5) * 8
        ("corner", (), [0.0, 10.0, 20.0]),  # i * (30 // 3)
        ("receptive", (), [3.5, 7.5, 11.5]),  # .5 + 1 + 2 (even sizes: SAME pads behind), stride 4
    ],
)
def test_centres(placement: Placement, steps: tuple[float, ...], expected: list[float]) -> None:
    size = 32 if placement == "receptive" else 30
    laid = lay(GridPriors((((4.0, 2.0),),), placement, steps), (3, 3), (size, size), [[size, size]])
    centres = (laid.boxes[0, :, :2] + laid.boxes[0, :, 2:]) / 2
    assert centres[:3, 0].tolist() == expected  # along the first row
    assert centres[::3, 1].tolist() == expected  # down the first column
    assert (laid.boxes[0, 0, 2:] - laid.boxes[0, 0, :2]).tolist() == pytest.approx([4.0, 2.0])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))
def test_order_is_row_column_shape(rows: int, columns: int, shapes: int) -> None:
    sides = tuple((float(4 * (n + 1)), 4.0) for n in range(shapes))
    laid = lay(GridPriors((sides,)), (rows, columns), (60, 60), [[60, 60]])
    assert laid.boxes.shape == (1, rows * columns * shapes, 4)
    widths = (laid.boxes[0, :, 2] - laid.boxes[0, :, 0]).view(rows, columns, shapes)
    torch.testing.assert_close(widths[0, 0], torch.tensor([w for w, _ in sides]))
    y = ((laid.boxes[0, :, 1] + laid.boxes[0, :, 3]) / 2).view(rows, columns, shapes)
    assert (y[:, :1] == y).all()
    assert (y[1:] > y[:-1]).all()


def test_priors_over_padding_are_not_valid_unless_asked() -> None:
    plain = GridPriors((((4.0, 4.0),),))
    laid = lay(plain, (4, 4), (40, 40), [[40, 40], [20, 30]])
    assert laid.valid[0].all()
    assert laid.valid[1].view(4, 4).tolist() == [[True] * 3 + [False]] * 2 + [[False] * 4] * 2
    everywhere = GridPriors((((4.0, 4.0),),), padding_is_image=True)
    assert lay(everywhere, (4, 4), (40, 40), [[40, 40], [20, 30]]).valid.all()


def test_ssd_shapes_keep_the_area() -> None:
    shapes = ssd_shapes(60, 111, [2, 3])
    assert len(shapes) == 6
    for width, height in (shapes[0], *shapes[2:]):
        assert width * height == pytest.approx(3600)
    assert shapes[1][0] ** 2 == pytest.approx(60 * 111)
    assert [round(w / h, 6) for w, h in shapes[2:]] == [2, 0.5, 3, round(1 / 3, 6)]


def test_levels_and_settings_must_agree() -> None:
    with pytest.raises(ValueError, match="1 levels of shapes for 2 feature maps"):
        GridPriors((((4.0, 4.0),),))([(1, 1), (1, 1)], (8, 8), torch.tensor([[8, 8]]), [SPEC, SPEC])
    with pytest.raises(ValueError, match="as many steps"):
        GridPriors((((4.0, 4.0),),), "step", ())
