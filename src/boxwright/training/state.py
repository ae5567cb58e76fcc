"""What `last.safetensors` holds beside the weights: all that decides what the rest of the run will do.

The network's tensors have their own names, so the file opens as a model; the rest begin with "training.":
the optimiser's, the EMA's, the states of torch's random generators. Numbers stand as JSON in the header.
Nothing in training draws from Python's or numpy's global generators; images have generators of their own,
which follow from the seed and the position in the stream.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from boxwright.data.augment import Augment
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.foreign import reading
from boxwright.manifest import Manifest
from boxwright.modelfile import Description, ModelFile, TensorFile, read_file, write_model
from boxwright.training.ema import Ema
from boxwright.training.optim import build_optimiser
from boxwright.training.precision import Precision
from boxwright.training.settings import DescentSettings, TrainSettings

Net = TypeVar("Net", bound=nn.Module)

PREFIX = "training."
"""How the names of tensors begin that are not the network's."""

NEUTRAL = frozenset({"workers", "cache", "save_minutes", "log_every", "bad_images"})
"""Settings that may differ between a run and its continuation, because they change no weight."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        iteration: iterations done.
        position: images taken from the stream.
        best: the best validation figure, or None before the first validation.
        runner_up: the figure that decides between equal ones, as it was then.
        best_iteration: after how many iterations it was measured.
        stale: validations since then.
        validated: the iteration after which the last validation was made; -1 before the first.
        seconds: time spent, over all parts of the run.
        since: sums of losses and the like since the last validation, for its row of `metrics.csv`.
        first: the losses of the first steps.
        warnings: what a person should know of the run when it is over.
    """

    iteration: int = 0
    position: int = 0
    best: float | None = None
    runner_up: float = 0.0
    best_iteration: int = -1
    stale: int = 0
    validated: int = -1
    seconds: float = 0.0
    since: dict[str, float] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, figure: float, runner_up: float) -> bool:
        """Take in a validation's figures; True if it is the best so far. A figure of nan is the worst."""
        self.validated = self.iteration
        figure, runner_up = (-math.inf if math.isnan(value) else value for value in (figure, runner_up))
        if self.best is not None and (figure, runner_up) <= (self.best, self.runner_up):
            self.stale += 1
            return False
        self.best, self.runner_up, self.best_iteration, self.stale = figure, runner_up, self.iteration, 0
        return True


@dataclass(frozen=True)
class Moving(Generic[Net]):
    """The parts of a run that change as it goes on."""

    net: Net
    optimiser: torch.optim.Optimizer
    ema: Ema[Net] | None
    precision: Precision
    progress: Progress

    @property
    def best_net(self) -> Net:
        """The weights that are validated and kept: the EMA's where there is one."""
        return self.ema.net if self.ema else self.net


def begin(net: Net, settings: DescentSettings, device: torch.device) -> Moving[Net]:
    """The moving parts of a run that has not begun."""
    return Moving(
        net=net,
        optimiser=build_optimiser(net, settings),
        ema=Ema(net, settings.ema, settings.ema_ramp) if settings.ema else None,
        precision=Precision(device, settings.amp),
        progress=Progress(),
    )


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    """A network's parameters and buffers by name."""
    return {name: _array(value) for name, value in net.state_dict().items()}


def tensors(file: ModelFile | TensorFile) -> dict[str, Tensor]:
    """A file's tensors by name: what `arrays` gave when it was written."""
    return {name: torch.from_numpy(value) for name, value in file.tensors.items()}


def write_last(path: Path, moving: Moving[Any], description: Description, facts: dict[str, Any]) -> None:
    """Write all that is needed to go on; the file before it stays as `last.previous.safetensors`.

    Args:
        path: the file.
        moving: what changes.
        description: the model's.
        facts: what must be the same when the run goes on (see `facts`).
    """
    tensors = arrays(moving.net)
    names = {id(parameter): name for name, parameter in moving.net.named_parameters()}
    for parameter, state in moving.optimiser.state.items():
        for key, value in state.items():
            if value is not None:
                tensors[f"{PREFIX}optimiser.{names[id(parameter)]}:{key}"] = _array(value)
    if moving.ema is not None:
        tensors |= {f"{PREFIX}ema.{name}": value for name, value in arrays(moving.ema.net).items()}
    tensors[f"{PREFIX}rng.cpu"] = _array(torch.get_rng_state())
    if moving.precision.device.type == "cuda":
        tensors[f"{PREFIX}rng.cuda"] = _array(torch.cuda.get_rng_state(moving.precision.device))
    values = {
        "progress": asdict(moving.progress),
        "scaler": moving.precision.state(),
        "updates": moving.ema.updates if moving.ema else 0,
        "facts": facts,
    }
    previous = path.with_name(f"{path.stem}.previous{path.suffix}")
    write_model(path, tensors, description, extra={"training": json.dumps(values)}, keep=previous)


