"""The loop of networks that are no detectors, on the smallest task that can be learnt: a blur to undo."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.modelfile import read_file, read_model, read_net
from boxwright.training.settings import DescentSettings
from boxwright.training.stop import DivergenceError, Interrupted
from boxwright.training.task import Example, Task
from boxwright.training.task_loop import train_task

SETTINGS = DescentSettings(
    epochs=6,
    batch=4,
    lr=0.05,
    optimiser="adamw",
    warmup=2,
    weight_decay=0.0,
    eval_every=2,
    ema=0.5,
    ema_ramp=3,
    amp="off",
)


@dataclass
class Half(Task):
    """Learn to halve a picture: one weight of 0.5."""

    net: nn.Module = field(
        default_factory=lambda: nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Dropout(0.1))
    )
    card: Card = field(default_factory=lambda: Card("half", {"width": 1}))
    figure: str = "error"
    larger: bool = False
    images: int = 10
    at: dict[int, Any] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.images

    def example(self, index: int, rng: np.random.Generator) -> Example:
        picture = rng.random((1, 4, 4), dtype=np.float32) + np.float32(index)
        return Example((picture, picture / 2), f"{index}.png")

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        given, wanted = batch
        self.seen.append(len(given))
        loss = (net(given) - wanted).square().mean()
        if self.at.get(len(self.seen)) == "nan":
            loss = loss * float("nan")
        elif self.at.get(len(self.seen)) == "stop":
            os.kill(os.getpid(), signal.SIGINT)
        return {"loss": loss}

    def measure(self, net: nn.Module) -> dict[str, float]:
        torch.rand(3)  # what a measurement draws must not change the run
        return {"error": float((net(torch.ones(1, 1, 2, 2)) - 0.5).abs().mean())}

    def picture(self, net: nn.Module) -> np.ndarray:
        return np.full((4, 4, 3), 9, np.uint8)

    def facts(self) -> dict[str, Any]:
        return {"images": self.images}


def fresh(**changes: Any) -> Half:
    torch.manual_seed(5)
    return replace(Half(), **changes)


def test_it_learns_and_leaves_a_whole_run(tmp_path: Path) -> None:
    task = fresh()
    found = train_task(task, SETTINGS, tmp_path)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert found.iterations == 15 and len(rows) == 1 + 3
    tensors, card = read_net(found.best, "half")
    assert card.settings == {"width": 1}
    error = float(card.notes["error"])
    assert error < 0.25 and error == pytest.approx(abs(float(tensors["0.weight"].item()) - 0.5), abs=1e-6)
    assert {file.name for file in tmp_path.iterdir()} >= {
        "run.json",
        "preview.png",
        "curves.png",
        "last.safetensors",
    }
    assert json.loads((tmp_path / "run.json").read_text())["examples"] == 10
    # The best is the least error, since less is better of this figure.
    errors = [float(row.split(",")[rows[0].split(",").index("val_error")]) for row in rows[1:]]
    assert error == pytest.approx(min(errors), rel=1e-6)


def test_stopped_and_resumed_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    whole = train_task(fresh(), SETTINGS, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_task(fresh(at={7: "stop"}), SETTINGS, tmp_path / "parts")
    parts = train_task(fresh(), SETTINGS, tmp_path / "parts", resume=True)
    one, two = (read_file(file).tensors for file in (whole.last, parts.last))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert read_net(whole.best, "half")[1] == read_net(parts.best, "half")[1]


def test_a_continuation_must_be_one(tmp_path: Path) -> None:
    train_task(fresh(), SETTINGS, tmp_path)
    with pytest.raises(InputError, match="images was 10 in this run and is 11 now"):
        train_task(fresh(images=11), SETTINGS, tmp_path, resume=True)
    with pytest.raises(InputError, match="already holds a run"):
        train_task(fresh(), SETTINGS, tmp_path)
    with pytest.raises(InputError, match=r"half\.width was 1"):
        train_task(fresh(card=Card("half", {"width": 2})), SETTINGS, tmp_path, resume=True)


def test_a_loss_that_is_not_finite_spoils_nothing(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"the loss of iteration 9 is not finite; its images: \d.png"):
        train_task(fresh(at={9: "nan"}), SETTINGS, tmp_path)
    assert len((tmp_path / "not_finite.txt").read_text().split()) == 4
    assert all(
        np.isfinite(value).all() for value in read_file(tmp_path / "last.safetensors").tensors.values()
    )


def test_accumulated_batches_descend_as_one(tmp_path: Path) -> None:
    settings = replace(SETTINGS, ema=0.0, optimiser="sgd", lr=0.01)

    def plain() -> Half:
        torch.manual_seed(5)
        return Half(net=nn.Conv2d(1, 1, 1, bias=False), images=8)

    one = train_task(plain(), settings, tmp_path / "one")
    two = train_task(plain(), replace(settings, batch=2, accumulate=2), tmp_path / "two")
    weights = [float(read_file(run.last).tensors["weight"].item()) for run in (one, two)]
    assert weights[0] == pytest.approx(weights[1], rel=1e-5)


def test_each_kind_of_file_says_what_it_is(tmp_path: Path) -> None:
    found = train_task(fresh(), SETTINGS, tmp_path)
    with pytest.raises(InputError, match="is a network for half, not a detector"):
        read_model(found.best)
    with pytest.raises(InputError, match="is a network for half, not for style"):
        read_net(found.best, "style")
