from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.errors import InputError
from boxwright.modelfile import read_model
from boxwright.training.distributed import choose_device, team
from boxwright.training.record import read_metrics

from .toys import toy_data, train_together

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from training.toys import train_together
if __name__ == "__main__":
    train_together(Path(sys.argv[2]), Path(sys.argv[3]))
    sys.exit(any("gloo" in task.read_text() for task in Path("/proc/self/task").glob("*/comm")))
"""


def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of a batch differ in their number of positives, so the shares weigh differently in the loss."""
    toy_data(tmp_path / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    folders = (Path(__file__).parents[1], tmp_path / "data", tmp_path / "two")
    command = [sys.executable, "-c", SCRIPT, *map(str, folders)]
    second = subprocess.Popen(command, env={**os.environ, **place, "RANK": "1", "LOCAL_RANK": "1"})
    train_together(tmp_path / "data", tmp_path / "one")
    # This process is the first of the two.
    with monkeypatch.context() as patch:
        for name, value in {**place, "RANK": "0", "LOCAL_RANK": "0"}.items():
            patch.setenv(name, value)
        train_together(tmp_path / "data", tmp_path / "two")
    # Nor may a thread of the group outlive it: it would end in an abort when the interpreter is torn down.
    assert second.wait(60) == 0
    one, two = (read_model(tmp_path / name / "last.safetensors").tensors for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if not name.startswith("training.rng"):
            np.testing.assert_allclose(two[name], value, atol=1e-6, err_msg=name)
    for row, other in zip(*(read_metrics(tmp_path / n / "metrics.csv") for n in ("one", "two")), strict=True):
        for name in ("loss", "classification", "localisation", "gradient", "val_loss", "AP50"):
            assert other[name] == pytest.approx(row[name], abs=1e-5), name


def test_alone_without_torchrun() -> None:
    with team("cpu") as here:
        assert (here.rank, here.world, here.first) == (0, 1, True)
        assert here.agree(1.5, 2.5) == [1.5, 2.5]
        torch.testing.assert_close(here.mean(torch.tensor([2.0])), torch.tensor([2.0]))


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:7", "meta"])
def test_a_device_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=r"cpu|GPU"):
        choose_device(name)
