from __future__ import annotations

import dataclasses

import pytest
import torch

from boxwright.compare.variants import ABLATIONS, Variant, chosen, parse, settings
from boxwright.errors import InputError
from boxwright.recipes import find

SMALL = "retinanet-efficientnet-lite0-fpn"


def test_recipes_labels_changes_and_commas_within_values() -> None:
    text = f"ssd300-vgg16, low={SMALL}:train.lr=1e-4:model.ratios=0.5,1,2 ,ssd512-vgg16:model.ratios=2;2,3;2"
    one, two, three = parse([text])
    assert one == Variant("ssd300-vgg16", "ssd300-vgg16")
    assert (two.label, two.recipe, two.changes) == ("low", SMALL, ("train.lr=1e-4", "model.ratios=0.5,1,2"))
    assert three.changes == ("model.ratios=2;2,3;2",)
    assert settings(two).model.ratios == (0.5, 1.0, 2.0)
    # The option can be repeated instead.
    assert parse(["ssd300-vgg16", "ssd512-vgg16"]) == parse(["ssd300-vgg16,ssd512-vgg16"])


@pytest.mark.parametrize(
    "texts, message",
    [
        (["ssd300-vgg61"], "no recipe 'ssd300-vgg61'; did you mean ssd300-vgg16"),
        ([f"{SMALL},{SMALL}:train.lr=1"], f"two variants are called '{SMALL}'; name them: LABEL={SMALL}"),
        ([f"../x={SMALL}"], "'../x' cannot be the name of a variant"),
        ([f"{SMALL}:train.speed=3"], "train has no setting 'speed'"),
        ([f"{SMALL}:lr=3"], "not of the form group.key=value"),
        ([], "nothing to compare"),
    ],
)
def test_what_cannot_be_compared(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(texts, None, [])


def test_a_variants_own_change_overrules_the_common_one() -> None:
    common = ["train.epochs=7", "train.batch=2"]
    one, two = chosen([f"{SMALL},long={SMALL}:train.epochs=9"], None, common)
    assert (settings(one).train.epochs, settings(two).train.epochs) == (7, 9)
    assert settings(one).train.batch == settings(two).train.batch == 2
    assert settings(two, seed=5).train.seed == 5
    # What nobody changed is the recipe's own.
    assert dataclasses.replace(settings(one).train, epochs=60, batch=8) == find(SMALL).train


def test_the_focal_ablation_is_the_papers() -> None:
    variants = {variant.label: settings(variant).model for variant in chosen([], "focal", [])}
    assert len(variants) == 9
    assert (variants["focal"].gamma, variants["focal"].alpha, variants["focal"].prior) == (2.0, 0.25, 0.01)
    assert variants["cross-entropy-prior-.01"].alpha is None
    assert variants["hard-negatives-prior-.5"].prior == 0.5
    priors = {label: shape.prior for label, shape in variants.items() if shape.classification != "focal"}
    assert sorted(priors.values()) == [0.01, 0.01, 0.5, 0.5]
    # Table 1b: the best alpha falls as gamma grows.
    grid = sorted((m.gamma, m.alpha) for m in variants.values() if m.classification == "focal")
    assert grid == [(0, 0.75), (0.5, 0.5), (1, 0.25), (2, 0.25), (5, 0.25)]


def test_an_ablation_stands_on_its_own_recipe_or_on_the_one_that_is_named() -> None:
    assert {variant.recipe for variant in chosen([], "fpn", [])} == {SMALL}
    on = chosen(["retinanet-resnet18-fpn:train.lr=0.5"], "fpn", [])
    assert [settings(one).model.top_down for one in on] == [True, False]
    assert {(one.recipe, settings(one).train.lr) for one in on} == {("retinanet-resnet18-fpn", 0.5)}
    with pytest.raises(InputError, match="takes one recipe"):
        chosen([f"{SMALL},ssd300-vgg16"], "fpn", [])
    with pytest.raises(InputError, match="takes none: it has its own"):
        chosen([SMALL], "depth", [])


def test_depth_compares_plain_with_residual_nets() -> None:
    recipes = [variant.recipe for variant in chosen([], "depth", ["train.epochs=3"])]
    assert recipes == ["cifar-plain20", "cifar-plain56", "cifar-resnet20", "cifar-resnet56"]


def test_without_ssds_augmentation_only_flips_are_left() -> None:
    (plain,) = (one for one in ABLATIONS["ssd"].variants if one.label == "flips-only")
    varied = find("ssd300-vgg16").augment
    augment = settings(dataclasses.replace(plain, recipe="ssd300-vgg16")).augment
    off = {"distort": 0.0, "zoom_out": 0.0, "crop": 0.0, "scale": (1.0, 1.0), "flip_horizontal": 0.5}
    assert augment == dataclasses.replace(varied, **off)
    assert augment != varied


def test_ssds_variants_can_be_built_and_have_the_levels_that_they_say() -> None:
    built = {}
    for variant in chosen([], "ssd", []):
        with torch.device("meta"):
            built[variant.label] = find(variant.recipe).build(3, settings(variant).model).net.neck.specs
    levels = {label: len(specs) for label, specs in built.items()}
    assert levels.pop("ssd") == levels.pop("flips-only") == levels.pop("no-atrous") == 6
    assert levels == {f"sources-{count}": count for count in (5, 4, 3, 2)}
    # Without holes fc6 and fc7 stand behind pool5, whose stride is 32.
    assert [spec.channels for spec in built["ssd"]][:2] == [512, 1024]
    assert (built["ssd"][1].stride, built["no-atrous"][2].stride) == (16, 32)
    assert built["no-atrous"][2].channels == 1024


def test_a_named_variant_takes_the_place_of_the_given_one_that_has_its_label() -> None:
    given = (Variant("old", SMALL, ("train.epochs=3",)), Variant("kept", SMALL))
    found = chosen([f"old={SMALL}:train.epochs=5,more={SMALL}"], None, ["train.batch=2"], given)
    assert [one.label for one in found] == ["old", "kept", "more"]
    assert found[0].changes == ("train.batch=2", "train.epochs=5")
    assert settings(found[0]).train.epochs == 5
