"""R-CNN's training, stage after stage; what is finished is never done again (Girshick et al. 2014, section 2.3)."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boxwright.detectors import RegionClassifier
from boxwright.errors import InputError
from boxwright.evaluate import evaluate_model
from boxwright.files import replacing, write_text
from boxwright.heads.region import RegionHead
from boxwright.model import Model, assemble, changed_settings
from boxwright.modelfile import read_model
from boxwright.recipes import find
from boxwright.training.distributed import choose_device
from boxwright.training.finish import TrainResult, with_thresholds
from boxwright.training.journal import BEST, LAST
from boxwright.training.linear import Linear, machines, ridges, typical_scale
from boxwright.training.loop import train_net
from boxwright.training.precision import Precision
from boxwright.training.region_features import FeatureStore, compute
from boxwright.training.regions import FILE, known
from boxwright.training.setup import Plan
from boxwright.weights.read import copy_fitting

DONE = "stage.json"
"""Appears in the folder of a finished fine-tuning."""


def train_rcnn(
    todo: Plan, *, resume: bool, overwrite: bool, device: str, say: Callable[[str], None] = print
) -> TrainResult:
    """Fine-tune, compute features, train the machines and the ridges that the settings ask for, and measure.

    Args:
        todo: what to train on what; its model says which judges are wanted.
        resume: go on with what is in the folder.
        overwrite: replace it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        say: receives a line at each stage.

    Raises:
        InputError: the folder holds a run and neither was asked for; a cached file that is damaged; a full disk.
        Interrupted: in fine-tuning; the folder holds all that is needed to go on.
    """
    out, wanted = todo.out, _settings(todo.model)
    if (out / BEST).exists() and not overwrite and not resume:
        raise InputError("holds a run already", path=out, hint="--resume, --overwrite or another folder")
    if not resume:
        _clear(out)
    began = time.monotonic()
    say("stage 1 of 4: fine-tuning")
    tuned, seconds, iterations = _fine_tuned(todo, resume=resume, overwrite=overwrite, device=device)
    where = choose_device(device)
    tuned.net.to(where)
    propose = known(
        todo.model.manifest.regions,
        (todo.train, todo.val),
        _proposals(todo),
        search=True,
        wait=lambda: None,
        say=say,
    )
    assert propose is not None
    judges: dict[str, Linear] = {}
    if wanted.judge == "svm" or wanted.ridge:
        store = FeatureStore(out / "features", len(todo.train))
        missing = store.missing()
        say(f"stage 2 of 4: features of {len(missing)} images")
        assert isinstance(tuned.net, RegionClassifier)
        for number, _ in enumerate(
            compute(
                tuned.net,
                todo.train,
                store,
                missing,
                preprocess=tuned.preprocess,
                propose=propose,
                precision=Precision(where, todo.settings.amp),
            ),
            1,
        ):
            if number % 50 == 0:
                say(f"  {number} of {len(missing)} images")
        judges = _judges(store, wanted, out, len(todo.model.classes), todo.settings.seed, say)
    say("stage 4 of 4: measuring")
    model = _judged(todo.model, tuned, judges)
    report = evaluate_model(
        model, todo.val, propose=propose, policy=todo.settings.bad_images, facts={"file": BEST}
    )
    model.manifest = with_thresholds(model.manifest, report)
    model.save(out / BEST)
    report.save(out)
    return TrainResult(
        out=out,
        best=out / BEST,
        last=out / "finetune" / LAST,
        model=model,
        report=report,
        iterations=iterations,
        seconds=seconds + time.monotonic() - began,
        broken={},
    )


def _fine_tuned(todo: Plan, *, resume: bool, overwrite: bool, device: str) -> tuple[Model, float, int]:
    """The network with the softmax it was fine-tuned by; the seconds it took in earlier sittings; its iterations."""
    out, manifest = todo.out / "finetune", todo.model.manifest
    settings = replace(_settings(todo.model), judge="softmax", ridge=False)
    model = assemble(manifest.recipe, manifest.classes, settings, manifest.ids)
    done, before = out / DONE, 0.0
    if done.exists() and resume:
        before = float(json.loads(done.read_text())["seconds"])
    else:
        copy_fitting(model.net, todo.model.net.state_dict())
        tuning = replace(
            todo, model=model, out=out, settings=replace(todo.settings, proposals=str(_proposals(todo)))
        )
        going = resume and (out / LAST).exists()
        result = train_net(tuning, resume=going, overwrite=overwrite, device=device)
        write_text(done, json.dumps({"seconds": result.seconds, "iterations": result.iterations}))
    # From the file in any case, so that what follows is the same whether the run was stopped here or not.
    tuned = assemble(manifest.recipe, manifest.classes, settings, manifest.ids)
    weights = {name: torch.from_numpy(value) for name, value in read_model(out / BEST).tensors.items()}
    tuned.net.load_state_dict(weights)
    return tuned, before, int(json.loads(done.read_text())["iterations"])


def _judges(
    store: FeatureStore, wanted: Any, out: Path, classes: int, seed: int, say: Callable[[str], None]
) -> dict[str, Linear]:
    """The linear judges that are wanted, from their files or trained."""
    say("stage 3 of 4: machines and ridges")
    found: dict[str, Linear] = {}
    scale: float | None = None
    for name, needed in (("svm", wanted.judge == "svm"), ("ridge", wanted.ridge)):
        path = out / f"{name}.npz"
        if needed and path.exists():
            found[name] = _read(path)
        elif needed:
            scale = typical_scale(store) if scale is None else scale
            rng = np.random.default_rng(seed)
            linear = machines(store, classes, scale, rng) if name == "svm" else ridges(store, classes, scale)
            with replacing(path) as file:
                np.savez(file, weight=linear.weight, bias=linear.bias)
            found[name] = linear
    return found


def _read(path: Path) -> Linear:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Linear(arrays["weight"], arrays["bias"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("is damaged", path=path, hint="delete it and train with --resume") from error


def _judged(model: Model, tuned: Model, judges: dict[str, Linear]) -> Model:
    """The wanted model: the fine-tuned body, and its judges in place of the softmax where there are some."""
    copy_fitting(model.net, tuned.net.cpu().state_dict())
    head = model.net.get_submodule("regions")
    assert isinstance(head, RegionHead)
    with torch.no_grad():
        for name, layer in (("svm", head.scores), ("ridge", head.offsets)):
            if name in judges and layer is not None:
                layer.weight.copy_(torch.from_numpy(judges[name].weight))
                layer.bias.copy_(torch.from_numpy(judges[name].bias))
    model.net.eval()
    return model


def _clear(out: Path) -> None:
    """Leave nothing of an earlier run that a later stage could take for its own."""
    shutil.rmtree(out / "features", ignore_errors=True)
    for name in ("svm.npz", "ridge.npz", f"finetune/{DONE}"):
        (out / name).unlink(missing_ok=True)


def _proposals(todo: Plan) -> Path:
    return Path(todo.settings.proposals) if todo.settings.proposals else todo.out / FILE


def _settings(model: Model) -> Any:
    return changed_settings(find(model.manifest.recipe).settings, model.manifest.settings)
