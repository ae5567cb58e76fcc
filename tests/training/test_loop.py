from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.model import Model
from boxwright.modelfile import read_model
from boxwright.training import train
from boxwright.training.display import Silent
from boxwright.training.distributed import team
from boxwright.training.finish import TrainResult
from boxwright.training.journal import Journal
from boxwright.training.loader import order
from boxwright.training.loop import fit
from boxwright.training.settings import TrainSettings
from boxwright.training.setup import Run, plan
from boxwright.training.stop import DivergenceError, Interrupted, StopRequest
from boxwright.types import Batch, Predictions

from .toys import CLASSES, QUICK, VARIED, ToyNet, toy_data, toy_model

# 10 images in batches of 4: 8 iterations, validations after 3, 5 and 8; epochs end inside batches.
KILLS = (1, 3, 4, 7, 8)


class Counted:
    """An objective that does something at its n-th call in training."""

    def __init__(self, model: Model, at: int, action: Callable[[Any], Any]) -> None:
        self.inner, self.at, self.action, self.calls = model.objective, at, action, 0
        self.assigned = model.objective.assigned

    def __call__(self, out: Any, targets: Any) -> Any:
        losses = self.inner(out, targets)
        if torch.is_inference_mode_enabled():
            return losses
        self.calls += 1
        return self.action(losses) if self.calls == self.at else losses


def interrupt(losses: Any) -> Any:
    os.kill(os.getpid(), signal.SIGINT)
    return losses


