"""A run that comes apart under clipped gradients is noticed, and told to the end; one that learns is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.recipes import find
from boxwright.training import train
from boxwright.training.loss_watch import FIRST, GROWTH, LAST, RELAPSE, LossWatch
from boxwright.training.settings import TrainSettings
from boxwright.training.state import Progress

from .toys import toy_data


def told(losses: list[float], progress: Progress | None = None) -> list[int]:
    """The steps after which something is said."""
    watch = LossWatch(progress or Progress())
    return [step for step, loss in enumerate(losses) if watch(loss, 0.1)]


@given(st.lists(st.floats(GROWTH / RELAPSE, GROWTH - 0.01), min_size=1, max_size=100))
def test_what_stays_within_its_beginning_is_no_news(later: list[float]) -> None:
    assert told([1.0] * FIRST + later) == []


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e3), st.floats(0.2, 0.8))
def test_a_run_that_learns_from_noisy_batches_is_no_news(seed: int, level: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    steps = np.arange(600)
    losses = level * (0.03 + np.exp(-steps / 80)) * rng.lognormal(0, noise, 600)
    losses[rng.integers(0, 600, 9)] *= 1000  # bad batches
    losses[:FIRST] = level
    assert told(losses.tolist()) == []


@pytest.mark.parametrize("level", [1e-3, 1.0, 400.0])
def test_growth_is_told_once_and_again_after_a_recovery(level: float) -> None:
    up, down = [100 * level] * 40, [0.4 * level] * 40
    steps = told([level] * FIRST + down + up + down + up)
    # Half of the last twenty are enough: the median lies between the two levels.
    half = LAST // 2 - 1
    assert steps == [FIRST + 40 + half, FIRST + 120 + half]


def test_what_was_learnt_and_is_lost_again_is_told() -> None:
    """Never three times the beginning, and yet all is gone."""
    assert told([1.0] * FIRST + [0.01] * 40 + [1.1] * 40) == [FIRST + 40 + LAST // 2 - 1]
    # What was learnt by heart may wander between nothing and next to nothing.
    assert told([1.0] * FIRST + [1e-5] * 40 + [1e-2] * 40) == []


def test_one_bad_batch_is_no_explosion() -> None:
    assert told([1.0] * 40 + [1e6] + [1.0] * 40) == []


def test_a_run_that_goes_on_is_measured_by_its_beginning() -> None:
    progress = Progress()
    told([1.0] * FIRST, progress)
    assert told([9.0] * LAST, progress) == [LAST - 1]


@pytest.mark.slow
def test_the_recipe_s_own_rate_is_no_news(tmp_path: Path) -> None:
    data, model = toy_data(tmp_path / "data"), "ssd320-efficientnet-lite0"
    settings = replace(find(model).train, batch=2, iterations=30, workers=0, threads=1, amp="off")
    assert train(model, data, val=data, out=tmp_path / "run", settings=settings, device="cpu").warnings == ()


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
