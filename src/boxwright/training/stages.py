"""R-CNN's training, stage after stage; what is finished is never done again (Girshick et al. 2014, section 2.3).

Each stage keeps what it made in the run's folder, and whatever is kept names what it was made from: the weights that
fine-tuning begins from name the settings and the data, the fine-tuned ones the regions too, features and the judges
that are trained on them the fine-tuned weights. So a continuation either goes on with the same or says what differs.
Only the judges may be others than they were: the support vector machines' fine-tuning and features are the softmax's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from boxwright.errors import InputError
from boxwright.evaluate import evaluate_model
from boxwright.files import sweep, write_text
from boxwright.foreign import read_json, reading
from boxwright.heads.region import RegionHead
from boxwright.model import Model, assemble, recorded_settings
from boxwright.modelfile import ModelFile, read_model, write_model
from boxwright.regular import read_regular
from boxwright.training import state
from boxwright.training.distributed import Team, team
from boxwright.training.finish import TrainResult, with_thresholds
from boxwright.training.folder import claim, is_ours
from boxwright.training.journal import BEST, LAST, REPORT
from boxwright.training.judges import FEATURES, RIDGE, SVM, Say, Watch, find_judges, silent
from boxwright.training.linear import Linear
from boxwright.training.loop import train_net
from boxwright.training.region_features import AGAIN
from boxwright.training.regions import FILE, Known, known
from boxwright.training.setup import Plan
from boxwright.training.stop import Interrupted, StopRequest
from boxwright.weights.read import copy_fitting, copy_strictly

START, FINETUNE, DONE, SPENT = "start.safetensors", "finetune", "stage.json", "seconds.txt"
"""The weights that fine-tuning begins from; its folder; the record in there that it is finished; what the rest took."""


def _aloud(line: str) -> None:
    print(line, flush=True)


def train_rcnn(todo: Plan, *, resume: bool, overwrite: bool, device: str, say: Say = _aloud) -> TrainResult:
    """Find regions, fine-tune, compute features, train the judges that the settings ask for, and measure.

    Args:
        todo: what to train on what; its model says which judges are wanted.
        resume: go on with what is in the folder: finished stages are read, the one that was stopped goes on.
        overwrite: replace it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        say: receives a line at each stage.

    Raises:
        InputError: the folder holds a run and neither was asked for; nothing to resume; other data, settings or
            regions; a kept file that is damaged; a full disk. What is finished stays.
        Interrupted: the folder holds all that is needed to go on.
    """
    with team(device) as here:
        say = say if here.first else silent
        tuning = _tuning(todo)
        if here.first:
            _begin(tuning, todo.out, resume=resume, overwrite=overwrite)
        here.wait()
        clock = Clock(todo.out / SPENT, write=here.first)
        with clock.running():
            propose = _regions(todo, here, say)
        tuning = replace(tuning, regions=propose.fingerprint((todo.train, todo.val)))
        tuned, record = _fine_tuned(tuning, todo.out / START, here, say)
        with clock.running(), StopRequest() as stop:
            watch = Watch(stop, say)
            judges, unread = find_judges(_wanted(todo.model), todo, tuned, propose, here, watch)
            say("stage 5 of 5: measuring")
            model = _judged(todo.model, tuned, judges)
            model.net.to(here.device)
            measured = here.first and evaluate_model(
                model,
                todo.val,
                propose=propose,
                policy=todo.settings.bad_images,
                facts={"file": BEST},
                watch=lambda results: watch(results, "measuring", len(todo.val)),
            )
        report = here.told(measured)
        assert report
        model.manifest = with_thresholds(model.manifest, report)
        if here.first:
            model.save(todo.out / BEST)
            report.save(todo.out)
        here.wait()
    return TrainResult(
        out=todo.out,
        best=todo.out / BEST,
        last=tuning.out / LAST,
        model=model,
        report=report,
        iterations=record["iterations"],
        seconds=record["seconds"] + clock.spent,
        broken=record["broken"] | unread,
        warnings=todo.warnings,
    )


@dataclass(frozen=True)
class Tuning(Plan):
    """The plan of the fine-tuning, whose continuation must have the same regions too.

    Attributes:
        regions: their fingerprint; "" before they are found.
    """

    regions: str = ""

    def facts(self) -> dict[str, Any]:
        """What a continuation must agree on; where the file of regions is, it need not."""
        facts = {key: value for key, value in super().facts().items() if key != "train.proposals"}
        return {**facts, "the regions": self.regions} if self.regions else facts


class Clock:
    """Time spent on the stages beside fine-tuning, over all sittings; a kill loses that of the stage it is in.

    Args:
        path: where it stands between sittings.
        write: whether this process keeps it.

    Raises:
        InputError: the file is damaged.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path, self._write = path, write
        self.spent = 0.0
        if path.exists():
            with reading(path, "number of seconds", again=f"delete it and {AGAIN}"):
                self.spent = float(read_regular(path))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the seconds of the block, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent += time.monotonic() - began
            # On a full disk the block's own error is the one to be seen.
            with suppress(InputError):
                if self._write:
                    write_text(self.path, f"{self.spent:.3f}\n")


def _tuning(todo: Plan) -> Tuning:
    """What is fine-tuned: the network with a softmax, whichever judges come after it."""
    model = _with_softmax(todo.model)
    copy_fitting(model.net, todo.model.net.state_dict())
    train = replace(todo.settings, proposals=str(_proposals(todo)))
    return Tuning(model, todo.train, todo.val, train, todo.augment, todo.out / FINETUNE)


