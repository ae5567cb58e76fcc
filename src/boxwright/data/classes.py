"""Which classes count, and what they are called: where data sets and models differ in their classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from boxwright.data.records import Dataset, Sample
from boxwright.errors import InputError, near
from boxwright.results import Result

SHARED = "shared"
_NAMED = 8
"""Classes that a line names."""


@dataclass(frozen=True)
class ClassChoice:
    """What a person says of the classes of a data set; by default nothing.

    Attributes:
        classes: names between commas, or "shared" (those that data and model both have); None for all.
        renames: "OLD=NEW" each: objects of the data set's class OLD are of class NEW.
    """

    classes: str | None = None
    renames: tuple[str, ...] = ()


EVERYTHING = ClassChoice()


@dataclass(frozen=True)
class Matched:
    """A data set whose labels count a model's classes, or those chosen of them.

    Attributes:
        dataset: the images; objects of other classes are left out.
        columns: of each of its classes, the model's index.
        notes: a line about names that differ in writing, and one about what is left out.
    """

    dataset: Dataset
    columns: Int64[np.ndarray, " class"]
    notes: tuple[str, ...] = ()

    def seen(self, result: Result) -> Result:
        """What a model found, of these classes only, with labels that count them."""
        place = np.full(max((*self.columns.tolist(), *result.index.tolist()), default=0) + 1, -1, np.int64)
        place[self.columns] = np.arange(len(self.columns))
        index = place[result.index]
        kept = index >= 0
        return replace(result[kept], index=index[kept])


class Names:
    """Class names, found as they are written or, if only one is meant, without regard to case and separators.

    >>> names = Names(["traffic light", "Car", "car"])
    >>> names.find("Traffic_Light"), names.find("car"), names.find("CAR"), names.find("bus")
    (0, 2, None, None)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._exact = {name: index for index, name in reversed(list(enumerate(self.names)))}
        self._alike: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            self._alike.setdefault(plainly(name), []).append(index)

    def find(self, name: str) -> int | None:
        """The index of a name; None if there is none, or several would be meant."""
        if name in self._exact:
            return self._exact[name]
        alike = self._alike.get(plainly(name), [])
        return alike[0] if len(alike) == 1 else None


