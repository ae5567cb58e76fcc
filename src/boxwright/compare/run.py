"""Train every variant with every seed, as `boxwright train` would, and measure each on images it never saw."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from boxwright.catalogue.counting import Cost, parts_cost
from boxwright.compare.record import FAILED, RESULT, VARIANT, Result, Started, folder, read_started, write
from boxwright.compare.variants import Variant, settings
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.evaluate import Report, evaluate_model
from boxwright.files import write_text
from boxwright.manifest import Manifest
from boxwright.preprocess import Preprocess
from boxwright.recipes import find
from boxwright.training.folder import is_ours
from boxwright.training.journal import LAST
from boxwright.training.run import train
from boxwright.training.state import facts
from boxwright.training.transfer import begin

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What a comparison is to do.

    Attributes:
        out: its folder.
        variants, seeds: each of these with each of those is a run.
        train, val: images; `val` chooses the best weights of each run.
        test: images that the comparison is of; the same as `val` where there are no others.
        weights: where networks start, as `boxwright train --weights` has it.
        device: "auto", "cpu", "cuda" or "cuda:N".
    """

    out: Path
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    train: Dataset
    val: Dataset
    test: Dataset
    weights: str
    device: str


def prepare(order: Order) -> list[Started]:
    """Every run to be done, checked against what the folder holds already; those that all seeds have first.

    Raises:
        InputError: the folder holds a run of the same name with other settings or data.
    """
    costs = [_cost(variant, len(order.train.classes)) for variant in order.variants]
    begun = [
        _started(order, variant, number, seed, *costs[number])
        for seed in order.seeds
        for number, variant in enumerate(order.variants)
    ]
    for started in begun:
        path = folder(order.out, started.label, started.seed) / VARIANT
        if path.exists():
            _compare(read_started(path).facts, started.facts, path.parent)
    return begun


def execute(order: Order, begun: Sequence[Started], say: Say) -> int:
    """Do what is not done; one run that fails is noted and the others go on.

    Args:
        order: what to do.
        begun: what `prepare` returned.
        say: receives a line at each run's begin, and what a run says of its weights.

    Returns:
        how many failed.

    Raises:
        KeyboardInterrupt: stopped; the same call goes on.
    """
    variants = {variant.label: variant for variant in order.variants}
    failures = 0
    for place, started in enumerate(begun, 1):
        out = folder(order.out, started.label, started.seed)
        name = f"[{place}/{len(begun)}] {started.label}, seed {started.seed}"
        if (out / RESULT).exists():
            say(f"{name}: is done")
            continue
        say(f"{name}: {'goes on' if _begun(out) else 'begins'} in {out}")
        write(out / VARIANT, started)
        (out / FAILED).unlink(missing_ok=True)
        try:
            report, seconds, iterations = _one(order, variants[started.label], started.seed, out, say)
        except (InputError, RuntimeError, MemoryError) as error:
            # A diverged loss, a GPU too small: nothing that must end the other runs.
            what = error.message if isinstance(error, InputError) else str(error)
            reason = " ".join(what.split(";")[0].split()) or type(error).__name__
            write(out / FAILED, {"reason": reason})
            write_text(out / "failed.txt", traceback.format_exc())
            say(f"{name}: failed: {reason} (failed.txt there has all of it)")
            failures += 1
            continue
        found = figures(report)
        write(out / RESULT, Result(found, order.test.split or "all", report.images, seconds, iterations))
        say(f"{name}: " + "  ".join(f"{key} {value:.3f}" for key, value in list(found.items())[:2]))
    return failures


def figures(report: Report) -> dict[str, float]:
    """What can be compared of an evaluation: accuracies of labelled images, or average precisions."""
    if report.accuracy:
        return dict(report.accuracy)
    return {"AP50": report.coco.ap50, "AP": report.coco.ap, "VOC AP50": report.voc.ap11}


def _one(order: Order, variant: Variant, seed: int, out: Path, say: Say) -> tuple[Report, float, int]:
    chosen = settings(variant, seed)
    resume = _begun(out)
    torch.manual_seed(seed)
    model = begin(
        variant.recipe,
        classes=order.train.classes,
        ids=order.train.ids,
        weights=order.weights,
        settings={key: getattr(chosen.model, key) for key in chosen.changed},
        resuming=resume,
        say=say,
    )
    result = train(
        model,
        order.train,
        val=order.val,
        out=out,
        settings=chosen.train,
        augment=chosen.augment,
        resume=resume,
        # What is there of an earlier run of ours is replaced, what is somebody else's never.
        overwrite=not resume and is_ours(out),
        device=order.device,
    )
    described = {"name": variant.label, "file": str(result.best)}
    report = evaluate_model(result.model, order.test, policy=chosen.train.bad_images, facts=described)
    report.save(out / "test")
    return report, result.seconds, result.iterations


def _begun(out: Path) -> bool:
    """Whether there is something to go on from, in the run's folder or in that of a stage."""
    return any(out.rglob(LAST))


def _cost(variant: Variant, classes: int) -> tuple[Cost, Preprocess]:
    """What a variant's network costs, and what it is fed."""
    with torch.device("meta"):
        parts = find(variant.recipe).build(classes, settings(variant).model)
    return parts_cost(parts), parts.preprocess


def _started(
    order: Order, variant: Variant, number: int, seed: int, cost: Cost, preprocess: Preprocess
) -> Started:
    chosen = settings(variant, seed)
    shape = asdict(chosen.model)
    manifest = Manifest(variant.recipe, shape, order.train.classes, order.train.ids, preprocess)
    known = facts(chosen.train, chosen.augment, manifest, order.train, order.val)
    known["weights"] = order.weights
    unseen = facts(chosen.train, chosen.augment, manifest, order.test, order.test)
    known["the test images"] = unseen["the training images"]
    known["images"] = f"{len(order.train)} to train, {len(order.val)} to choose, {len(order.test)} to test"
    parameters, gflops = cost.parameters, cost.gflops
    return Started(variant.label, seed, number, variant.recipe, variant.changes, parameters, gflops, known)


def _compare(then: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    now = json.loads(json.dumps(now))
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            if key.startswith("the "):
                what = f"holds a run with others than {key} of now"
            else:
                what = f"holds a run in which {key} was {then.get(key)!r}, and it is {now.get(key)!r} now"
            hint = "give the variant another label, choose another --out, or remove that folder"
            raise InputError(what, path=path, hint=hint)