def _with_softmax(model: Model) -> Model:
    """A model of the same kind, not yet trained, whose judge is the softmax."""
    manifest, settings = model.manifest, replace(_settings(model), judge="softmax", ridge=False)
    return assemble(manifest.recipe, manifest.classes, settings, manifest.ids)


def _begin(tuning: Tuning, out: Path, *, resume: bool, overwrite: bool) -> None:
    """Keep the first weights, or see that a continuation is one of the run that is there."""
    start = out / START
    if out.exists() and not out.is_dir():
        raise InputError("is a file, not a folder", path=out, hint="choose another --out")
    if resume:
        going = (tuning.out / LAST).exists() or (tuning.out / DONE).exists()
        if not start.exists() and not going:
            raise InputError("holds no run to resume", path=out, hint="begin one without --resume")
        for folder in (out, tuning.out, out / FEATURES):
            sweep(folder)
        if start.exists():
            # Once fine-tuning has begun, its own files say all that this one does.
            hint = f"delete it and {AGAIN}" if going else "begin the run anew with --overwrite"
            state.compare(state.recorded_facts(_kept(start, hint), start, again=hint), tuning.facts(), start)
        return
    if any(path.exists() for path in (start, out / BEST, tuning.out / LAST)) and not overwrite:
        raise InputError("holds a run already", path=out, hint="--resume, --overwrite or another folder")
    # Nothing of an earlier run may stay that a later stage could take for its own; its regions may.
    names = (START, BEST, SVM, RIDGE, SPENT, *REPORT)
    claim(out, names, folders=(FEATURES,), overwrite=overwrite)
    for path in (tuning.out / DONE, tuning.out / LAST):
        path.unlink(missing_ok=True)
    facts = json.dumps(tuning.facts())
    write_model(start, state.arrays(tuning.model.net), tuning.model.manifest, extra={"facts": facts})


def _regions(todo: Plan, here: Team, say: Say) -> Known:
    say("stage 1 of 5: regions")
    with StopRequest() as stop:
        found = known(
            todo.model.manifest.regions,
            (todo.train, todo.val),
            _proposals(todo),
            search=here.first,
            share=here.shared,
            say=say,
            watch=Watch(stop, say),
            policy=todo.settings.bad_images,
        )
        if stop.asked:  # while the file was written
            raise Interrupted("stopped after the regions were found")
    assert isinstance(found, Known)
    return found


def _fine_tuned(tuning: Tuning, start: Path, here: Team, say: Say) -> tuple[Model, dict[str, Any]]:
    """The network with the softmax it was fine-tuned by, and the record of the fine-tuning."""
    done, best = tuning.out / DONE, tuning.out / BEST
    if not here.told(done.exists()):
        say("stage 2 of 5: fine-tuning")
        going = here.told((tuning.out / LAST).exists())
        if not going:
            first = _kept(here.shared(start), "begin the run anew with --overwrite")
            copy_strictly(tuning.model.net, state.tensors(first), start)
        result = train_net(tuning, resume=going, overwrite=is_ours(tuning.out), device=str(here.device))
        told = {"seconds": result.seconds, "iterations": result.iterations, "broken": result.broken}
        if here.first:
            write_text(done, json.dumps({**told, "facts": tuning.facts()}))
    else:
        say("stage 2 of 5: fine-tuning is done")
    record = _record(here.shared(done))
    state.compare(record["facts"], tuning.facts(), done)
    file = _kept(here.shared(best), f"delete {tuning.out} and {AGAIN}: that stage begins anew")
    # From the file in any case, and into a network that training has not laid out otherwise in memory: so what
    # follows is the same to the bit whether the run was stopped here or not.
    tuned = _with_softmax(tuning.model)
    copy_strictly(tuned.net, state.tensors(file), best)
    tuned.net.to(here.device)
    return tuned, record


def _judged(model: Model, tuned: Model, judges: dict[str, Linear]) -> Model:
    """The wanted model: the fine-tuned body, and its judges in place of the softmax where there are some."""
    copy_fitting(model.net, tuned.net.cpu().state_dict())
    head = model.net.get_submodule("regions")
    assert isinstance(head, RegionHead)
    with torch.no_grad():
        for name, layer in ((SVM, head.scores), (RIDGE, head.offsets)):
            if name in judges and layer is not None:
                layer.weight.copy_(torch.from_numpy(judges[name].weight))
                layer.bias.copy_(torch.from_numpy(judges[name].bias))
    model.net.eval()
    return model


def _kept(path: Path, hint: str) -> ModelFile:
    try:
        return read_model(path)
    except InputError as error:
        raise InputError(error.message, path=path, hint=hint) from error


def _record(path: Path) -> dict[str, Any]:
    again = f"delete it and {AGAIN}: nothing is trained again"
    record = read_json(path, "record of a stage", again=again)
    with reading(path, "record of a stage", again=again):
        return {
            "seconds": float(record["seconds"]),
            "iterations": int(record["iterations"]),
            "broken": dict(record["broken"]),
            "facts": dict(record["facts"]),
        }


def _proposals(todo: Plan) -> Path:
    return Path(todo.settings.proposals) if todo.settings.proposals else todo.out / FILE


def _wanted(model: Model) -> list[str]:
    """The judges that the settings ask for beside the softmax."""
    settings = _settings(model)
    return [name for name, asked in ((SVM, settings.judge == "svm"), (RIDGE, settings.ridge)) if asked]


def _settings(model: Model) -> Any:
    return recorded_settings(model.manifest)