def plainly(name: str) -> str:
    """A name without what people write differently: case, Unicode form, and spaces, underscores or hyphens.

    >>> plainly("Traffic_Light") == plainly(" traffic-light") == plainly("TRAFFIC  LIGHT")
    True
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(text.replace("_", " ").replace("-", " ").split()) or text


def with_classes(dataset: Dataset, classes: Sequence[str], ids: Sequence[int]) -> Dataset:
    """The same images with labels that count another list of classes, such as a model's; names decide.

    Args:
        dataset: any of whose classes may be missing where no object has them.
        classes: the names.
        ids: parallel to `classes`.

    Raises:
        InputError: an object has a class that is not in the list.
    """
    return match_classes(dataset, classes, ids).dataset


def match_classes(
    dataset: Dataset, classes: Sequence[str], ids: Sequence[int], choice: ClassChoice = EVERYTHING
) -> Matched:
    """The data set with labels that count a model's classes, or those chosen of them.

    Names are compared exactly, and where that finds nothing as `Names` does.

    Args:
        dataset: the images.
        classes: the model's names.
        ids: parallel to `classes`.
        choice: which classes to keep, and what those of the data set are called in the model.

    Raises:
        InputError: an object has a class that the model lacks, and nothing was said of it; a choice of classes
            that are not there.
    """
    classes, ids = tuple(classes), tuple(ids)
    if (dataset.classes, dataset.ids, choice) == (classes, ids, EVERYTHING):
        return Matched(dataset, np.arange(len(classes)))
    known = Names(classes)
    renames = _renames(dataset, choice)
    wanted = [renames.get(name, name) for name in dataset.classes]
    for old, new in renames.items():
        if known.find(new) is None:
            raise InputError(f"--map {old}={new}: the model has no class {new!r}", hint=near(new, classes))
    there = [known.find(name) for name in wanted]
    columns = _columns(dataset, known, there, choice)
    place = {column: index for index, column in enumerate(columns)}
    mapping = np.array([-1 if column is None else place.get(column, -1) for column in there], np.int64)
    if choice.classes is None:
        _refuse_unknown(dataset, mapping, classes)
    kept, left = _relabelled(dataset, mapping)
    kept = replace(kept, classes=tuple(classes[c] for c in columns), ids=tuple(ids[c] for c in columns))
    alike = [
        f"{name} ({classes[column]})"
        for name, column in zip(wanted, there, strict=True)
        if column is not None and column in place and classes[column] != name
    ]
    notes = [f"The model writes these classes differently: {_listed(alike)}."] if alike else []
    if choice.classes is not None:
        notes.append(_counted(dataset, kept, left, kept.classes))
    return Matched(kept, np.array(columns, np.int64), tuple(notes))


def choose_classes(dataset: Dataset, choice: ClassChoice) -> tuple[Dataset, tuple[str, ...]]:
    """The data set with its classes renamed, and with only those that are wanted; no model is asked.

    Classes of one name after renaming become one, with the id of the class that had the name, or else of the
    first. Objects of classes that are not wanted are left out; a line says how many.

    Raises:
        InputError: a class that is not there, or `shared`, which asks for a model.
    """
    if choice == EVERYTHING:
        return dataset, ()
    if choice.classes == SHARED:
        raise InputError("--classes shared needs a model to share them with", hint="name the classes")
    renames, known = _renames(dataset, choice), Names(dataset.classes)

    def target(name: str) -> str:
        new = renames.get(name, name)
        same = known.find(new)
        return new if same is None or known.names[same] in renames else known.names[same]

    targets = [target(name) for name in dataset.classes]
    own = {new: i for name, new, i in zip(dataset.classes, targets, dataset.ids, strict=True) if name == new}
    ids = {new: own.get(new, i) for new, i in reversed(list(zip(targets, dataset.ids, strict=True)))}
    names = tuple(dict.fromkeys(targets))
    if choice.classes is not None:
        names = _wanted(choice.classes, Names(names), "the data set")
    place = {name: index for index, name in enumerate(names)}
    kept, left = _relabelled(dataset, np.array([place.get(new, -1) for new in targets], np.int64))
    kept = replace(kept, classes=names, ids=tuple(ids[name] for name in names))
    return kept, () if choice.classes is None else (_counted(dataset, kept, left, names),)


def _renames(dataset: Dataset, choice: ClassChoice) -> dict[str, str]:
    """Old name to new name, of what was said as OLD=NEW; a name may hold "=" itself."""
    known = Names(dataset.classes)
    found: dict[str, str] = {}
    for said in choice.renames:
        cuts = [(said[:i].strip(), said[i + 1 :].strip()) for i, sign in enumerate(said) if sign == "="]
        cuts = [(old, new) for old, new in cuts if old and new]
        if not cuts:
            raise InputError(f"--map {said!r} is not of the form OLD=NEW", hint="such as --map car=vehicle")
        places = [(known.find(old), new) for old, new in cuts]
        place, new = next(((p, new) for p, new in places if p is not None), (None, ""))
        if place is None:
            raise InputError(
                f"--map {said}: the data set has no class {cuts[0][0]!r}", hint=near(cuts[0][0], known.names)
            )
        if found.setdefault(known.names[place], new) != new:
            raise InputError(f"--map gives {known.names[place]!r} two names", hint="give it one")
    return found


def _columns(
    dataset: Dataset, known: Names, there: Sequence[int | None], choice: ClassChoice
) -> Sequence[int]:
    """The model's classes that count, ascending."""
    if choice.classes is None:
        return range(len(known.names))
    if choice.classes == SHARED:
        shared = sorted({column for column in there if column is not None})
        if not shared:
            raise InputError(
                f"the data set's classes ({_listed(dataset.classes)}) and the model's "
                f"({_listed(known.names)}) have none in common",
                path=dataset.root,
                hint="--map OLD=NEW says which class of the model each of the data set's is",
            )
        return shared
    wanted = set(_wanted(choice.classes, known, "the model"))
    return [index for index, name in enumerate(known.names) if name in wanted]