def poison(losses: Any) -> Any:
    return replace(losses, localisation=losses.localisation * float("nan"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy_data(tmp_path_factory.mktemp("toys"), images=10)


def model_with(at: int = 0, action: Any = None, **shape: Any) -> Model:
    model = toy_model(**shape)
    if action is not None:
        model.objective = Counted(model, at, action)  # type: ignore[assignment]
    return model


def run(data: Dataset, out: Path, settings: TrainSettings = QUICK, **more: Any) -> TrainResult:
    model = model_with(**{key: more.pop(key) for key in ("at", "action", "norm", "dropout") if key in more})
    augment = more.pop("augment", VARIED)
    return train(model, data, val=data, out=out, settings=settings, augment=augment, device="cpu", **more)


def fitted(
    data: Dataset, out: Path, settings: TrainSettings = QUICK, *, resume: bool = False, **trick: Any
) -> None:
    """`train` from its public parts, without the report at the end, which takes longer than these runs."""
    todo = plan(model_with(**trick), data, data, out, settings, VARIED)
    with (
        team("cpu") as here,
        Run(todo, here) as parts,
        Journal(parts, Silent(), resume=resume, overwrite=False) as journal,
        StopRequest() as stop,
    ):
        try:
            fit(parts, journal, stop)
        except (Interrupted, InputError):
            journal.save()
            raise


def same(one: Path, other: Path, names: tuple[str, ...] = ("last", "best")) -> None:
    for name in names:
        a, b = (read_model(folder / f"{name}.safetensors") for folder in (one, other))
        assert set(a.tensors) == set(b.tensors)
        for key, value in a.tensors.items():
            np.testing.assert_array_equal(value, b.tensors[key], err_msg=f"{name}: {key}")


@pytest.fixture(scope="module")
def straight(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight") / "out"
    run(data, out)
    return out


def rows(out: Path) -> list[dict[str, str]]:
    """`metrics.csv` without what depends on the clock."""
    with (out / "metrics.csv").open() as file:
        return [
            {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]


class Drawing(ToyNet):
    """Draws before it computes, as a network does that samples regions."""

    def taught(self, batch: Batch) -> Predictions:
        torch.rand(3)
        return super().taught(batch)


def test_a_run_resumed_before_its_first_step_draws_what_it_would_have_drawn(
    data: Dataset, tmp_path: Path
) -> None:
    """The picture of the first batch is made once, and takes nothing from the run's chance."""
    model = model_with()
    model.net = Drawing()
    todo = plan(model, data, data, tmp_path, QUICK, VARIED)
    with team("cpu") as here, Run(todo, here) as parts:
        before = torch.get_rng_state()
        with Journal(parts, Silent(), resume=False, overwrite=False):
            assert (tmp_path / "first_batch.png").exists()
            assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kill", KILLS)
def test_a_resumed_run_is_the_uninterrupted_one(
    data: Dataset, straight: Path, tmp_path: Path, kill: int
) -> None:
    with pytest.raises(Interrupted, match=f"after iteration {kill} of 8"):
        fitted(data, tmp_path, at=kill, action=interrupt)
    torch.manual_seed(99)
    fitted(data, tmp_path, resume=True)
    same(straight, tmp_path)
    assert rows(straight) == rows(tmp_path)


def test_workers_do_not_change_it(data: Dataset, straight: Path, tmp_path: Path) -> None:
    two = replace(QUICK, workers=2)
    with pytest.raises(Interrupted):
        fitted(data, tmp_path, two, at=4, action=interrupt)
    fitted(data, tmp_path, two, resume=True)
    same(straight, tmp_path)


def test_an_interruption_during_a_validation_repeats_it(
    data: Dataset, straight: Path, tmp_path: Path
) -> None:
    model = toy_model()
    decode = model.decoder

    def interrupted(out: Any, sizes: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return decode(out, sizes)

    model.decoder = interrupted  # type: ignore[assignment]
    with pytest.raises(Interrupted, match="during a validation"):
        train(model, data, val=data, out=tmp_path, settings=QUICK, augment=VARIED, device="cpu")
    assert not (tmp_path / "best.safetensors").exists()
    fitted(data, tmp_path, resume=True)
    same(straight, tmp_path)


@pytest.mark.parametrize(
    "change", [{"optimiser": "adamw", "lr": 0.003}, {"accumulate": 2, "epochs": 6, "ema": 0.0}]
)
def test_other_settings_resume_as_exactly(data: Dataset, tmp_path: Path, change: dict[str, Any]) -> None:
    settings = replace(QUICK, **change)
    fitted(data, tmp_path / "a", settings)
    with pytest.raises(Interrupted):
        fitted(data, tmp_path / "b", settings, at=5, action=interrupt)
    fitted(data, tmp_path / "b", settings, resume=True)
    same(tmp_path / "a", tmp_path / "b")


def test_seeds_matter_and_nothing_else_does(data: Dataset, straight: Path, tmp_path: Path) -> None:
    torch.manual_seed(123)
    fitted(data, tmp_path / "same")
    same(straight, tmp_path / "same")
    fitted(data, tmp_path / "other", replace(QUICK, seed=1))
    with pytest.raises(AssertionError):
        same(straight, tmp_path / "other")


def test_a_run_leaves_what_it_should(data: Dataset, straight: Path) -> None:
    names = {path.name for path in straight.iterdir()}
    assert names >= {"best.safetensors", "last.safetensors", "metrics.csv", "run.json", "first_batch.png",
                     "report.html", "report.json", "curves.png", "tb"}  # fmt: skip
    assert any((straight / "tb").iterdir())
    told = json.loads((straight / "run.json").read_text())
    assert told["train"]["lr"] == QUICK.lr
    assert told["augment"]["flip_horizontal"] == VARIED.flip_horizontal
    assert (told["images"], told["iterations"]) == ({"train": 10, "val": 10}, 8)
    assert [row["iteration"] for row in rows(straight)] == ["3", "5", "8"]
    manifest = read_model(straight / "best.safetensors").manifest
    assert manifest.classes == CLASSES
    assert manifest.notes["images"] == 10


def test_best_holds_the_means_and_last_the_weights(data: Dataset, straight: Path) -> None:
    best, last = (read_model(straight / f"{name}.safetensors").tensors for name in ("best", "last"))
    assert set(best) == {key for key in last if not key.startswith("training.")}
    if float(rows(straight)[-1]["best"]) == float(rows(straight)[-1]["AP50"]):
        np.testing.assert_array_equal(best["head.weight"], last["training.ema.head.weight"])
    assert not np.array_equal(best["head.weight"], last["head.weight"])


def test_it_learns(data: Dataset, tmp_path: Path) -> None:
    result = run(data, tmp_path, replace(QUICK, epochs=30, eval_every=30, ema=0.0), dropout=0.0)
    assert result.report.coco.ap50 > 0.9
    assert all(0 < value < 1 for value in result.model.manifest.thresholds)
    # The model itself holds the best weights now.
    found = result.model.predict([str(data[0].path)])[0]
    assert sorted(found.index.tolist()) == sorted(data[0].labels.tolist())


def test_the_first_batch_can_be_learnt_by_heart(data: Dataset, tmp_path: Path) -> None:
    settings = replace(QUICK, iterations=60)
    result = run(data, tmp_path, settings, dropout=0.0, overfit_one_batch=True)
    table = rows(tmp_path)
    assert result.iterations == 60
    assert len(table) == 4
    assert float(table[-1]["loss"]) < 0.5 * float(table[0]["loss"])
    assert result.report.images == 4


def test_accumulation_is_the_mean_over_its_batches(data: Dataset, tmp_path: Path) -> None:
    """Two batches of 4 move the weights as one of 8 where the loss is a mean over images.

    SSD's loss is divided by the positives of its batch, so there the two agree only if both halves have as
    many; here it is divided by the number of images instead.
    """

    def per_image(model: Model) -> Any:
        inner = model.objective

        def objective(out: Any, targets: Any) -> Any:
            losses = inner(out, targets)
            scale = losses.positives.clamp(min=1) / len(targets.labels)
            return replace(losses, classification=losses.classification * scale,
                           localisation=losses.localisation * scale)  # fmt: skip

        objective.assigned = inner.assigned  # type: ignore[attr-defined]
        return objective

    ends = []
    for batch, accumulate in ((8, 1), (4, 2)):
        settings = replace(QUICK, batch=batch, accumulate=accumulate, iterations=4, ema=0.0)
        model = toy_model(norm=False, dropout=0.0)
        model.objective = per_image(model)
        out = tmp_path / str(batch)
        train(model, data, val=data, out=out, settings=settings, augment=VARIED, device="cpu")
        ends.append(read_model(out / "last.safetensors").tensors)
    for name in ("stem.0.weight", "head.weight", "head.bias"):
        np.testing.assert_allclose(ends[0][name], ends[1][name], atol=2e-6)


def test_a_loss_that_is_not_finite_stops_with_the_files(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"the loss of iteration 5 is not finite; .*picture\d\d\.png"):
        run(data, tmp_path, at=5, action=poison)
    listed = (tmp_path / "not_finite.txt").read_text().split()
    assert len(listed) == 4
    assert set(listed) <= {str(sample.path) for sample in data}
    for name in ("best", "last"):
        tensors = read_model(tmp_path / f"{name}.safetensors").tensors
        assert all(np.isfinite(value).all() for value in tensors.values())
    # It can go on from there, with settings as they were.
    fitted(data, tmp_path, resume=True)


def test_a_gradient_that_is_not_finite_stops_before_the_step(data: Dataset, tmp_path: Path) -> None:
    def explode(losses: Any) -> Any:
        # sqrt has a finite value and an infinite slope at 0.
        root = (losses.classification * 0).sqrt()
        return replace(losses, classification=losses.classification + root)

    with pytest.raises(DivergenceError, match="the gradient of iteration 2"):
        run(data, tmp_path, at=2, action=explode)


def test_patience_ends_a_run_that_no_longer_gets_better(data: Dataset, tmp_path: Path) -> None:
    # A learning rate of next to nothing: no validation is better than the first.
    settings = replace(QUICK, lr=1e-12, ema=0.0, epochs=50, patience=2)
    result = run(data, tmp_path, settings, norm=False)
    assert result.iterations == 8
    assert len(rows(tmp_path)) == 3


def test_a_time_limit_ends_a_run_with_its_schedule(data: Dataset, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=100_000, minutes=1 / 60, eval_every=50_000, schedule="cosine", warmup=0)
    result = run(data, tmp_path, settings)
    assert 0.9 < result.seconds < 5
    assert float(rows(tmp_path)[-1]["lr"]) < 0.2 * QUICK.lr


def test_broken_images_are_listed_or_an_error(data: Dataset, tmp_path: Path) -> None:
    write_bytes(tmp_path / "bad.png", b"\x89PNG and no more")
    samples = (*data.samples[:-1], replace(data[9], path=tmp_path / "bad.png"))
    broken = replace(data, samples=samples)
    with pytest.raises(InputError, match=r"bad\.png"):
        run(broken, tmp_path / "a", augment=Augment())
    result = run(broken, tmp_path / "b", replace(QUICK, bad_images="skip"))
    assert set(result.broken) == {str(tmp_path / "bad.png")}
    assert result.iterations == 8


def test_a_run_goes_on_when_its_broken_image_is_repaired(
    data: Dataset, straight: Path, tmp_path: Path
) -> None:
    copy = replace(data, samples=tuple(replace(s, path=tmp_path / s.path.name) for s in data))
    for sample in data:
        write_bytes(tmp_path / sample.path.name, sample.path.read_bytes())
    # The seventh image of the first epoch: in the second batch.
    late = tmp_path / data[int(order(10, QUICK.seed, 0)[6])].path.name
    late.write_bytes(late.read_bytes()[:99])
    with pytest.raises(InputError, match=late.name):
        fitted(copy, tmp_path / "out")
    write_bytes(late, (data.root / late.name).read_bytes())
    fitted(copy, tmp_path / "out", resume=True)
    same(straight, tmp_path / "out")


def test_bfloat16_trains(data: Dataset, tmp_path: Path) -> None:
    result = run(data, tmp_path, replace(QUICK, amp="bf16"))
    tensors = read_model(result.last).tensors
    assert tensors["head.weight"].dtype == np.float32
    assert np.isfinite(tensors["head.weight"]).all()


def test_validation_images_are_held_out_where_none_are_given(data: Dataset, tmp_path: Path) -> None:
    train(toy_model(), data, out=tmp_path, settings=QUICK, augment=VARIED, device="cpu")
    assert json.loads((tmp_path / "run.json").read_text())["images"] == {"train": 8, "val": 2}


def test_a_folder_with_a_run_is_left_alone(data: Dataset, straight: Path) -> None:
    before = (straight / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="already holds a run; go on with --resume, replace it"):
        run(data, straight)
    assert (straight / "last.safetensors").read_bytes() == before


def test_overwriting_removes_only_what_runs_write(data: Dataset, tmp_path: Path) -> None:
    fitted(data, tmp_path, replace(QUICK, epochs=1))
    (tmp_path / "notes.txt").write_text("mine")
    run(data, tmp_path, replace(QUICK, epochs=2), overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert [row["iteration"] for row in rows(tmp_path)] == ["3", "5"]


def test_nothing_to_resume_is_an_error(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run to resume"):
        run(data, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": replace(QUICK, lr=0.5)}, "train.lr was 0.02 in this run and is 0.5 now"),
        ({"augment": Augment()}, "augment.distort was 0.5"),
    ],
)
def test_other_settings_are_refused_on_resuming(
    data: Dataset, straight: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run(data, straight, resume=True, **change)


def test_other_images_are_refused_on_resuming(data: Dataset, straight: Path) -> None:
    with pytest.raises(InputError, match="the training images have changed"):
        run(data.subset(range(9)), straight, resume=True)
