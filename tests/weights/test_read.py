from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.weights.read import read_state_dict

STATE = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


WRAPPED: dict[str, Any] = {
    "bare": STATE,
    "ordered": OrderedDict(STATE),
    "parameters": {key: nn.Parameter(value) for key, value in STATE.items()},
    "state_dict": {"state_dict": STATE, "epoch": 12, "best": 0.7, "arch": "resnet18"},
    "with meta": {"state_dict": STATE, "meta": {"CLASSES": ("a", "b"), "epoch": 12, "config": "..."}},
    "model": {
        "model": STATE,
        "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"lr": 0.1}]},
    },
    "model_state_dict": {"model_state_dict": STATE, "loss": None},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_checkpoints_are_opened_up(name: str, tmp_path: Path) -> None:
    torch.save(WRAPPED[name], tmp_path / "a.pth")
    assert equal(read_state_dict(tmp_path / "a.pth"), STATE)


def test_the_format_before_torch_1_6_is_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert equal(read_state_dict(tmp_path / "a.pth"), STATE)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert equal(read_state_dict(tmp_path / "a.safetensors"), STATE)


@pytest.mark.parametrize(
    "content",
    [
        [STATE["conv.bias"]],
        {"state_dict": {"epoch": 1}},
        {"weights": STATE, "epoch": 1},
        7,
        {0: STATE["conv.bias"]},
    ],
)
def test_what_holds_no_named_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: holds more than named tensors; save its state_dict"):
        read_state_dict(tmp_path / "a.pth")


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def as_torch_saves_it(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE, "meta": evil}, buffer)
    return buffer.getvalue()


def as_torch_saved_it_before_1_6(evil: Evil) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE, "meta": evil}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def as_a_bare_pickle(evil: Evil) -> bytes:
    return pickle.dumps({"model": evil})


@pytest.mark.parametrize("save", [as_torch_saves_it, as_torch_saved_it_before_1_6, as_a_bare_pickle])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(save: Any, tmp_path: Path) -> None:
    file, trace = tmp_path / "a.pth", tmp_path / "trace"
    file.write_bytes(save(Evil(trace)))
    with pytest.raises(
        InputError, match=r"a\.pth: not a file of plain tensors.*nothing else is ever unpickled"
    ) as caught:
        read_state_dict(file)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


@pytest.mark.parametrize("save", [as_torch_saves_it, as_torch_saved_it_before_1_6])
def test_that_pickle_would_have_run(save: Any, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    file, trace = tmp_path / "a.pth", tmp_path / "trace"
    file.write_bytes(save(Evil(trace)))
    torch.load(file, weights_only=False)
    assert trace.is_dir()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.pth: no such weights file"):
        read_state_dict(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_cut_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    save_file(STATE, file) if file.suffix == ".safetensors" else torch.save(STATE, file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=name):
        read_state_dict(file)
