"""R-CNN's stages on pictures of squares: whole, interrupted, with damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import boxwright as bw
from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.model import Model, create
from boxwright.training import judges, stages, train
from boxwright.training.settings import TrainSettings
from boxwright.training.stop import Interrupted
from training.toys import CLASSES, toy_data

SETTINGS = TrainSettings(epochs=1, batch=2, lr=1e-3, warmup=1, workers=0, threads=1, freeze=5, amp="off")
SMALL = {"size": 40, "longest": 40, "crop": 32, "context": 2, "regions_sampled": 8, "proposals": 60}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return toy_data(tmp_path / "pictures", images=6)


def model(**changes: object) -> Model:
    torch.manual_seed(0)
    return create(
        "rcnn-efficientnet-lite0", classes=CLASSES, ids=(1, 2), weights=None, settings=SMALL | changes
    )


def fitted(data: Dataset, out: Path, **more: object) -> object:
    return train(model(), data, val=data, out=out, settings=SETTINGS, augment=Augment(), device="cpu", **more)


def written(out: Path) -> dict[str, int]:
    """When each file of the finished stages was written."""
    kept = [*(out / "features").glob("*.npz"), out / "svm.npz", out / "ridge.npz", out / "proposals.npz"]
    return {str(path): path.stat().st_mtime_ns for path in kept if path.exists()}


def test_all_stages_and_what_is_kept(data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = fitted(data, out)
    again = bw.load(result.best)
    assert again.manifest.regions == model().manifest.regions
    head = again.net.regions
    assert head.scores.weight.shape[0] == len(CLASSES)  # machines have no column for background
    np.testing.assert_array_equal(head.scores.weight.detach(), np.load(out / "svm.npz")["weight"])
    np.testing.assert_array_equal(head.offsets.bias.detach(), np.load(out / "ridge.npz")["bias"])
    assert len(again.predict(data[0].path)) == 1
    assert (out / "report.html").exists()
    before = written(out)
    assert len(before) == 6 + 3
    fitted(data, out, resume=True)
    assert written(out) == before  # nothing is done twice


def test_stopped_at_any_stage_it_goes_on(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted(data, tmp_path / "whole")
    out = tmp_path / "cut"

    def dies(*_: object, **__: object) -> object:
        raise Interrupted("killed")

    for module, name in (
        (judges, "compute"),
        (judges, "machines"),
        (judges, "ridges"),
        (stages, "evaluate_model"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, dies)
            with pytest.raises(Interrupted):
                fitted(data, out, resume=out.exists())
        before = written(out)
        tuned = (out / "finetune/best.safetensors").stat().st_mtime_ns
    result = fitted(data, out, resume=True)
    assert written(out) == before
    assert (out / "finetune/best.safetensors").stat().st_mtime_ns == tuned
    for name, value in whole.model.net.state_dict().items():
        assert torch.equal(value, result.model.net.state_dict()[name]), name


@pytest.mark.parametrize("name", ["features/000003.npz", "proposals.npz"])
def test_a_damaged_file_is_named_and_nothing_is_lost(data: Dataset, tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    fitted(data, out)
    (out / "svm.npz").unlink()
    damaged = out / name
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(InputError, match=Path(name).name):
        fitted(data, out, resume=True)
    assert (out / "best.safetensors").exists()
    damaged.unlink()
    fitted(data, out, resume=True)


def test_another_run_is_not_overwritten(data: Dataset, tmp_path: Path) -> None:
    fitted(data, tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        fitted(data, tmp_path / "run")
