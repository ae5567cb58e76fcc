"""Faster R-CNN by turns: "4-Step Alternating Training" (Ren et al. 2015, arXiv:1506.01497v3, section 3.2).

1. The region proposal network learns, from ImageNet's weights.
2. A detector of its own, from ImageNet's weights too, learns on the regions that step 1's network finds; the two share
   nothing yet.
3. The proposal network's own layers learn on the detector's features, which stay as they are: now they are shared.
   They begin where step 1 left them, since the paper calls it fine-tuning.
4. The detector's own layers learn on the regions that step 3's network finds; all else stays as it is.

Each step has a quarter of the run's length and the whole schedule of learning rates. (The papers' steps are of equal
length too, in images: 80k for proposals in section 3.1.3, 40k pairs for the detector in Girshick 2015, section 4.1.)

Regions are found for each varied image when it is met, not once and kept in a file: what finds them does not learn
then, so that they are the same. Steps 1 and 3 are validated once, at their end, as detectors of objects of any class:
whether proposals are good is not what AP says, so it must not choose among weights.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from boxwright.data.records import Dataset
from boxwright.detectors import TwoStage
from boxwright.errors import InputError
from boxwright.evaluate import evaluate_model
from boxwright.files import write_text
from boxwright.foreign import read_json, reading
from boxwright.manifest import Manifest
from boxwright.model import Model
from boxwright.modelfile import read_model, write_model
from boxwright.objective import TwoStageObjective
from boxwright.recipes import Parts
from boxwright.training import state
from boxwright.training.distributed import Team, team
from boxwright.training.finish import TrainResult
from boxwright.training.folder import claim, is_ours
from boxwright.training.halves import FirstStage, SecondStage
from boxwright.training.journal import BEST, LAST, REPORT
from boxwright.training.judges import silent
from boxwright.training.loop import train_net
from boxwright.training.setup import Plan
from boxwright.weights.read import copy_strictly

STEPS = 4
START, DONE = "start.safetensors", "step.json"
"""The weights that the steps begin from, with what a continuation must agree on; the record of a finished step."""


def train_alternating(
    todo: Plan, *, resume: bool, overwrite: bool, device: str, say: Callable[[str], None] = print
) -> TrainResult:
    """Train a two-stage network in four steps, and measure; each step has its own folder in the run's.

    Args:
        todo: what to train on what.
        resume: go on with what is in the folder: finished steps are read, the one that was stopped goes on.
        overwrite: replace it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        say: receives a line at each step.

    Raises:
        InputError: the folder holds a run and neither was asked for; nothing to resume; other data or settings.
        Interrupted: the folder holds all that is needed to go on.
    """
    model, out = todo.model, todo.out
    net = model.net
    if not isinstance(net, TwoStage):
        raise TypeError("alternating training is for two-stage networks")
    with team(device) as here:
        say = say if here.first else silent
        if here.first:
            _begin(todo, resume=resume, overwrite=overwrite)
        copy_strictly(net, state.tensors(read_model(here.shared(out / START))), out / START)
        finder, own = copy.deepcopy(net.proposals), net.proposals
        backbone, neck, head = (own.get_submodule(name) for name in ("backbone", "neck", "head"))

        def step(number: int, learner: FirstStage | SecondStage) -> dict[str, Any]:
            return _step(_part(todo, number, learner), here, resume=resume)

        say(f"step 1 of {STEPS}: the proposal network, from the first weights")
        records = [step(1, FirstStage(finder))]
        say(f"step 2 of {STEPS}: a detector on its proposals, from the first weights too")
        records.append(step(2, SecondStage(net, (head, finder), finder)))
        say(f"step 3 of {STEPS}: the proposal network's own layers")
        head.load_state_dict(finder.get_submodule("head").state_dict())
        records.append(step(3, FirstStage(own, (backbone, neck))))
        say(f"step 4 of {STEPS}: the detector's own layers")
        records.append(step(4, SecondStage(net, (backbone, neck, head))))

        began = time.monotonic()
        say("measuring")
        net.to(here.device).eval()
        model.manifest = read_model(here.shared(out / f"step{STEPS}" / BEST)).manifest
        policy, facts = todo.settings.bad_images, {"file": BEST}
        report = here.told(here.first and evaluate_model(model, todo.val, policy=policy, facts=facts))
        assert report
        if here.first:
            model.save(out / BEST)
            report.save(out)
        here.wait()
    return TrainResult(
        out=out,
        best=out / BEST,
        last=out / f"step{STEPS}" / LAST,
        model=model,
        report=report,
        iterations=sum(record["iterations"] for record in records),
        seconds=sum(record["seconds"] for record in records) + time.monotonic() - began,
        broken={},
        warnings=todo.warnings,
    )


def _begin(todo: Plan, *, resume: bool, overwrite: bool) -> None:
    """Keep the first weights, or see that a continuation is one of the run that is there."""
    start, facts = todo.out / START, todo.facts()
    if resume:
        if not start.exists():
            raise InputError("holds no run to resume", path=todo.out, hint="begin one without --resume")
        then = state.recorded_facts(read_model(start), start, again="begin the run anew with --overwrite")
        state.compare(then, facts, start)
        return
    if (start.exists() or (todo.out / BEST).exists()) and not overwrite:
        raise InputError("holds a run already", path=todo.out, hint="--resume, --overwrite or another folder")
    steps = [f"step{number}" for number in range(1, STEPS + 1)]
    claim(todo.out, (START, BEST, *REPORT), folders=steps, overwrite=overwrite)
    write_model(start, state.arrays(todo.model.net), todo.model.manifest, extra={"facts": json.dumps(facts)})


def _step(part: Plan, here: Team, *, resume: bool) -> dict[str, Any]:
    """Train what a plan says, unless that is done; the network has the weights then. Returns the step's record."""
    record, best = part.out / DONE, part.out / BEST
    if not here.told(record.exists()):
        going = resume and here.told((part.out / LAST).exists())
        result = train_net(part, resume=going, overwrite=is_ours(part.out), device=str(here.device))
        if here.first:
            write_text(record, json.dumps({"seconds": result.seconds, "iterations": result.iterations}))
    # From the file in any case, so that what follows is the same whether the run was stopped here or not.
    copy_strictly(part.model.net, state.tensors(read_model(here.shared(best))), best)
    again = "delete it and go on with --resume: that step begins anew"
    record = here.shared(record)
    found = read_json(record, "record of a step", again=again)
    with reading(record, "record of a step", again=again):
        return {"seconds": float(found["seconds"]), "iterations": int(found["iterations"])}


