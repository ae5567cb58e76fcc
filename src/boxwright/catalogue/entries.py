"""The catalogue's rows: every recipe and every classifier with what it costs and what was published of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from boxwright.backbones.classifiers import CLASSIFIERS, ClassifierSpec
from boxwright.catalogue.counting import Cost, classifier_cost, recipe_cost
from boxwright.catalogue.published import Figure, figures
from boxwright.errors import InputError, near
from boxwright.loading import PACKAGED, packaged_names
from boxwright.modelfile import read_model
from boxwright.recipes import RECIPES, Recipe
from boxwright.weights import efficientnet_lite

Kind = Literal["detector", "classifier"]
Origin = Literal["packaged model", "torchvision file", "ImageNet, here", "ImageNet file", "unverified"]
"""A model that comes with boxwright; torchvision's published detector; ImageNet weights that are installed;
those of a published file; a foreign layout whose names are known, without outputs to be held against."""

COCO_CLASSES = 80
"""Detectors are counted with as many classes as COCO has."""

TORCHVISION_DETECTORS = {
    "ssd300-vgg16": "ssd300_vgg16",
    "ssdlite320-mobilenet-v3-large": "ssdlite320_mobilenet_v3_large",
    "retinanet-resnet50-fpn": "retinanet_resnet50_fpn",
    "retinanet-resnet50-fpn-v2": "retinanet_resnet50_fpn_v2",
    "faster-rcnn-resnet50-fpn": "fasterrcnn_resnet50_fpn",
    "faster-rcnn-resnet50-fpn-v2": "fasterrcnn_resnet50_fpn_v2",
    "faster-rcnn-mobilenet-v3-large-fpn": "fasterrcnn_mobilenet_v3_large_fpn",
    "faster-rcnn-mobilenet-v3-large-320-fpn": "fasterrcnn_mobilenet_v3_large_320_fpn",
}
"""Recipe -> the builder in torchvision whose published file it reads."""

FOREIGN = ("retinanet-resnet50-fpn", "retinanet-resnet101-fpn")
"""Recipes whose like detectron2 and mmdetection publish."""


@dataclass(frozen=True)
class Weights:
    """Where weights can come from.

    Attributes:
        origin: what kind of source.
        what: which model, package or file.
    """

    origin: Origin
    what: str


@dataclass(frozen=True)
class Entry:
    """One row.

    Attributes:
        name: of the recipe or classifier.
        kind: which of the two.
        family: classifiers that differ in size only share it; a detector's is "".
        summary: one line.
        source: paper.
        input: the network's input, such as "300" or, for free sizes, "800-1333" (shorter side, longest side).
        cost: parameters and operations.
        weights: where some can come from, the readiest first.
        published: accuracies that others published.
    """

    name: str
    kind: Kind
    family: str
    summary: str
    source: str
    input: str
    cost: Cost
    weights: tuple[Weights, ...]
    published: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        cost = values.pop("cost")
        return {**values, **cost, "gflops": self.cost.gflops}


def entries(kind: Kind | None = None) -> Iterator[Entry]:
    """Every row, detectors first; each is counted when it is asked for.

    Args:
        kind: only these.
    """
    if kind != "classifier":
        yield from (detector(recipe) for recipe in RECIPES.values() if recipe.task == "detect")
    if kind != "detector":
        yield from (classifier(name, spec) for name, spec in CLASSIFIERS.items())


def find_entry(name: str) -> Entry:
    """The row called `name`.

    Raises:
        InputError: there is none.
    """
    if name in CLASSIFIERS:
        return classifier(name, CLASSIFIERS[name])
    if name in RECIPES:
        return detector(RECIPES[name])
    raise InputError(f"no model {name!r}", hint=near(name, (*RECIPES, *CLASSIFIERS)))


def detector(recipe: Recipe) -> Entry:
    """A recipe's row, for COCO's number of classes."""
    size = recipe.build(1, recipe.settings).preprocess
    free = size.mode == "shorter-side"
    return Entry(
        recipe.name,
        "detector",
        "",
        recipe.summary,
        recipe.source,
        f"{size.size[0]}-{size.size[1]}" if free else f"{size.size[0]}",
        recipe_cost(recipe, recipe.settings, COCO_CLASSES),
        tuple(_recipe_weights(recipe)),
        figures(recipe.name, TORCHVISION_DETECTORS.get(recipe.name, "")),
    )


def classifier(name: str, spec: ClassifierSpec) -> Entry:
    """A classifier's row, for the classes of its own data set."""
    weights: list[Weights] = []
    number = name.removeprefix("efficientnet-lite")
    if number != name and (file := efficientnet_lite.packaged(int(number))) is not None:
        weights.append(Weights("ImageNet, here", file.name))
    if spec.torchvision:
        weights.append(Weights("ImageNet file", f"torchvision's {spec.torchvision}"))
    return Entry(
        name,
        "classifier",
        spec.family,
        f"{spec.family}, classifier of {spec.classes} classes",
        "",
        f"{spec.size}",
        classifier_cost(spec),
        tuple(weights),
        figures(name, spec.torchvision),
    )


def _recipe_weights(recipe: Recipe) -> Iterator[Weights]:
    for model, origin in _packaged():
        if origin == recipe.name:
            yield Weights("packaged model", model)
    if recipe.name in TORCHVISION_DETECTORS:
        yield Weights("torchvision file", f"{TORCHVISION_DETECTORS[recipe.name]}, COCO")
    file = recipe.pretrained.packaged()
    if file is not None:
        yield Weights("ImageNet, here", f"backbone: {file.name}")
    if recipe.pretrained.published is not None:
        yield Weights("ImageNet file", f"backbone: torchvision's {recipe.pretrained.published}")
    if recipe.name in FOREIGN:
        for library in ("detectron2", "mmdetection"):
            yield Weights(
                "unverified", f"boxwright weights import reads {library}'s, by what its sources say"
            )


@cache
def _packaged() -> tuple[tuple[str, str], ...]:
    """Each packaged model with its recipe."""
    files = ((name, PACKAGED / f"{name}.safetensors") for name in packaged_names())
    return tuple((name, read_model(file).manifest.recipe) for name, file in files)
