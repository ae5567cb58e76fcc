from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwright.evaluate import plots
from boxwright.evaluate.calibration import calibration
from boxwright.evaluate.thresholds import Operating

shares = st.floats(0, 1)


def parsed(markup):
    return ElementTree.fromstring(markup)


@given(st.lists(shares, min_size=101, max_size=101), st.text(alphabet="<>&\"'ab", max_size=8))
def test_a_curve_stays_in_its_frame(values, name):
    falling = tuple(sorted(values, reverse=True))
    root = parsed(plots.precision_recall(falling, falling, name))
    assert root.get("aria-label").endswith(name)
    for path in root.iter("path"):
        numbers = [
            float(n)
            for n in path.get("d").replace("Z", "").translate({ord(c): " " for c in "MHVLhv,"}).split()
        ]
        assert all(-0.1 <= n <= 100.1 for n in numbers)


def test_the_staircase_steps_where_precision_does():
    values = [1.0] * 51 + [0.5] * 50
    line = parsed(plots.precision_recall(values, values, "a")).findall("path")[2].get("d")
    assert line == "M0,0H51V50H100"


@given(st.lists(st.one_of(shares, st.just(math.nan)), min_size=1, max_size=20), shares)
def test_missing_values_break_a_line_and_are_never_written(values, threshold):
    points = [Operating(i / len(values), v, v, v) for i, v in enumerate(values)]
    text = plots.sweep(points, threshold)
    parsed(text)
    assert "nan" not in text


def test_the_heat_map_shows_counts_and_says_what_they_mean():
    root = parsed(plots.heat_map([[8, 1, 1], [0, 0, 0], [2, 0, 0]], ["<cat>", "dog"]))
    titles = [t.text for t in root.iter("title")]
    assert titles == [
        "8 of 10 <cat>: found",
        "1 of 10 <cat>: taken for dog",
        "1 of 10 <cat>: not found",
        "2 of 10 <cat> boxes: nothing there",
    ]
    strength = [float(r.get("fill-opacity")) for r in root.iter("rect") if r.get("fill-opacity")]
    np.testing.assert_allclose(strength, [0.06 + 0.94 * s for s in (0.8, 0.1, 0.1, 0.2)], atol=0.01)


def test_a_hundred_classes_fit():
    root = parsed(
        plots.heat_map(np.eye(101, dtype=int).tolist(), [f"a rather long class name {i}" for i in range(100)])
    )
    assert float(root.get("width")) < 900


def test_reliability_draws_the_bins_that_hold_something():
    root = parsed(
        plots.reliability(calibration(np.array([0.95, 0.95, 0.15]), np.array([True, False, False])))
    )
    bins = [r for r in root.iter("rect") if r.get("class") == "bin"]
    assert len(bins) == 2
    assert float(bins[1].get("height")) == 110  # half of 220
    parsed(plots.reliability(calibration(np.zeros(0), np.zeros(0, bool))))


def test_numbers_as_papers_print_them():
    assert plots.percent(0.12345) == "12.3"
    assert plots.percent(math.nan) == "–"
    assert plots.score(0.4269) == "0.43"
    assert 'width="100"' in plots.bar(5.0, most=2.0)
    assert 'width="0"' in plots.bar(math.nan)
