"""Alternating training of a small two-stage network: what each step moves, what it leaves, and going on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import boxwright as bw
from boxwright.backbones.layers import batch_norm
from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.detectors import TwoStage
from boxwright.errors import InputError
from boxwright.features import FeatureSpec, Step
from boxwright.heads.region import TwoLayers
from boxwright.manifest import Manifest
from boxwright.model import Model, create
from boxwright.modelfile import read_model
from boxwright.necks.fpn import FPN
from boxwright.preprocess import Preprocess
from boxwright.recipes.faster_rcnn import FasterRCNN, faster_rcnn
from boxwright.recipes.regions import RegionSettings, Stand
from boxwright.training import train
from boxwright.training.alternating import DONE, START, STEPS, train_alternating
from boxwright.training.finish import TrainResult
from boxwright.training.halves import FirstStage, SecondStage
from boxwright.training.settings import TrainSettings
from boxwright.training.setup import plan
from boxwright.training.stop import Interrupted
from boxwright.types import Batch, Targets
from training.toys import CLASSES, toy_data

# The mean of the weights and decayed batch norms are on, since each could move what is to stay.
BRIEF = TrainSettings(
    iterations=8,
    batch=2,
    lr=0.01,
    warmup=1,
    ema=0.5,
    ema_ramp=1,
    workers=0,
    threads=1,
    amp="off",
    eval_every=2,
)
SHARED = ("proposals.backbone.", "proposals.neck.")
SIZE = torch.tensor([[40, 40]] * 2)


class Trunk(nn.Module):
    """Three convolutions with norms to a map of stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(16, 32, 3, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 1, 1, bias=False),
        )
        self.specs = (FeatureSpec(32, (Step(3, 2, 1), Step(3, 2, 1), Step(3, 1, 1))),)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self.body(self.stem(images))]

    def stages(self) -> tuple[nn.Module, ...]:
        return (self.stem, self.body)


def stand(settings: RegionSettings) -> Stand:
    trunk = Trunk()
    neck = FPN(trunk.specs, 32, "pool", norm=batch_norm())
    return Stand(trunk, neck, TwoLayers(32 * 16, 32), 32, Preprocess((40, 40)))


def tiny() -> Model:
    torch.manual_seed(0)
    settings = FasterRCNN(
        sides=((13.0,), (18.0,)),
        side=4,
        separable=True,  # so that what proposes has norms, too
        regions_sampled=32,
        candidates=(60, 60),
        proposals=(40, 40),
    )
    parts = faster_rcnn(stand)(len(CLASSES), settings)
    return Model(parts, Manifest("tiny", {}, CLASSES, (1, 2), parts.preprocess))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy_data(tmp_path_factory.mktemp("pictures"), images=6)


