from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.modelfile import read_model, write_model
from boxwright.training import optim, state
from boxwright.training.ema import Ema
from boxwright.training.precision import Precision
from boxwright.training.settings import TrainSettings

from .toys import toy_data, toy_model


def moving(optimiser: str = "adamw") -> tuple[state.Moving, Manifest]:
    model = toy_model()
    settings = TrainSettings(optimiser=optimiser)  # type: ignore[arg-type]
    net = model.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = state.Moving(
        net=net,
        optimiser=optim.build_optimiser(net, settings),
        ema=Ema(net, 0.9, 2.0),
        precision=Precision(torch.device("cpu"), "off"),
        progress=state.Progress(),
    )
    return parts, model.manifest


def stepped(parts: state.Moving) -> None:
    out = parts.net(torch.randn(2, 3, 32, 32), torch.full((2, 2), 32))
    (out.logits.square().sum() + out.deltas.sum()).backward()
    parts.optimiser.step()
    parts.optimiser.zero_grad()
    assert parts.ema is not None
    parts.ema.update(parts.net)
    parts.progress.iteration += 1


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_what_is_written_comes_back_and_goes_on_alike(tmp_path: Path, optimiser: str) -> None:
    first, manifest = moving(optimiser)
    for _ in range(3):
        stepped(first)
    first.progress.note(0.25, 0.1)
    state.write_last(tmp_path / "last.safetensors", first, manifest, {"a": 1})
    second, _ = moving(optimiser)
    torch.manual_seed(1234)
    state.read_last(tmp_path / "last.safetensors", second, {"a": 1})
    assert second.progress == first.progress
    state.write_last(tmp_path / "again.safetensors", second, manifest, {"a": 1})
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "last.safetensors").read_bytes()
    # The generator goes on too: both see the same noise next.
    torch.set_rng_state(
        torch.from_numpy(read_model(tmp_path / "last.safetensors").tensors["training.rng.cpu"])
    )
    stepped(first)
    torch.set_rng_state(
        torch.from_numpy(read_model(tmp_path / "last.safetensors").tensors["training.rng.cpu"])
    )
    stepped(second)
    for a, b in zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_kill_at_any_moment_of_saving_leaves_a_checkpoint(tmp_path: Path) -> None:
    parts, manifest = moving()
    stepped(parts)
    path = tmp_path / "last.safetensors"
    state.write_last(path, parts, manifest, {})
    rng = random.Random(0)
    for _ in range(12):
        reading, writing = os.pipe()
        before = parts.progress.iteration
        child = os.fork()
        if not child:
            while True:
                parts.progress.iteration += 1
                state.write_last(path, parts, manifest, {})
                os.write(writing, b".")
        os.close(writing)
        told = b""
        while len(told) < 2:
            told += os.read(reading, 1)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        again, _ = moving()
        state.read_last(path, again, {})
        assert again.progress.iteration >= before + 2
        parts.progress.iteration = again.progress.iteration


def test_best_is_the_first_of_the_greatest() -> None:
    progress = state.Progress()
    noted = [(0.5, 0.1), (0.4, 0.9), (0.5, 0.1), (0.5, 0.2), (float("nan"), 1.0), (0.6, 0.0)]
    better = []
    for number, figures in enumerate(noted):
        progress.iteration = number
        better.append(progress.note(*figures))
    assert better == [True, False, False, True, False, True]
    assert (progress.best, progress.best_iteration, progress.stale, progress.validated) == (0.6, 5, 0, 5)


def test_nothing_found_at_all_still_makes_a_best() -> None:
    progress = state.Progress()
    assert progress.note(float("nan"), float("nan"))
    assert not progress.note(float("nan"), float("nan"))
    assert progress.note(0.0, 0.0)


def test_a_model_file_is_no_training_state(tmp_path: Path) -> None:
    parts, manifest = moving()
    write_model(tmp_path / "best.safetensors", state.arrays(parts.net), manifest)
    with pytest.raises(InputError, match=r"best\.safetensors: holds a model but no training state"):
        state.read_last(tmp_path / "best.safetensors", parts, {})


def test_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    parts, manifest = moving()
    path = tmp_path / "last.safetensors"
    state.write_last(path, parts, manifest, {})
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"last\.safetensors"):
        state.read_last(path, parts, {})


def test_the_file_before_stays(tmp_path: Path) -> None:
    parts, manifest = moving()
    for iteration in (1, 2):
        parts.progress.iteration = iteration
        state.write_last(tmp_path / "last.safetensors", parts, manifest, {})
    previous = read_model(tmp_path / "last.previous.safetensors")
    assert json.loads(previous.extra["training"])["progress"]["iteration"] == 1


def test_facts_tell_what_may_not_change(tmp_path: Path) -> None:
    data, model = toy_data(tmp_path / "a", 3), toy_model()

    def told(images: Dataset = data, **changes: Any) -> dict[str, object]:
        return state.facts(TrainSettings(**changes), Augment(), model.manifest, images, data)

    assert told() == told(workers=3, cache=False, save_minutes=1, bad_images="skip")
    assert told() != told(lr=0.5)
    # Another folder is not another data set, another box is.
    assert told() == told(images=toy_data(tmp_path / "b", 3))
    data[0].boxes[0, 0] += np.float64(0.001)
    assert told() != told(images=toy_data(tmp_path / "c", 3))
