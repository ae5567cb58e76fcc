"""Ten steps of a shipped recipe, in one process or as one of several: run as a program, prints the losses as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from boxwright.data import open_dataset
from boxwright.data.augment import Augment
from boxwright.model import create
from boxwright.modelfile import write_model
from boxwright.recipes import find
from boxwright.training import state
from boxwright.training.distributed import team
from boxwright.training.loader import Loaded
from boxwright.training.loop import iterate
from boxwright.training.setup import Plan, Run
from boxwright.training.stop import StopRequest


def main(
    recipe: str,
    data: Path,
    out: Path,
    count: int,
    batch: int,
    *,
    precise: bool = True,
    settings: dict[str, object] | None = None,
) -> None:
    dataset = open_dataset(data, "train")
    told = find(recipe)
    train = replace(
        told.train,
        batch=batch,
        accumulate=1,
        iterations=count,
        workers=0,
        threads=1,
        amp="off",
        bad_images="skip",
        warmup=0,
        cache=False,
    )
    torch.manual_seed(0)
    model = create(recipe, classes=dataset.classes, ids=dataset.ids, weights=None, settings=settings)
    prepare: Callable[[Loaded], Loaded] = lambda loaded: loaded  # noqa: E731
    if precise:
        # In float32 torch's own norm rounds at 2e-4 (channels last), and ten steps from fresh weights blow that up.
        model.net.double()
        prepare = in_double
    plan = Plan(model, dataset, dataset, train, Augment(flip_horizontal=0.5), out)
    losses = []
    with team("cpu") as here, Run(plan, here, lambda _: None) as run, StopRequest() as stop:
        run.frozen.train(run.moving.net)
        batches = map(prepare, run.batches())
        for _ in range(count):
            told_losses, _ = iterate(run, batches, stop)
            run.moving.progress.iteration += 1
            losses.append(told_losses)
        write_model(out / f"after{here.rank}.safetensors", state.arrays(run.moving.net), model.manifest)
        if here.first:
            print(json.dumps({"losses": losses, "norms": run.norms}))


def in_double(loaded: Loaded) -> Loaded:
    if loaded.batch is None:
        return loaded
    return replace(loaded, batch=replace(loaded.batch, images=loaded.batch.images.double()))


if __name__ == "__main__":
    recipe, data, out, count, batch, kind, settings = sys.argv[1:]
    chosen = json.loads(settings)
    main(recipe, Path(data), Path(out), int(count), int(batch), precise=kind == "double", settings=chosen)