def _wanted(said: str, known: Names, whose: str) -> tuple[str, ...]:
    """The names in a list between commas; a name may hold commas if it stands alone."""
    alone = known.find(said.strip())
    parts = [part.strip() for part in said.split(",") if part.strip()] if alone is None else [said.strip()]
    if not parts:
        raise InputError("--classes names no class", hint=near("", known.names))
    found: dict[str, None] = {}
    for part in parts:
        index = known.find(part)
        if index is None:
            raise InputError(f"--classes: {whose} has no class {part!r}", hint=near(part, known.names))
        found[known.names[index]] = None
    return tuple(found)


def _refuse_unknown(dataset: Dataset, mapping: Int64[np.ndarray, " class"], classes: Sequence[str]) -> None:
    """Raise where an object's class is not in the model."""
    lost: Counter[str] = Counter()
    first: Sample | None = None
    for sample in dataset:
        unknown = sample.labels[mapping[sample.labels] < 0]
        first = first or (sample if len(unknown) else None)
        lost.update(dataset.classes[label] for label in unknown.tolist())
    if first is None:
        return
    name, number = next(iter(lost)), sum(lost.values())
    raise InputError(
        f"{number} object{'s have' if number > 1 else ' has'} a class that the model lacks: {_numbered(lost)}",
        path=first.path,
        hint=f"--map {name!r}=NEW says which class of the model it is ({near(name, classes)}), --classes shared "
        "keeps to the classes that both have",
    )


def _relabelled(dataset: Dataset, mapping: Int64[np.ndarray, " class"]) -> tuple[Dataset, Counter[str]]:
    """The objects whose class has a place in `mapping`, and how many others there are by name.

    Of labelled images (one label on all of it) those without a label go altogether.
    """
    left: Counter[str] = Counter()
    samples = []
    for sample in dataset:
        labels = mapping[sample.labels]
        kept = labels >= 0
        if kept.all():
            samples.append(replace(sample, labels=labels))
            continue
        left.update(dataset.classes[label] for label in sample.labels[~kept].tolist())
        if kept.any() or not dataset.labelled:
            samples.append(replace(_only(sample, np.flatnonzero(kept)), labels=labels[kept]))
    return replace(dataset, samples=tuple(samples)), left


def _only(sample: Sample, rows: Int64[np.ndarray, " kept"]) -> Sample:
    """The sample with some of its objects."""

    def some(values: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(values[row] for row in rows.tolist()) if values else values

    return replace(
        sample,
        boxes=sample.boxes[rows],
        labels=sample.labels[rows],
        crowd=sample.crowd[rows],
        difficult=sample.difficult[rows],
        areas=sample.areas[rows],
        masks=some(sample.masks),
        object_ids=some(sample.object_ids),
        attributes=some(sample.attributes),
    )


def _counted(before: Dataset, after: Dataset, left: Mapping[str, int], classes: Sequence[str]) -> str:
    """The line that says which classes count, and what is left out."""
    objects = sum(len(sample.labels) for sample in before)
    line = f"Classes that count: {_listed(classes)}. "
    if not left:
        return line + "Nothing is left out."
    gone = len(before) - len(after)
    emptied = sum(bool(len(sample.labels)) for sample in before) - sum(
        bool(len(sample.labels)) for sample in after
    )
    images = (
        f"{gone} of {len(before)} images are left out"
        if before.labelled
        else f"{emptied} of {len(before)} images have no object any more"
    )
    return line + f"{sum(left.values())} of {objects} objects are left out ({_numbered(left)}); {images}."


def _numbered(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return _listed([f"{name} {number}" for name, number in ordered])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
