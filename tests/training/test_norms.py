from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from boxwright.training.norms import TrainedNorm, describe, make_trainable

from .processes import together

LAW = """
import sys
import torch
import torch.distributed as dist
from boxwright.training.norms import make_trainable

rank, cuts = int(sys.argv[1]), [int(c) for c in sys.argv[2].split(",")]
dist.init_process_group("gloo")
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).double().float()
make_trainable(net)
whole = torch.randn(5, 3, 4, 6) * 3 + 7
part = whole[cuts[rank]:cuts[rank + 1]].clone().requires_grad_(True)
out = net(part)
(out * torch.linspace(-1, 1, 24).view(4, 6)).square().sum().backward()
for p in net.parameters():
    if p.grad is None:
        p.grad = torch.zeros_like(p)
    dist.all_reduce(p.grad)
torch.save({"out": out.detach(), "x": part.grad, "grads": [p.grad for p in net.parameters()],
            "state": net.state_dict()}, sys.argv[3] + f"/{rank}.pt")
dist.destroy_process_group()
"""


@pytest.mark.parametrize("cuts", ["0,3,5", "0,5,5"], ids=["uneven", "one-has-nothing"])
def test_norms_of_two_processes_are_the_norm_of_the_whole_batch(cuts: str, tmp_path: Path) -> None:
    for process in together([sys.executable, "-c", LAW, "{rank}", cuts, str(tmp_path)]):
        assert process.wait(120) == 0, process.communicate()[1]
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    whole = (torch.randn(5, 3, 4, 6) * 3 + 7).requires_grad_(True)
    out = net(whole)
    (out * torch.linspace(-1, 1, 24).view(4, 6)).square().sum().backward()
    torch.testing.assert_close(torch.cat([p["out"] for p in parts]), out.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(torch.cat([p["x"] for p in parts]), whole.grad, atol=2e-4, rtol=1e-3)
    for part in parts:
        for mine, right in zip(part["grads"], net.parameters(), strict=True):
            torch.testing.assert_close(mine, right.grad, atol=1e-3, rtol=1e-3)
        for name, right in net.state_dict().items():
            torch.testing.assert_close(part["state"][name], right, atol=1e-5, rtol=1e-5, msg=name)


def test_one_value_a_channel_goes_by_the_running_statistics_and_keeps_them() -> None:
    norm = TrainedNorm(2)
    norm.running_mean.copy_(torch.tensor([1.0, -2.0]))
    norm.running_var.copy_(torch.tensor([4.0, 0.25]))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    given = torch.tensor([3.0, -1.0]).view(1, 2, 1, 1).requires_grad_(True)
    out = norm(given)
    np.testing.assert_allclose(out.detach().flatten(), [1.0, 2.0], atol=1e-4)
    out.sum().backward()
    np.testing.assert_allclose(given.grad.flatten(), [0.5, 2.0], atol=1e-4)
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_network_keeps_names_values_and_function() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3, momentum=0.03), nn.ReLU())
    images = torch.randn(2, 3, 8, 8)
    state, right = {k: v.clone() for k, v in net.state_dict().items()}, net.eval()(images)
    make_trainable(net)
    assert isinstance(net[1], TrainedNorm) and list(net.state_dict()) == list(state)
    torch.testing.assert_close(net.eval()(images), right)
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3, momentum=0.03), nn.ReLU())
    twin.load_state_dict(state)
    torch.testing.assert_close(net.train()(images), twin.train()(images))
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value)
    assert describe(net, frozen=False, world=2) == "synchronised"
    assert describe(nn.Conv2d(1, 1, 1), frozen=False, world=1) == "none"
