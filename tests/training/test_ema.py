from __future__ import annotations

import math

import torch
from torch import nn

from boxwright.training.ema import Ema


def test_means_are_those_worked_by_hand() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    ema = Ema(net, decay=0.9, ramp=2.0)
    expected = 1.0
    for step, value in enumerate((3.0, -1.0, 4.0), start=1):
        nn.init.constant_(net.weight, value)
        ema.update(net)
        decay = 0.9 * (1 - math.exp(-step / 2))
        expected = decay * expected + (1 - decay) * value
        assert math.isclose(ema.net.weight.item(), expected, rel_tol=1e-6)


def test_statistics_are_averaged_and_counters_copied() -> None:
    net = nn.BatchNorm1d(2)
    ema = Ema(net, decay=0.5, ramp=1e-9)  # at once at its full decay
    net.train()
    net(torch.tensor([[10.0, 0.0], [20.0, 2.0]]))
    ema.update(net)
    assert net.running_mean is not None
    torch.testing.assert_close(ema.net.running_mean, net.running_mean / 2)
    assert ema.net.num_batches_tracked == net.num_batches_tracked == 1


def test_it_is_a_network_of_its_own() -> None:
    net = nn.Linear(2, 2)
    ema = Ema(net, decay=0.5, ramp=1.0)
    before = net.weight.clone()
    ema.net.weight.fill_(7.0)
    torch.testing.assert_close(net.weight, before)
    assert not any(p.requires_grad for p in ema.net.parameters())
    assert all(p.requires_grad for p in net.parameters())
