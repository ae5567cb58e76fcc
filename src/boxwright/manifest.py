"""What travels inside every model file beside the weights: enough to use them, and where they came from.

One JSON object, the same in a `.safetensors` checkpoint and in an exported graph, so that a file copied alone
to another machine still knows its classes, its preprocessing and its threshold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from boxwright.errors import InputError, near
from boxwright.foreign import reading
from boxwright.preprocess import Preprocess
from boxwright.regions.source import RegionSource, from_dict, to_dict

VERSION = 1
KEY = "boxwright"
"""Where the JSON stands in a file's metadata."""

_KEYS = ("version", "recipe", "settings", "classes", "ids", "preprocess", "score", "thresholds", "notes")
_OPTIONAL = "regions"
_LARGEST_ID = (1 << 63) - 1


@dataclass(frozen=True)
class Manifest:
    """A model's description.

    Attributes:
        recipe: the name that `boxwright.create` knows, such as "ssd300-vgg16".
        settings: the recipe's options that shape the network (input size, ...); JSON values.
        classes: names; a network's label is an index into this.
        ids: the training data's own class ids, parallel to `classes`.
        preprocess: from image to network input.
        score: detections below it are not shown unless another threshold is asked for.
        thresholds: per class the score with the best F1 on validation data, or empty.
        notes: provenance: data set, metrics, licence, boxwright version, date.
        regions: where the regions come from that the network judges; None where it finds its own.

    Raises:
        InputError: the parts disagree (a class without id, a threshold outside [0, 1], ...).

    >>> m = Manifest("ssd300-vgg16", {}, ("cat", "dog"), (7, 3), Preprocess((300, 300)))
    >>> Manifest.from_json(m.to_json()) == m
    True
    """

    recipe: str
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    preprocess: Preprocess
    score: float = 0.3
    thresholds: tuple[float, ...] = ()
    notes: Mapping[str, str | float] = field(default_factory=dict)
    regions: RegionSource | None = None

    def __post_init__(self) -> None:
        # As they come back from a file: tuples are lists there, and equal manifests should be equal.
        object.__setattr__(self, "settings", json.loads(json.dumps(dict(self.settings), allow_nan=False)))
        if not self.classes:
            raise InputError("a model without classes", hint="name at least one class")
        if len(self.ids) != len(self.classes) or len(set(self.ids)) != len(self.ids):
            raise InputError(
                f"{len(self.classes)} classes with ids {list(self.ids)}", hint="give one id per class"
            )
        if any(abs(identity) > _LARGEST_ID for identity in self.ids):
            raise InputError(f"class ids {list(self.ids)!s:.80}", hint="give ids of at most 63 bits")
        if self.thresholds and len(self.thresholds) != len(self.classes):
            raise InputError(
                f"{len(self.thresholds)} thresholds for {len(self.classes)} classes",
                hint="give one each, or none",
            )
        for value in (self.score, *self.thresholds):
            if not 0 <= value <= 1:
                raise InputError(f"score threshold {value}", hint="choose one in [0, 1]")

    def to_json(self) -> str:
        """One line of JSON, the same for equal manifests; `from_json` is the inverse."""
        values = {
            "version": VERSION,
            "recipe": self.recipe,
            "settings": dict(self.settings),
            "classes": self.classes,
            "ids": self.ids,
            "preprocess": self.preprocess.to_dict(),
            "score": self.score,
            "thresholds": self.thresholds,
            "notes": dict(self.notes),
        }
        if self.regions is not None:
            values[_OPTIONAL] = to_dict(self.regions)
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, path: Path | None = None) -> Manifest:
        """Read what `to_json` wrote.

        Args:
            text: the JSON.
            path: the file it was found in, for the error's text.

        Raises:
            InputError: not JSON, an unknown or missing key, a value of the wrong kind, a later version.
        """
        try:
            values = json.loads(text)
        except Exception as error:
            raise InputError(
                f"its description is not JSON ({error})", path=path, hint="save the model again"
            ) from error
        with reading(path, "model's description", again="save the model again"):
            return _from_values(values)


def _from_values(values: Any) -> Manifest:
    if not isinstance(values, dict):
        raise InputError("a model's description must be a JSON object", hint="save the model again")
    if type(version := values.get("version")) is int and version > VERSION:
        raise InputError(f"made by a later boxwright (version {version})", hint="update boxwright to read it")
    for key in values:
        if key not in (*_KEYS, _OPTIONAL):
            raise InputError(f"unknown key {key!r} in the model's description", hint=near(key, _KEYS))
    for key in _KEYS:
        if key not in values:
            raise InputError(f"the model's description has no {key!r}", hint="save the model again")

    def need(key: str, holds: bool, kind: str) -> Any:
        if not holds:
            raise InputError(
                f"{key!r} in the model's description must be {kind}", hint="save the model again"
            )
        return values[key]

    regions = values.get(_OPTIONAL)
    classes, ids, thresholds, notes = (values[k] for k in ("classes", "ids", "thresholds", "notes"))
    need("version", type(version) is int and version >= 1, "a positive whole number")
    return Manifest(
        recipe=need("recipe", isinstance(values["recipe"], str), "a name"),
        settings=need("settings", isinstance(values["settings"], dict), "an object"),
        classes=tuple(need("classes", _all(classes, lambda v: isinstance(v, str)), "a list of names")),
        ids=tuple(need("ids", _all(ids, lambda v: type(v) is int), "a list of whole numbers")),
        preprocess=Preprocess.from_dict(
            need("preprocess", isinstance(values["preprocess"], dict), "an object")
        ),
        score=float(need("score", _number(values["score"]), "a number")),
        thresholds=tuple(
            float(v) for v in need("thresholds", _all(thresholds, _number), "a list of numbers")
        ),
        regions=None
        if regions is None
        else from_dict(need(_OPTIONAL, isinstance(regions, dict), "an object")),
        notes=need(
            "notes",
            isinstance(notes, dict)
            and _all(list(notes.values()), lambda v: isinstance(v, str) or _number(v)),
            "an object of texts and numbers",
        ),
    )


def _number(value: object) -> TypeGuard[float]:
    """A finite JSON number; JSON's `true` is a Python int and is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _all(values: object, holds: Any) -> bool:
    return isinstance(values, list) and all(holds(v) for v in values)
