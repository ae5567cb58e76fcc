"""A run that comes apart under clipped gradients is noticed, and told to the end; one that learns is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.training import train
from boxwright.training.loss_watch import FIRST, GROWTH, LAST, LossWatch
from boxwright.training.settings import TrainSettings
from boxwright.training.state import Progress

from .toys import toy_data


def told(losses: list[float], progress: Progress | None = None) -> list[int]:
    """The steps after which something is said."""
    watch = LossWatch(progress or Progress())
    return [step for step, loss in enumerate(losses) if watch(loss, 0.1)]


@given(st.lists(st.floats(0.01, GROWTH - 0.01), min_size=1, max_size=100))
def test_what_stays_within_its_beginning_is_no_news(later: list[float]) -> None:
    assert told([1.0] * FIRST + later) == []


@pytest.mark.parametrize("level", [1e-3, 1.0, 400.0])
def test_growth_is_told_once_and_again_after_a_recovery(level: float) -> None:
    up, down = [100 * level] * 40, [0.5 * level] * 40
    steps = told([level] * FIRST + down + up + down + up)
    assert len(steps) == 2
    # Of the last twenty one is enough here: (19 x .5 + 100) / 20 is beyond three times.
    assert steps == [FIRST + 40, FIRST + 120]


def test_one_bad_batch_is_no_explosion() -> None:
    # A spike of less than this many times the beginning moves the mean of the last steps by less than allowed.
    assert told([1.0] * 40 + [GROWTH * LAST - LAST] + [1.0] * 40) == []


def test_a_run_that_goes_on_is_measured_by_its_beginning() -> None:
    progress = Progress()
    told([1.0] * FIRST, progress)
    assert told([9.0] * LAST, progress) == [LAST - 1]


def test_an_absurd_rate_is_told_at_once_at_the_end_in_the_record_and_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = toy_data(tmp_path / "data")
    settings = TrainSettings(
        batch=2, iterations=36, lr=3.0, optimiser="sgd", clip=10.0, warmup=0, workers=0, threads=1, amp="off"
    )
    out, model = tmp_path / "run", "ssd320-efficientnet-lite0"
    result = train(model, data, val=data, out=out, settings=settings, device="cpu")
    (warning,) = [line for line in result.warnings if "comes apart" in line]
    assert "lower train.lr" in warning
    assert warning in capsys.readouterr().out
    assert warning in json.loads((out / "run.json").read_text())["warnings"]
    assert warning in result.report.notes
    assert "comes apart" in (out / "report.html").read_text()
