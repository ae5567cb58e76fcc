"""What is compared: recipes with changed settings. The ablations that made the papers are a literal table here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from boxwright.data.augment import Augment
from boxwright.errors import InputError, near
from boxwright.recipes import find
from boxwright.training.settings import TrainSettings, changed, sorted_changes

GROUPS = ("train", "augment", "model")


@dataclass(frozen=True)
class Variant:
    """A recipe, perhaps changed.

    Attributes:
        label: how it is called in tables and folders.
        recipe: its name; "" in an ablation that stands on any recipe.
        changes: settings as `--set` has them, "group.key=value"; of two for one key the later one holds.
    """

    label: str
    recipe: str
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", self.label):
            raise InputError(
                f"{self.label!r} cannot be the name of a variant",
                hint="use letters, digits, dots and hyphens: it also names a folder",
            )


@dataclass(frozen=True)
class Settings:
    """A variant's settings once they are read.

    Attributes:
        train, augment: how it is trained.
        model: the recipe's own settings record.
        changed: names of the model's settings that are not the recipe's.
    """

    train: TrainSettings
    augment: Augment
    model: Any
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """An experiment of a paper.

    Attributes:
        question: what it asks, and where the paper's own answer stands.
        recipe: what it stands on when no other recipe is named; "" where each variant names its own.
        variants: what is compared.
    """

    question: str
    recipe: str
    variants: tuple[Variant, ...]


ABLATIONS: dict[str, Ablation] = {
    "focal": Ablation(
        "Does the focal loss do more than cross entropy or hard negatives, and what does the prior bias do? "
        "(Lin et al. 2017, table 1 a, b and d)",
        "retinanet-efficientnet-lite0-fpn",
        (
            Variant("focal", "", ("model.classification=focal",)),
            Variant(
                "cross-entropy-prior-.01",
                "",
                ("model.classification=cross-entropy", "model.alpha=none", "model.prior=0.01"),
            ),
            Variant(
                "cross-entropy-prior-.5",
                "",
                ("model.classification=cross-entropy", "model.alpha=none", "model.prior=0.5"),
            ),
            Variant(
                "hard-negatives-prior-.01",
                "",
                ("model.classification=hard-negatives", "model.alpha=none", "model.prior=0.01"),
            ),
            Variant(
                "hard-negatives-prior-.5",
                "",
                ("model.classification=hard-negatives", "model.alpha=none", "model.prior=0.5"),
            ),
            # Gamma with the alpha that the paper found best for it.
            Variant("gamma-0-alpha-.75", "", ("model.gamma=0", "model.alpha=0.75")),
            Variant("gamma-.5-alpha-.5", "", ("model.gamma=0.5", "model.alpha=0.5")),
            Variant("gamma-1-alpha-.25", "", ("model.gamma=1", "model.alpha=0.25")),
            Variant("gamma-5-alpha-.25", "", ("model.gamma=5", "model.alpha=0.25")),
        ),
    ),
    "fpn": Ablation(
        "Do fine levels gain from what coarse ones know? (Lin et al. 2017, Feature pyramid networks, table 1)",
        "retinanet-efficientnet-lite0-fpn",
        (
            Variant("top-down", "", ("model.top_down=true",)),
            Variant("no-top-down", "", ("model.top_down=false",)),
        ),
    ),
    "ssd": Ablation(
        "What do SSD's augmentation, its atrous fc6 and its source layers give? (Liu et al. 2016, tables 2 and 3)",
        "ssd300-vgg16",
        (
            Variant("ssd", ""),
            # The paper's "no data augmentation" still flips, as Fast R-CNN's training did.
            Variant(
                "flips-only",
                "",
                (
                    "augment.distort=0",
                    "augment.zoom_out=0",
                    "augment.scale=1,1",
                    "augment.crop=0",
                    "augment.flip_horizontal=0.5",
                ),
            ),
            Variant("no-atrous", "", ("model.atrous=false",)),
            # As the paper does, fewer source layers still cover boxes of all sizes: the scales are laid out anew.
            Variant(
                "sources-5",
                "",
                ("model.ratios=2;2,3;2,3;2,3;2", "model.scales=0.1,0.2,0.4125,0.625,0.8375,1.05"),
            ),
            Variant(
                "sources-4", "", ("model.ratios=2;2,3;2,3;2,3", "model.scales=0.1,0.2,0.4833,0.7667,1.05")
            ),
            Variant("sources-3", "", ("model.ratios=2;2,3;2,3", "model.scales=0.1,0.2,0.625,1.05")),
            Variant("sources-2", "", ("model.ratios=2;2,3", "model.scales=0.1,0.2,1.05")),
        ),
    ),
    "depth": Ablation(
        "Does a deeper net train better, without shortcuts and with them? (He et al. 2016, figure 6)",
        "",
        (
            Variant("plain20", "cifar-plain20"),
            Variant("plain56", "cifar-plain56"),
            Variant("resnet20", "cifar-resnet20"),
            Variant("resnet56", "cifar-resnet56"),
        ),
    ),
}


def parse(texts: Sequence[str]) -> tuple[Variant, ...]:
    """Variants as a person types them.

    Args:
        texts: each "a,b,c", where each part is a recipe, with a label before it and changes behind it if wished:
            "label=recipe:group.key=value:group.key=value". A comma within a list of numbers parts nothing.

    Raises:
        InputError: an unknown recipe, a change that is none, or two variants of one name.

    >>> parse(["ssd300-vgg16,wide=ssd512-vgg16:augment.scale=0.5,2:train.epochs=5"])[1]
    Variant(label='wide', recipe='ssd512-vgg16', changes=('augment.scale=0.5,2', 'train.epochs=5'))
    """
    parts: list[str] = []
    for piece in (piece for text in texts for piece in text.split(",")):
        # No recipe is called like a number, and lists hold nothing but numbers.
        if parts and re.fullmatch(r"[\d.;e+\s-]+|none", piece.partition(":")[0]):
            parts[-1] += f",{piece}"
        elif piece.strip():
            parts.append(piece.strip())
    variants = tuple(_one(part) for part in parts)
    labels = [variant.label for variant in variants]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"two variants are called {label!r}", hint=f"name them: LABEL={label}:...")
    return variants


def chosen(
    models: Sequence[str], ablation: str | None, common: Sequence[str], given: Sequence[Variant] = ()
) -> tuple[Variant, ...]:
    """All that is to be compared.

    Args:
        models: what `parse` takes; with an ablation at most one, on which it stands.
        ablation: a name in `ABLATIONS`, or None.
        common: changes of all variants, which a variant's own changes overrule.
        given: variants that are compared in any case, before those that are named; one that is named as one of
            these takes its place.

    Raises:
        InputError: nothing to compare, names that are unknown, settings that a recipe has not.
    """
    named = parse(models)
    if ablation is not None:
        named = _ablated(ablation, named)
    own = {one.label: one for one in named}
    named = (*(own.pop(one.label, one) for one in given), *own.values())
    if not named:
        raise InputError("nothing to compare", hint="name recipes by --models a,b or choose an --ablation")
    variants = tuple(replace(one, changes=(*common, *one.changes)) for one in named)
    for variant in variants:
        settings(variant)
    return variants


def settings(variant: Variant, seed: int = 0) -> Settings:
    """A variant's settings with this seed.

    Raises:
        InputError: no such recipe or setting, or a value of the wrong kind.
    """
    recipe = find(variant.recipe)
    changes = sorted_changes(variant.changes, GROUPS)
    return Settings(
        changed(recipe.train, changes["train"] | {"seed": str(seed)}, name="train"),
        changed(recipe.augment, changes["augment"], name="augment"),
        changed(recipe.settings, changes["model"], name="model"),
        tuple(changes["model"]),
    )


def _one(text: str) -> Variant:
    head, *changes = text.split(":")
    label, equals, recipe = head.partition("=")
    recipe = find((recipe if equals else label).strip()).name
    return Variant(label.strip() if equals else recipe, recipe, tuple(change.strip() for change in changes))


def _ablated(name: str, named: Sequence[Variant]) -> tuple[Variant, ...]:
    if name not in ABLATIONS:
        raise InputError(f"no ablation {name!r}", hint=near(name, ABLATIONS))
    ablation = ABLATIONS[name]
    if len(named) > 1 or (named and not ablation.recipe):
        wanted = "one recipe for it to stand on" if ablation.recipe else "none: it has its own"
        raise InputError(f"the ablation {name!r} takes {wanted}", hint="change --models")
    base = named[0] if named else Variant("base", ablation.recipe or "none")
    return tuple(
        one if one.recipe else Variant(one.label, base.recipe, (*base.changes, *one.changes))
        for one in ablation.variants
    )