def fitted(
    data: Dataset,
    out: Path,
    *,
    settings: TrainSettings = BRIEF,
    model: Model | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainResult:
    todo = plan(model or tiny(), data, data, out, settings, Augment(flip_horizontal=0.5))
    return train_alternating(todo, resume=resume, overwrite=overwrite, device="cpu", say=lambda line: None)


def tensors(out: Path, step: int) -> dict[str, np.ndarray]:
    return read_model(out / f"step{step}/best.safetensors").tensors


def under(tensors: dict[str, np.ndarray], *prefixes: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in tensors.items() if name.startswith(prefixes)}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    assert one.keys() == other.keys()
    return all(np.array_equal(value, other[name]) for name, value in one.items())


def written(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in out.glob("step*/*") if path.is_file()}


@pytest.fixture(scope="module")
def straight(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    out = tmp_path_factory.mktemp("straight") / "run"
    return out, fitted(data, out)


def test_each_step_moves_its_own_layers_and_no_others(straight: tuple[Path, TrainResult]) -> None:
    """To the bit, statistics of norms and means of weights included."""
    out, result = straight
    start = read_model(out / START).tensors
    one, two, three, four = (tensors(out, step) for step in range(1, STEPS + 1))
    # Both begin at the first weights, and share nothing yet.
    assert not equal(under(one, *SHARED), under(start, *SHARED))
    assert not equal(under(two, *SHARED), under(start, *SHARED))
    assert not equal(under(one, *SHARED), under(two, *SHARED))
    # Step 2 stands on step 1's network and leaves it as it is.
    kept = {name.removeprefix("finder."): value for name, value in under(two, "finder.").items()}
    assert equal(kept, {name.removeprefix("proposals."): value for name, value in one.items()})
    assert equal(under(two, "proposals.head."), under(start, "proposals.head."))
    # From then on the layers are shared and stay.
    assert equal(under(three, *SHARED), under(two, *SHARED))
    assert equal(under(four, *SHARED), under(two, *SHARED))
    assert not equal(under(three, "proposals.head."), under(one, "proposals.head."))
    assert equal(under(four, "proposals."), three)
    for name, value in under(four, "regions.").items():
        assert not np.array_equal(value, two[name]), name
    # The last step's is the model.
    final = {name: value.numpy() for name, value in result.model.net.state_dict().items()}
    assert equal(final, four)
    assert equal(read_model(result.best).tensors, four)


def test_all_of_what_is_to_learn_does(straight: tuple[Path, TrainResult]) -> None:
    out, _ = straight
    before = read_model(out / START).tensors
    for step in (1, 2):
        after = tensors(out, step)
        parts = (*SHARED, "proposals.head." if step == 1 else "regions.")
        still = [name for name in under(after, *parts) if np.array_equal(after[name], before[name])]
        assert not still, step


def test_the_record_of_a_run(straight: tuple[Path, TrainResult], data: Dataset) -> None:
    out, result = straight
    assert result.iterations == BRIEF.iterations
    assert {path.name for path in out.iterdir()} >= {START, "best.safetensors", "report.html", "step4"}
    assert read_model(result.best).manifest == result.model.manifest
    assert result.model.manifest.classes == CLASSES
    # Proposals have no classes, and one validation: their AP chooses nothing.
    assert read_model(out / "step1/best.safetensors").manifest.classes == ("object",)
    assert len((out / "step1/metrics.csv").read_text().splitlines()) == 2
    assert result.model.predict(data[0].path)[0].size == (40, 40)


def test_what_is_finished_is_not_done_again(straight: tuple[Path, TrainResult], data: Dataset) -> None:
    out, result = straight
    before = written(out)
    assert len([path for path in before if path.endswith(DONE)]) == STEPS
    again = fitted(data, out, resume=True)
    assert written(out) == before
    assert again.iterations == result.iterations
    assert again.report.coco.ap50 == result.report.coco.ap50


class Bell:
    """A loss that sends Ctrl-C at its n-th call in training."""

    def __init__(self, inner: Callable[..., Any], at: int) -> None:
        self.inner, self.left = inner, at

    def __call__(self, *given: Any) -> Any:
        if not torch.is_inference_mode_enabled() and torch.is_grad_enabled():
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
        return self.inner(*given)


def rung(half: str) -> Model:
    """A model with other weights than the run's, and Ctrl-C after the first iteration that learns for a half."""
    model = tiny()
    for parameter in model.net.parameters():
        nn.init.normal_(parameter)
    inner = getattr(model.objective, half)
    bell = Bell(inner.classification, 1)
    model.objective = replace(model.objective, **{half: replace(inner, classification=bell)})
    return model


def test_stopped_in_every_step_it_goes_on(
    straight: tuple[Path, TrainResult], data: Dataset, tmp_path: Path
) -> None:
    """To the bits of the run that was not stopped, though each sitting begins with other weights."""
    out = tmp_path / "cut"
    out.mkdir()
    begun: dict[str, int] = {}  # when each step began: what goes on does not write its `run.json` again
    (out / START).write_bytes((straight[0] / START).read_bytes())
    for step in range(1, STEPS + 1):
        half = "regions" if step % 2 == 0 else "proposals"
        before = written(out)
        with pytest.raises(Interrupted, match="after iteration 1 of 2"):
            fitted(data, out, model=rung(half), resume=True)
        now = written(out)
        assert (out / f"step{step}/last.safetensors").exists()
        assert not (out / f"step{step}" / DONE).exists()
        done = {path: when for path, when in before.items() if f"step{step - 1}/" not in path}
        assert done.items() <= now.items()
        begun |= {path: when for path, when in now.items() if path.endswith(f"step{step}/run.json")}
        with pytest.raises(InputError, match="holds a run already"):
            fitted(data, out)
    fitted(data, out, resume=True)
    assert len(begun) == STEPS
    assert begun.items() <= written(out).items()
    for step in range(1, STEPS + 1):
        assert equal(tensors(out, step), tensors(straight[0], step)), step


def test_a_continuation_must_be_of_the_same_run(
    straight: tuple[Path, TrainResult], data: Dataset, tmp_path: Path
) -> None:
    out, _ = straight
    before = written(out)
    other = toy_data(tmp_path / "others", images=6, seed=1)
    with pytest.raises(InputError, match="images have changed since the run began") as caught:
        fitted(other, out, resume=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"train\.lr was 0\.01 in this run and is 0\.02 now"):
        fitted(data, out, settings=replace(BRIEF, lr=0.02), resume=True)
    with pytest.raises(InputError, match="holds no run to resume"):
        fitted(data, tmp_path / "none", resume=True)
    assert written(out) == before


def test_overwriting_leaves_nothing_that_could_be_taken_for_the_new_run(
    data: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for step in range(1, STEPS + 1):
        (out / f"step{step}").mkdir(parents=True)
        (out / f"step{step}" / DONE).write_text('{"seconds": 0, "iterations": 7}')
    (out / START).write_bytes(b"an older run's")
    with pytest.raises(InputError, match="holds a run already"):
        fitted(data, out)
    with pytest.raises(Interrupted):
        fitted(data, out, model=rung("proposals"), overwrite=True)
    assert [path.name for path in sorted(out.glob("step*"))] == ["step1"]
    assert not (out / "step1" / DONE).exists()


def batch(objects: bool) -> Batch:
    box = torch.tensor([[[4.0, 4, 18, 18]]] * 2)
    there = torch.full((2, 1), objects)
    labels = torch.zeros(2, 1, dtype=torch.long)
    images = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    return Batch(images, SIZE, Targets(box, labels, there, torch.zeros_like(there)), ("a", "b"))


@pytest.mark.parametrize("apart", [True, False])
def test_what_is_seen_does_not_depend_on_the_targets(apart: bool) -> None:
    """Objects join what a second stage learns from, and never what it is measured by."""
    model, finder = tiny(), tiny().net
    net = model.net
    assert isinstance(net, TwoStage)
    assert isinstance(finder, TwoStage)
    half = SecondStage(net, (), finder.proposals if apart else None).eval()
    with torch.no_grad():
        taught, seen = half.taught_and_seen(batch(objects=True))
        _, without = half.taught_and_seen(batch(objects=False))
        alone = half(batch(objects=True).images, SIZE)
        whole = net(batch(objects=True).images, SIZE).regions
    assert taught.sampled
    assert not seen.sampled
    for other in (without, alone, whole):
        assert torch.equal(seen.priors.boxes, other.priors.boxes)
        assert torch.equal(seen.logits, other.logits)
    with pytest.raises(ValueError, match="sampled with the targets"):
        model.decoder(taught, SIZE)
    first = FirstStage(net.proposals).eval()
    with torch.no_grad():
        assert torch.equal(
            first.taught(batch(objects=True)).logits, first.taught(batch(objects=False)).logits
        )


@pytest.mark.slow
def test_it_learns(data: Dataset, tmp_path: Path) -> None:
    settings = replace(
        BRIEF, iterations=200, batch=6, lr=5e-3, warmup=10, ema=0.0, optimiser="adamw", eval_every=1000
    )
    result = fitted(data, tmp_path / "run", settings=settings)
    assert result.report.coco.ap50 > 0.9


def test_the_recipe_trains_so(data: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = {"size": 64, "candidates": (50, 50), "proposals": (30, 30), "regions_sampled": 8}
    name = "faster-rcnn-efficientnet-lite0-fpn-alternating"
    model = create(name, classes=CLASSES, ids=(1, 2), weights=None, settings=small)
    settings = replace(BRIEF, iterations=4, ema=0.0)
    result = train(model, data, val=data, out=tmp_path, settings=settings, augment=Augment(), device="cpu")
    again = bw.load(result.best)
    assert again.manifest.recipe == name
    assert len(again.predict(data[0].path)) == 1