def read_last(path: Path, moving: Moving[Any], facts: dict[str, Any]) -> None:
    """Put a run's state back into freshly built parts.

    Args:
        path: what `write_last` wrote.
        moving: receives everything; built with the same settings.
        facts: of the present call.

    Raises:
        InputError: missing or damaged, not of a training run, or of one with other settings or data.
    """
    file = read_file(path)
    if "training" not in file.extra:
        raise InputError(
            "holds a model but no training state", path=path, hint="resume from last.safetensors"
        )
    with reading(path, "state of this model", again="resume with the model that began the run"):
        values = json.loads(file.extra["training"])
        compare(dict(values["facts"]), facts, path)
        _restore(file, values, moving)


def recorded_facts(file: ModelFile, path: Path, *, again: str) -> dict[str, Any]:
    """The facts that `write_model` was given for the first weights of a run in stages.

    Raises:
        InputError: there are none, or they are damaged; `again` is the way out.
    """
    with reading(path, "file of a run's first weights", again=again):
        found: dict[str, Any] = dict(json.loads(file.extra["facts"]))
    return found


SINCE = frozenset({"processes", "norms"})
"""Facts that runs of version 0.1 do not state."""


def facts(
    settings: TrainSettings, augment: Augment, manifest: Manifest, train: Dataset, val: Dataset
) -> dict[str, Any]:
    """What a run and its continuation must agree on, as JSON values."""
    values = {f"train.{key}": value for key, value in asdict(settings).items() if key not in NEUTRAL}
    values |= {f"augment.{key}": value for key, value in asdict(augment).items()}
    values |= {f"model.{key}": value for key, value in manifest.settings.items()}
    values |= {"model": manifest.recipe, "classes": manifest.classes}
    values |= {"the training images": _fingerprint(train), "the validation images": _fingerprint(val)}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def compare(then: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """See that a continuation is one of the run that it continues.

    Args:
        then: what `facts` gave when the run began.
        now: what it gives for the present call.
        path: where the former stood, for the message.

    Raises:
        InputError: they differ; says in what.
    """
    # How many processes there are decides other facts, so it is named before them.
    for key in sorted({*then, *now}, key=lambda key: (key != "processes", key)):
        if key in SINCE and key not in then:
            continue
        if then.get(key) != now.get(key):
            if key.startswith("the "):
                raise InputError(f"{key} have changed since the run began", path=path, hint="begin a new run")
            raise InputError(
                f"{key} was {then.get(key)!r} in this run and is {now.get(key)!r} now",
                path=path,
                hint="resume with the same options, or begin a new run from best.safetensors",
            )


_KINDS: dict[str, type | tuple[type, ...]] = {
    "best": (int, float, type(None)),
    "since": dict,
    "first": list,
    "warnings": list,
}
"""What the values of a progress are that are no numbers."""


def _restore(file: TensorFile, values: dict[str, Any], moving: Moving[Any]) -> None:
    own = {name: value for name, value in file.tensors.items() if not name.startswith(PREFIX)}
    moving.net.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
    parameters = dict(moving.net.named_parameters())
    for name, state in _under(file, "optimiser.").items():
        owner, _, key = name.rpartition(":")
        moving.optimiser.state[parameters[owner]][key] = _like(state, parameters[owner])
    if moving.ema is not None:
        moving.ema.net.load_state_dict(_under(file, "ema."))
        moving.ema.updates = values["updates"]
    moving.precision.restore(values["scaler"])
    for name, value in values["progress"].items():
        kind = _KINDS.get(name, (int, float))
        if not hasattr(moving.progress, name) or not isinstance(value, kind):
            raise TypeError(f"progress {name} of {value!r:.40}")
        setattr(moving.progress, name, value)
    torch.set_rng_state(_under(file, "rng.")["cpu"])
    if moving.precision.device.type == "cuda" and "cuda" in _under(file, "rng."):
        torch.cuda.set_rng_state(_under(file, "rng.")["cuda"], moving.precision.device)


def _under(file: TensorFile, kind: str) -> dict[str, Tensor]:
    start = PREFIX + kind
    return {
        k.removeprefix(start): torch.from_numpy(v) for k, v in file.tensors.items() if k.startswith(start)
    }


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A state tensor where the optimiser would have made it: beside its parameter, in the same layout."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _array(value: Tensor) -> np.ndarray:
    array: np.ndarray = value.detach().cpu().contiguous().numpy()
    return array


def _fingerprint(dataset: Dataset) -> str:
    """A hash over file names, boxes, labels and what is ignored; moving the folder does not change it."""
    digest = hashlib.sha256()
    for sample in dataset.samples:
        digest.update(sample.path.name.encode())
        for array in (sample.boxes, sample.labels, sample.ignore):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
