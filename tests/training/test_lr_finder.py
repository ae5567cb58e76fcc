from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.errors import InputError
from boxwright.training.lr_finder import HIGHEST, LOWEST, find_lr, sweep
from boxwright.training.setup import plan
from boxwright.training.stop import DivergenceError

from .toys import QUICK, VARIED, toy_data, toy_model


def test_the_sweep_is_geometric_and_suggests_a_tenth_of_the_least_loss() -> None:
    found = sweep(lambda rate: 2.0 + abs(np.log10(rate) + 2.0), 101)
    assert found.rates[0] == LOWEST
    assert found.rates[-1] <= HIGHEST * 1.0001
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(HIGHEST / LOWEST) / 100, rtol=1e-9)
    assert found.suggestion == pytest.approx(1e-3, rel=0.2)  # the loss is least at 1e-2


def test_the_sweep_ends_where_the_loss_breaks_away() -> None:
    found = sweep(lambda rate: 1.0 if rate < 1e-3 else 1e6, 50)
    assert found.rates[-1] < 2e-3


def test_a_loss_that_is_never_finite_is_an_error() -> None:
    def never(rate: float) -> float:
        raise DivergenceError("the loss", ["a.jpg"])

    with pytest.raises(InputError, match="not finite from the start"):
        sweep(never, 10)


def test_weights_are_put_back(tmp_path: Path) -> None:
    data, model = toy_data(tmp_path / "data"), toy_model()
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    todo = plan(model, data, data, tmp_path / "out", QUICK, VARIED)
    found = find_lr(todo, iterations=20, device="cpu")
    assert LOWEST / 10 <= found.suggestion <= HIGHEST / 10
    for name, value in model.net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    found.plot(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
