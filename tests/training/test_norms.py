from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from boxwright.training.norms import TrainedNorm, describe, make_trainable
from data.patients import SPLITS, coco

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


def together(argv: list[str], count: int = 2) -> list[subprocess.Popen[str]]:
    """The same program in several processes that know of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [word.replace("{rank}", str(rank)) for word in argv],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


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


STEPS = str(Path(__file__).with_name("steps.py"))


def ten_steps(recipe: str, data: Path, out: Path, processes: int, count: int, batch: int) -> dict:
    argv = [sys.executable, STEPS, recipe, str(data), str(out), str(count), str(batch)]
    if processes == 1:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    running = together(argv, processes)
    outputs = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0] * processes, outputs
    return json.loads(outputs[0][0])


@pytest.mark.parametrize(
    ("recipe", "count", "batch"),
    [
        ("ssd320-efficientnet-lite0", 3, 4),
        pytest.param("ssd320-efficientnet-lite0", 10, 4, marks=pytest.mark.slow),
        pytest.param("retinanet-efficientnet-lite0-fpn", 10, 4, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken-image"])
def test_two_processes_train_a_shipped_recipe_as_one_does(
    recipe: str, count: int, batch: int, broken: bool, tmp_path: Path
) -> None:
    """With its own batch norms, trained; with a broken image the shares are uneven, or one has none at all."""
    data = coco(tmp_path / "data")
    if broken:
        for name in SPLITS["train"][:2]:
            (data / "train" / f"{name}.png").write_bytes(b"no image")
    one = ten_steps(recipe, data, tmp_path / "one", 1, count, batch)
    two = ten_steps(recipe, data, tmp_path / "two", 2, count, batch)
    assert (one["norms"], two["norms"]) == ("own", "synchronised")
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)


def test_a_killed_process_ends_the_others_by_one_line(tmp_path: Path) -> None:
    data = coco(tmp_path / "data")
    out = tmp_path / "run"
    options = ["--set", "train.iterations=10000", "--batch", "4", "--workers", "0", "--weights", "none"]
    first, second = together(
        [sys.executable, "-m", "boxwright", "train", str(data), "--out", str(out), *options]
    )
    deadline = time.monotonic() + 120
    while not (out / "first_batch.png").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    second.send_signal(signal.SIGKILL)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 2, said
    assert "Traceback" not in said and "another one has ended" in said.strip().splitlines()[-1]
