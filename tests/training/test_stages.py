"""R-CNN's stages on pictures of squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import boxwright as bw
from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.model import Model, create
from boxwright.training import train
from boxwright.training.finish import TrainResult
from boxwright.training.settings import TrainSettings
from training.toys import CLASSES, toy_data

SETTINGS = TrainSettings(
    epochs=1, batch=2, lr=1e-3, warmup=1, workers=0, threads=1, freeze=5, amp="off", bad_images="skip"
)
SMALL = {"size": 40, "longest": 40, "crop": 32, "context": 2, "regions_sampled": 8, "proposals": 60}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return toy_data(tmp_path / "pictures", images=6)


def model(**changes: object) -> Model:
    torch.manual_seed(0)
    return create(
        "rcnn-efficientnet-lite0", classes=CLASSES, ids=(1, 2), weights=None, settings=SMALL | changes
    )


def fitted(data: Dataset, out: Path, **more: object) -> TrainResult:
    return train(model(), data, val=data, out=out, settings=SETTINGS, augment=Augment(), device="cpu", **more)


def written(out: Path) -> dict[str, int]:
    """When each file of the finished stages was written."""
    kept = [
        *(out / "features").glob("*.npz"),
        out / "svm.npz",
        out / "ridge.npz",
        out / "finetune/stage.json",
    ]
    return {str(path): path.stat().st_mtime_ns for path in kept if path.exists()}


def test_all_stages_and_what_is_kept(data: Dataset, tmp_path: Path) -> None:
    """One of the images cannot be read; the faults of disks and processes are in tests/faults/test_rcnn.py."""
    out, broken = tmp_path / "run", data[4].path
    broken.write_bytes(broken.read_bytes()[:60])
    result = fitted(data, out)
    assert list(result.broken) == [str(broken)]
    again = bw.load(result.best)
    assert again.manifest.regions == model().manifest.regions
    head = again.net.regions
    assert head.scores.weight.shape[0] == len(CLASSES)  # machines have no column for background
    np.testing.assert_array_equal(head.scores.weight.detach(), np.load(out / "svm.npz")["weight"])
    np.testing.assert_array_equal(head.offsets.bias.detach(), np.load(out / "ridge.npz")["bias"])
    assert len(again.predict(data[0].path)) == 1
    assert (out / "report.html").exists()
    before = written(out)
    assert len(before) == 5 + 3
    more = fitted(data, out, resume=True)
    assert written(out) == before  # nothing is done twice
    assert list(more.broken) == [str(broken)]
    assert more.seconds > result.seconds  # measuring took its time again
    assert more.iterations == result.iterations == 3
