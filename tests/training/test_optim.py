from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from boxwright.errors import InputError
from boxwright.training import optim
from boxwright.training.settings import TrainSettings

from .toys import ToyNet

S = TrainSettings(lr=0.1, warmup=4, final_lr=0.01)


def test_warm_up_rises_to_the_learning_rate() -> None:
    assert [optim.lr_at(S, i, 100) for i in range(4)] == pytest.approx([0.025, 0.05, 0.075, 0.1])


def test_the_cosine_worked_by_hand() -> None:
    # 101 iterations, 4 of warm-up: the cosine's middle is half way between iterations 4 and 100.
    assert optim.lr_at(S, 4, 101) == pytest.approx(0.1)
    assert optim.lr_at(S, 52, 101) == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert optim.lr_at(S, 28, 101) == pytest.approx(0.1 * (0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2))
    assert optim.lr_at(S, 100, 101) == pytest.approx(0.001)


def test_steps_fall_at_their_milestones() -> None:
    s = replace(S, schedule="steps", milestones=(0.5, 0.9), gamma=0.1)
    rates = [optim.lr_at(s, i, 40) for i in (4, 19, 20, 35, 36, 39)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@given(st.integers(1, 300), st.integers(0, 1000), st.sampled_from(["cosine", "steps", "constant"]))
def test_rates_stay_between_nothing_and_the_learning_rate(total: int, warmup: int, schedule: str) -> None:
    s = replace(S, warmup=warmup, schedule=schedule)
    rates = [optim.lr_at(s, i, total) for i in range(total)]
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates)
    # Short runs get there too: warm-up takes at most a quarter of them.
    assert schedule == "steps" or max(rates) == pytest.approx(0.1)


def test_weights_decay_and_biases_and_norms_do_not() -> None:
    net = ToyNet()
    optimiser = optim.build_optimiser(net, TrainSettings(weight_decay=0.3, backbone_lr=0.5))
    names = {id(p): name for name, p in net.named_parameters()}
    groups = {
        names[id(p)]: (g["weight_decay"], g["factor"]) for g in optimiser.param_groups for p in g["params"]
    }
    assert groups == {
        "stem.0.weight": (0.3, 0.5),
        "stem.0.bias": (0.0, 0.5),
        "stem.1.weight": (0.0, 0.5),
        "stem.1.bias": (0.0, 0.5),
        "body.0.weight": (0.3, 0.5),
        "body.0.bias": (0.0, 0.5),
        "head.weight": (0.3, 1.0),
        "head.bias": (0.0, 1.0),
    }
    optim.set_lr(optimiser, 0.2)
    assert sorted({g["lr"] for g in optimiser.param_groups}) == [0.1, 0.2]


def test_frozen_stages_do_not_move_even_after_train() -> None:
    net = ToyNet()
    frozen = optim.freeze(net, 1)
    frozen.train(net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = optim.build_optimiser(net, TrainSettings(lr=0.1))
    images = torch.randn(2, 3, 32, 32)
    net(images, torch.full((2, 2), 32)).logits.square().sum().backward()
    optimiser.step()
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"body.0.weight", "body.0.bias", "head.weight", "head.bias"}
    assert net.training
    assert not net.stem.training


def test_norms_alone_can_be_frozen() -> None:
    net = ToyNet()
    optim.freeze(net, 0, norms=True).train(net)
    assert not net.stem[1].training
    assert net.stem.training
    assert not any(p.requires_grad for p in net.stem[1].parameters())
    assert net.stem[0].weight.requires_grad


def test_more_stages_than_there_are_is_an_error() -> None:
    with pytest.raises(InputError, match="3 stages of a backbone that has 2"):
        optim.freeze(ToyNet(), 3)


@given(st.floats(0.01, 10))
def test_clipping_keeps_the_direction_and_bounds_the_norm(largest: float) -> None:
    layer = nn.Linear(3, 2)
    optimiser = optim.build_optimiser(layer, TrainSettings())
    layer.weight.grad = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    layer.bias.grad = torch.tensor([0.0, 4.0])
    assert optim.clip_gradients(optimiser, largest).item() == pytest.approx(5.0)
    after = torch.cat([layer.weight.grad.flatten(), layer.bias.grad])
    assert after.norm().item() == pytest.approx(min(5.0, largest), rel=1e-4)
    assert after[0].item() / after[-1].item() == pytest.approx(0.75)


def test_biases_can_learn_at_a_rate_of_their_own() -> None:
    """Caffe's detectors: twice the rate; a norm's shift is no bias."""
    net = ToyNet()
    optimiser = optim.build_optimiser(
        net, TrainSettings(weight_decay=0.3, backbone_lr=0.5, bias_lr=2.0, bias_decay=0.1)
    )
    names = {id(p): name for name, p in net.named_parameters()}
    groups = {
        names[id(p)]: (pytest.approx(g["weight_decay"]), g["factor"])
        for g in optimiser.param_groups
        for p in g["params"]
    }
    assert groups == {
        "stem.0.weight": (0.3, 0.5),
        "stem.0.bias": (0.03, 1.0),
        "stem.1.weight": (0.0, 0.5),
        "stem.1.bias": (0.0, 0.5),
        "body.0.weight": (0.3, 0.5),
        "body.0.bias": (0.03, 1.0),
        "head.weight": (0.3, 1.0),
        "head.bias": (0.03, 2.0),
    }
