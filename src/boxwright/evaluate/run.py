"""From a model and a data set to a report: detect on every image, then measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from boxwright.data.classes import EVERYTHING, ClassChoice, match_classes
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.evaluate.report import Report, evaluate
from boxwright.manifest import Manifest
from boxwright.predict import Predictor, Propose
from boxwright.results import Result

Watch = Callable[[Iterable[Any]], Iterator[Any]]
"""Passes items through; a progress bar, for instance."""


@runtime_checkable
class Detector(Protocol):
    """What is asked of a model: `boxwright.model.Model` and an exported graph both have it."""

    @property
    def manifest(self) -> Manifest:
        """Classes, ids, threshold, recipe."""
        ...

    def predictor(self, propose: Propose | None = None) -> Predictor:
        """What streams images through the network."""
        ...


def evaluate_model(
    model: Detector,
    dataset: Dataset,
    *,
    batch: int = 8,
    classes: ClassChoice = EVERYTHING,
    threshold: float | None = None,
    score_floor: float = 0.0,
    policy: Literal["error", "skip"] = "error",
    facts: dict[str, str] | None = None,
    propose: Propose | None = None,
    watch: Watch = iter,
) -> Report:
    """Detect on a data set's images with a model, and measure.

    Args:
        model: any model; its classes are matched with the data set's by name, if need be without regard to case
            and to spaces, underscores and hyphens.
        dataset: the images and what is annotated on them.
        batch: images that the network sees at once.
        classes: the classes that count, where the data set's and the model's differ. Objects and detections of
            others are left out, and the report's notes say how many objects.
        threshold: the score from which a detection counts in precision, recall and the pictures; None is the
            model's own.
        score_floor: leave out weaker detections altogether. Average precision needs them: 0 keeps all.
        policy: an image that cannot be read stops the evaluation ("error"), or is left out and
            listed ("skip").
        facts: what else to say of the model, such as its file.
        propose: knows the images' regions, for a network that judges given ones; its own source if not given.
        watch: sees every result pass.

    Raises:
        InputError: an object has a class that the model lacks and nothing is said of it, or an image cannot be read.
    """
    manifest = model.manifest
    matched = match_classes(dataset, manifest.classes, manifest.ids, classes)
    known = matched.dataset
    began = time.perf_counter()
    stream = model.predictor(propose).stream(
        [sample.path for sample in known],
        score_floor,
        batch=batch,
        on_error="skip" if policy == "skip" else "raise",
    )
    results, read, broken = [], [], []
    for place, found in enumerate(watch(stream)):
        if isinstance(found, Result):
            results.append(matched.seen(found))
            read.append(place)
        else:
            broken.append(found[0])
    seconds = time.perf_counter() - began
    if not results:
        raise InputError("no image could be read", path=dataset.root, hint="run boxwright check on it")
    return evaluate(
        known.subset(read),
        results,
        model_facts={"recipe": manifest.recipe, **(facts or {})},
        threshold=manifest.score if threshold is None else threshold,
        speed={"images per second, file to boxes": len(results) / seconds, "images at once": batch},
        notes=[*matched.notes, *([_left_out(broken)] if broken else [])],
    )


def _left_out(broken: Sequence[Path]) -> str:
    named = ", ".join(path.name for path in broken[:5]) + (", ..." if len(broken) > 5 else "")
    return f"Images that could not be read and are left out: {len(broken)} ({named})."