def _part(todo: Plan, number: int, learner: FirstStage | SecondStage) -> Plan:
    """A step's own plan: what it learns for, on what, and how long."""
    model, out = todo.model, todo.out / f"step{number}"
    net, objective = model.net, model.objective
    assert isinstance(net, TwoStage)
    assert isinstance(objective, TwoStageObjective)
    settings = replace(
        todo.settings,
        iterations=math.ceil(todo.total / STEPS),
        minutes=todo.settings.minutes / STEPS,
        freeze=len(learner.fixed) + todo.settings.freeze,
    )
    if isinstance(learner, SecondStage):
        parts = Parts(learner, objective.regions, model.decoder, model.preprocess)
        return replace(todo, model=Model(parts, model.manifest), settings=settings, out=out)
    parts = Parts(learner, objective.proposals, net.proposer, model.preprocess)
    manifest = replace(model.manifest, classes=("object",), ids=(1,), thresholds=())
    return replace(
        todo,
        model=Model(parts, manifest),
        train=_of_one_class(todo.train, manifest),
        val=_of_one_class(todo.val, manifest),
        # More passes than a step has, so that its end alone is validated.
        settings=replace(settings, eval_every=settings.iterations * todo.images_per_iteration),
        out=out,
    )


def _of_one_class(dataset: Dataset, manifest: Manifest) -> Dataset:
    samples = (replace(sample, labels=np.zeros_like(sample.labels)) for sample in dataset.samples)
    return replace(dataset, samples=tuple(samples), classes=manifest.classes, ids=manifest.ids)
