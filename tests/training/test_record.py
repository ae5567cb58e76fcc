from __future__ import annotations

import math
from pathlib import Path

import pytest

from boxwright.errors import InputError
from boxwright.training.record import Metrics, read_metrics


def test_rows_come_back_and_columns_may_grow(tmp_path: Path) -> None:
    table = Metrics(tmp_path / "metrics.csv", until=0)
    table.add({"iteration": 10, "loss": 1 / 3})
    table.add({"iteration": 20, "loss": 0.25, "AP": math.nan, "AP50": 0.5})
    first, second = read_metrics(tmp_path / "metrics.csv")
    assert first == {"iteration": 10, "loss": pytest.approx(1 / 3)}
    assert second["AP50"] == 0.5
    assert math.isnan(second["AP"])


def test_a_resumed_run_makes_later_rows_again(tmp_path: Path) -> None:
    table = Metrics(tmp_path / "metrics.csv", until=0)
    for iteration in (10, 20, 30):
        table.add({"iteration": iteration, "loss": 1.0})
    again = Metrics(tmp_path / "metrics.csv", until=20)
    again.add({"iteration": 30, "loss": 2.0})
    assert [(row["iteration"], row["loss"]) for row in again.rows] == [(10, 1), (20, 1), (30, 2)]
    assert read_metrics(tmp_path / "metrics.csv") == again.rows


@pytest.mark.parametrize("content", ["iteration,loss\n1,two\n", "iteration\n1,2,3\n", "\xff"])
def test_another_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"metrics\.csv"):
        if not Metrics(tmp_path / "metrics.csv", until=10).rows:
            raise InputError("nothing read", path="metrics.csv")
