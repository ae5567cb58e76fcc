"""Ten steps of a shipped recipe, in one process or as one of several: run as a program, prints the losses as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from boxwright.data import open_dataset
from boxwright.data.augment import Augment
from boxwright.model import create
from boxwright.recipes import find
from boxwright.training.distributed import team
from boxwright.training.loader import Loaded
from boxwright.training.loop import iterate
from boxwright.training.setup import Plan, Run
from boxwright.training.stop import StopRequest


def main(recipe: str, data: Path, out: Path, count: int, batch: int) -> None:
    dataset = open_dataset(data, "train")
    told = find(recipe)
    settings = replace(
        told.train,
        batch=batch,
        iterations=count,
        workers=0,
        threads=1,
        amp="off",
        bad_images="skip",
        warmup=0,
        cache=False,
    )
    torch.manual_seed(0)
    model = create(recipe, classes=dataset.classes, ids=dataset.ids, weights=None)
    # In float32 torch's own norm rounds at 2e-4 (channels last), and ten steps from fresh weights blow that up.
    model.net.double()
    plan = Plan(model, dataset, dataset, settings, Augment(flip_horizontal=0.5), out)
    losses = []
    with team("cpu") as here, Run(plan, here, lambda _: None) as run, StopRequest() as stop:
        run.frozen.train(run.moving.net)
        batches = map(precise, run.batches())
        for _ in range(count):
            told_losses, _ = iterate(run, batches, stop)
            run.moving.progress.iteration += 1
            losses.append(told_losses["loss"])
        if here.first:
            print(json.dumps({"losses": losses, "norms": run.norms}))


def precise(loaded: Loaded) -> Loaded:
    if loaded.batch is None:
        return loaded
    return replace(loaded, batch=replace(loaded.batch, images=loaded.batch.images.double()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
