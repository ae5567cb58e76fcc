"""Teaching it: better than bicubic after a few steps, the same after a stop, and judged by what it is taught."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor, nn

from boxwright.modelfile import read_file
from boxwright.perceptual.upscale import Upscaler, bicubic
from boxwright.perceptual.upscale_apply import Enlarger
from boxwright.perceptual.upscale_data import Pairs, enlarge, shrink
from boxwright.perceptual.upscale_measure import psnr
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.perceptual.upscale_task import UPSCALE_TRAINING, UpscaleTask
from boxwright.training.stop import Interrupted
from boxwright.training.task_loop import train_task
from boxwright.weights.trunk import Trunk, build_trunk

SETTINGS = UpscaleSettings(2, blocks=2, channels=16, patch=12)
STEPS = replace(
    UPSCALE_TRAINING,
    iterations=30,
    batch=4,
    lr=3e-3,
    warmup=4,
    ema=0.8,
    ema_ramp=5,
    threads=1,
    amp="off",
    eval_every=15,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    photographs = [data.astronaut(), data.coffee(), data.chelsea()]
    for number in range(10):
        whole = photographs[number % 3]
        top, left = 20 + 24 * number, 30 + 30 * number
        part = np.ascontiguousarray(whole[top : top + 160, left : left + 192])
        Image.fromarray(shrink(part[:160, :192], 2)).save(folder / f"{number}.png")
    return folder


def task(
    folder: Path, settings: UpscaleSettings = SETTINGS, kind: type[UpscaleTask] = UpscaleTask
) -> UpscaleTask:
    torch.manual_seed(1)
    paths = sorted(folder.glob("*.png"))
    trunk = _trunk(settings.taps) if settings.features else None
    return kind(settings, Pairs(paths[:8], 2), Pairs(paths[8:], 2), trunk, notes={"data": "shapes"})


def _trunk(taps: tuple[str, ...]) -> Trunk:
    torch.manual_seed(2)
    return build_trunk("vgg16", taps).eval()


def test_it_learns_more_than_interpolation_knows(folder: Path, tmp_path: Path) -> None:
    found = train_task(task(folder), STEPS, tmp_path)
    gain = float(found.card.notes["gain"])
    assert gain > 0.2
    assert found.card.settings["factor"] == 2 and found.card.notes["data"] == "shapes"
    # The figures are those of the file, by another way: whole pictures through the applied network.
    enlarger = Enlarger.open(found.best, tile=16, device="cpu")
    held = Pairs(sorted(folder.glob("*.png"))[8:], 2)
    pairs = [held.pair(index) for index in range(2)]
    ours = np.mean([psnr(enlarger(small), large) for small, large in pairs])
    theirs = np.mean([psnr(enlarge(small, 2), large) for small, large in pairs])
    assert float(found.card.notes["psnr"]) == pytest.approx(ours, abs=1e-3)
    assert gain == pytest.approx(ours - theirs, abs=1e-3)


class Stopping(UpscaleTask):
    """Is sent Ctrl-C in its 17th step."""

    seen = 0

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        self.seen += 1
        if self.seen == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return super().losses(net, *batch)


def test_stopped_and_resumed_it_ends_as_if_undisturbed(folder: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, features=0.5, taps=("conv1",))
    steps = replace(STEPS, iterations=20)
    whole = train_task(task(folder, settings), steps, tmp_path / "whole")
    with pytest.raises(Interrupted, match="iteration 17 of 20"):
        train_task(task(folder, settings, Stopping), steps, tmp_path / "parts")
    parts = train_task(task(folder, settings), steps, tmp_path / "parts", resume=True)
    one, two = (read_file(run.last).tensors for run in (whole, parts))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    # Nothing of the network that looks on is saved with the one that learns.
    assert not [name for name in read_file(whole.best).tensors if "trunk" in name or "backbone" in name]


def test_bicubic_has_a_loss_of_the_weights_sum(folder: Path) -> None:
    both = task(folder, replace(SETTINGS, pixels=0.25, features=2.0, taps=("conv1", "conv2")))
    rng = np.random.default_rng(both.settings.seed)
    patches = [both.example(index, rng).arrays for index in range(8)]
    small, large = (torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))
    losses = both.losses(Interpolation(), small, large)
    assert float(losses["pixels"]) == pytest.approx(1, rel=1e-3)
    assert float(losses["features"]) == pytest.approx(1, rel=1e-2)
    assert float(losses["loss"]) == pytest.approx(
        0.25 * float(losses["pixels"]) + 2 * float(losses["features"])
    )
    perfect = both.losses(nn.Identity(), large, large)
    assert [float(value) for value in perfect.values()] == [0, 0, 0]


class Interpolation(nn.Module):
    """What `bicubic` does, clipped."""

    def forward(self, pictures: Tensor) -> Tensor:
        return bicubic(pictures, 2).clamp(0, 1)


def test_features_choose_the_best_where_they_count(folder: Path) -> None:
    pixels = task(folder)
    assert (pixels.figure, pixels.larger, pixels.count) == ("psnr", True, 8)
    both = task(folder, replace(SETTINGS, features=1.0, taps=("conv1",)))
    assert (both.figure, both.larger) == ("loss", False)
    figures = both.measure(Interpolation())
    # Bytes are rounded, floats are not.
    assert figures["gain"] == pytest.approx(0, abs=0.05)
    for name in ("pixels", "features", "loss"):
        assert figures[name] == pytest.approx(1, rel=0.05)
    with pytest.raises(ValueError, match="deep features need a trunk"):
        UpscaleTask(both.settings, Pairs([], 2), Pairs([], 2))


def test_it_goes_on_from_another_network(folder: Path) -> None:
    torch.manual_seed(7)
    net = Upscaler(SETTINGS)
    paths = sorted(folder.glob("*.png"))
    assert UpscaleTask(SETTINGS, Pairs(paths, 2), Pairs(paths, 2), net=net).net is net


def test_its_facts_are_its_pictures(folder: Path) -> None:
    one, two = task(folder), task(folder)
    assert one.facts() == two.facts()
    two._pairs = Pairs(two._pairs.paths[1:], 2)
    assert one.facts() != two.facts()
