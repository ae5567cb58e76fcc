"""What a training run can be told: frozen records without torch, for recipes and the command line.

A detector's recipe carries one `TrainSettings`, another network's task a `DescentSettings`; the command line changes
single fields by `--set train.lr=0.01`. A key that does not exist is an error that names its neighbours, and a value is
read as its field's type says.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from boxwright.errors import InputError, near

Record = TypeVar("Record")

HELD_OUT = 0.15
"""The part of the training images that validates where no other images do."""


@dataclass(frozen=True)
class DescentSettings:
    """How any network descends. An iteration is one step of the optimiser.

    Attributes:
        epochs: passes over the training images.
        iterations: if positive, the length of the run in iterations; `epochs` then means nothing.
        minutes: if positive, the run ends after so many, if it has not before; the schedule is compressed to
            the time there is. What it gives then depends on the machine's speed.
        batch: images in one forward pass, over all processes together.
        accumulate: forward passes whose gradients are averaged into one iteration.
        optimiser: "sgd" (with `momentum`) or "adamw" (with betas (momentum, 0.999)).
        lr: learning rate after warm-up.
        momentum: of SGD; AdamW's first beta.
        weight_decay: of weights with two axes or more; norms are not decayed, biases as `bias_decay` says.
        bias_lr: factor on the learning rate of the biases of convolutions and linear layers; Caffe's detectors
            have 2.
        bias_decay: factor on the weight decay of those biases.
        backbone_lr: factor on the learning rate of the backbone's stages, for pretrained ones.
        warmup: iterations over which the learning rate rises linearly from 0; at most a quarter of the run.
        schedule: after warm-up: "cosine" down to `final_lr`, "steps" by `gamma` at `milestones`, "constant".
        milestones: parts of the run, in (0, 1), at which "steps" multiplies the learning rate by `gamma`.
        gamma: the factor of a step.
        final_lr: where "cosine" ends, as a part of `lr`.
        clip: largest norm of all gradients together; 0 does not clip.
        ema: decay of the running mean of the weights that is validated and kept as `best`; 0 keeps none.
        ema_ramp: iterations over which the decay grows: ema * (1 - exp(-iteration / ema_ramp)).
        freeze: the first stages of the backbone, from the stem on, that are not trained.
        freeze_norms: batch norms keep their statistics and are not trained.
        amp: mixed precision: "auto" (bfloat16 on GPUs and CPUs that compute in it, else float16 on GPUs and nothing
            on CPUs), "off", "bf16" or "fp16".
        channels_last: memory layout of images and weights.
        eval_every: epochs between validations; the last iteration is always validated.
        patience: validations without a better figure after which the run stops; 0 never stops.
        save_minutes: `last` is saved at every validation and whenever so many minutes have passed.
        log_every: iterations between lines in TensorBoard and, when not on a terminal, on the screen.
        threads: of torch on the CPU; 0 leaves torch's choice.
        seed: of order, augmentation and dropout; two runs with one seed on one machine are equal.
    """

    epochs: int = 60
    iterations: int = 0
    minutes: float = 0.0
    batch: int = 16
    accumulate: int = 1
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    bias_lr: float = 1.0
    bias_decay: float = 0.0
    backbone_lr: float = 1.0
    warmup: int = 500
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    milestones: tuple[float, ...] = (2 / 3, 5 / 6)
    gamma: float = 0.1
    final_lr: float = 0.01
    clip: float = 10.0
    ema: float = 0.0
    ema_ramp: int = 500
    freeze: int = 0
    freeze_norms: bool = False
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    eval_every: int = 1
    patience: int = 0
    save_minutes: float = 5.0
    log_every: int = 20
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name, low)
            if not low <= value <= high:
                limits = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
                raise InputError(f"train.{name} is {value!r}, must be {limits}")
        if self.lr <= 0:
            raise InputError(f"train.lr is {self.lr!r}, must be above 0")
        if any(not 0 < part < 1 for part in self.milestones):
            raise InputError(f"train.milestones is {self.milestones!r}, parts of the run between 0 and 1")

    def total(self, images: int) -> int:
        """Iterations of a run over so many images."""
        return self.iterations or math.ceil(self.epochs * images / self.images_per_iteration)

    @property
    def images_per_iteration(self) -> int:
        """Images that one step of the optimiser sees."""
        return self.batch * self.accumulate

    def epoch(self, iteration: int, images: int) -> float:
        """Passes over so many training images after so many iterations."""
        return iteration * self.images_per_iteration / images

    def validates(self, iteration: int, images: int) -> bool:
        """Whether a validation follows this iteration: each `eval_every` epochs and at the end."""
        before, now = (int(self.epoch(done, images) / self.eval_every) for done in (iteration - 1, iteration))
        return iteration > 0 and (now > before or iteration == self.total(images))


@dataclass(frozen=True)
class TrainSettings(DescentSettings):
    """How a detector is trained.

    Attributes:
        select: the validation figure that chooses `best` and stops early.
        train_on_difficult: objects that are marked difficult are learnt as all others are (SSD's released code);
            else they are neither objects nor background. Validation never counts them.
        bad_images: what an unreadable image does: "error" ends the run, "skip" leaves it out and lists it.
        proposals: the file with the images' regions, for detectors that judge given ones; "" makes one in the run's
            folder.
        workers: processes that decode and augment; 0 does it in the main process, -1 chooses by the cores.
        cache: keep decoded images in memory when all of them fit into one gigabyte, all workers together.
    """

    select: Literal["AP", "AP50", "accuracy"] = "AP50"
    train_on_difficult: bool = False
    bad_images: Literal["error", "skip"] = "error"
    proposals: str = ""
    workers: int = -1
    cache: bool = True


_INF = math.inf
_RANGES = (
    ("epochs", 1, _INF),
    ("iterations", 0, _INF),
    ("minutes", 0, _INF),
    ("batch", 1, _INF),
    ("accumulate", 1, _INF),
    ("lr", 0, _INF),
    ("momentum", 0, 1),
    ("weight_decay", 0, _INF),
    ("bias_lr", 0, _INF),
    ("bias_decay", 0, _INF),
    ("backbone_lr", 0, _INF),
    ("warmup", 0, _INF),
    ("gamma", 0, 1),
    ("final_lr", 0, 1),
    ("clip", 0, _INF),
    ("ema", 0, 1),
    ("ema_ramp", 1, _INF),
    ("freeze", 0, _INF),
    ("eval_every", 1, _INF),
    ("patience", 0, _INF),
    ("save_minutes", 0, _INF),
    ("log_every", 1, _INF),
    ("workers", -1, 1024),
    ("threads", 0, 1024),
    ("seed", 0, 2**63 - 1),
)


def changed(record: Record, changes: Mapping[str, str], *, name: str) -> Record:
    """A settings record with some fields replaced by what a person typed.

    Args:
        record: any frozen dataclass of settings; a field that is itself one is reached by a dot.
        changes: field name -> text; the text is read as the field's type says.
        name: what the record is called, for the errors ("train").

    Raises:
        InputError: no such field (with the near names), or a text that is not of the field's type.

    >>> changed(TrainSettings(), {"lr": "0.01", "milestones": "0.5,0.9"}, name="train").milestones
    (0.5, 0.9)
    """
    if not is_dataclass(record) or isinstance(record, type):
        raise TypeError(f"{record!r} is not a dataclass instance")
    known = [field.name for field in fields(record)]
    hints = get_type_hints(type(record))
    values: dict[str, Any] = {}
    for key, text in changes.items():
        head, _, rest = key.partition(".")
        if head not in known:
            raise InputError(f"{name} has no setting {head!r}", hint=near(head, known))
        inner = values.get(head, getattr(record, head))
        if rest:
            if not is_dataclass(inner):
                raise InputError(
                    f"{name}.{head} has no settings of its own", hint=f"set {name}.{head} itself"
                )
            values[head] = changed(inner, {rest: text}, name=f"{name}.{head}")
        else:
            values[head] = _parse(text, hints[head], f"{name}.{head}")
    return replace(record, **values)


def sorted_changes(changes: Sequence[str], groups: Sequence[str]) -> dict[str, dict[str, str]]:
    """What a person typed as `--set group.key=value`, by group.

    Raises:
        InputError: not of that form, or no such group.

    >>> sorted_changes(["train.lr=0.01", "augment.scale=0.5,2"], ["train", "augment", "model"])
    {'train': {'lr': '0.01'}, 'augment': {'scale': '0.5,2'}, 'model': {}}
    """
    found: dict[str, dict[str, str]] = {group: {} for group in groups}
    for change in changes:
        place, equals, value = change.partition("=")
        group, dot, key = place.strip().partition(".")
        if not equals or not dot or not key:
            raise InputError(
                f"--set {change} is not of the form group.key=value", hint="such as train.lr=0.01"
            )
        if group not in found:
            raise InputError(f"--set {change}: no group {group!r}", hint=near(group, groups))
        found[group][key] = value.strip()
    return found


def _parse(text: str, kind: Any, name: str) -> Any:
    """`text` as a value of the annotated type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
        raise InputError(f"{name} cannot be {text!r}", hint=near(text, map(str, arguments)))
    if origin in (Union, types.UnionType):
        if type(None) in arguments and text.lower() in ("none", "null"):
            return None
        return _first_that_fits(text, [kind for kind in arguments if kind is not type(None)], name)
    if origin is tuple:
        # Tuples of tuples are written 1;2,3;2,3.
        mark = ";" if get_origin(arguments[0]) is tuple else ","
        parts = [part.strip() for part in text.strip("()[] ").split(mark) if part.strip()]
        inner = [arguments[0]] * len(parts) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(parts):
            raise InputError(
                f"{name} needs {len(inner)} values separated by commas, {text!r} has {len(parts)}"
            )
        return tuple(_parse(part, kind, name) for part, kind in zip(parts, inner, strict=True))
    if kind is bool:
        words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False}
        if text.lower() in (*words, "0"):
            return words.get(text.lower(), False)
        raise InputError(f"{name} is yes or no, not {text!r}")
    if kind is str:
        return text
    if kind in (int, float):
        return _number(text, kind, name)
    raise InputError(f"{name} cannot be set from text", hint="set it in Python")


def _number(text: str, kind: type[int] | type[float], name: str) -> int | float:
    try:
        number: int | float = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise InputError(f"{name} is {what}, not {text!r}") from None
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite, not {text!r}")
    return number


def _first_that_fits(text: str, kinds: list[Any], name: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _parse(text, kind, name)
        except InputError:
            continue
    return _parse(text, kinds[-1], name)
