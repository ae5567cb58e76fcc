from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure as Sheet
from matplotlib.text import Text
from PIL import Image
from torch import nn

from boxwright.backbones.classifiers import CLASSIFIERS, find_classifier
from boxwright.catalogue import detail, plot, text
from boxwright.catalogue.counting import Cost, classifier_cost, count, input_size, recipe_cost
from boxwright.catalogue.entries import TORCHVISION_DETECTORS, Entry, entries, find_entry
from boxwright.catalogue.published import PAPERS, figures
from boxwright.errors import InputError
from boxwright.preprocess import Preprocess
from boxwright.recipes import RECIPES, find
from boxwright.weights import torchvision
from boxwright.weights.published import PUBLISHED as FILES

# Parameters and multiply-adds as torchvision's documentation of its published files has them.
DOCUMENTED = {
    "resnet18": (11_689_512, 1.814),
    "resnet50": (25_557_032, 4.089),
    "wide-resnet50-2": (68_883_240, 11.398),
    "resnext50-32x4d": (25_028_904, 4.23),
    "vgg16": (138_357_544, 15.47),
    "vgg19-bn": (143_678_248, 19.632),
    "mobilenet-v2": (3_504_872, 0.301),
    "mobilenet-v3-large": (5_483_032, 0.217),
    "efficientnet-b0": (5_288_548, 0.386),
}


@pytest.fixture(scope="module")
def rows() -> list[Entry]:
    """Enough of the catalogue for the table and the plot; the rest is counted by the slow test."""
    names = ("vgg16", "vgg16-bn", "resnet18", "resnet50", "resnet50-v1", "wide-resnet50-2", "mobilenet-v1")
    names += ("resnext50-32x4d", "efficientnet-lite0", "efficientnet-lite1", "cifar-resnet20")
    return [find_entry(name) for name in (*names, "ssd300-vgg16", "ssd320-efficientnet-lite0")]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_counts_are_those_that_others_document(name: str) -> None:
    parameters, multiply_adds = DOCUMENTED[name]
    cost = classifier_cost(find_classifier(name))
    assert cost.parameters == parameters
    assert cost.gflops == pytest.approx(2 * multiply_adds, abs=0.001 + 0.004 * multiply_adds)


def test_layers_by_hand() -> None:
    with torch.device("meta"):
        # 3 x 3 of 4 channels in 2 groups on 16, stride 2, then a norm and a row of 5 numbers.
        net = nn.Sequential(
            nn.Conv2d(3, 4, 1, bias=True),
            nn.Conv2d(4, 16, 3, 2, padding=1, groups=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 5 * 4, 5),
        )
    parameters = (3 * 4 + 4) + 16 * 2 * 9 + 2 * 16 + (320 * 5 + 5)
    operations = 2 * (3 * 4) * 10 * 8 + 2 * (16 * 2 * 9) * 5 * 4 + 2 * 320 * 5
    assert count(net, (10, 8)) == Cost(parameters, operations)


def test_a_detector_is_counted_on_its_own_input_with_its_own_classes() -> None:
    recipe = find("ssd300-vgg16")
    one, two = (recipe_cost(recipe, recipe.settings, classes) for classes in (20, 21))
    # 3 x 3 convolutions to one more column for each of the boxes of a cell, on six levels.
    levels = ((512, 4, 38), (1024, 6, 19), (512, 6, 10), (256, 6, 5), (256, 4, 3), (256, 4, 1))
    assert two.parameters - one.parameters == sum((9 * width + 1) * boxes for width, boxes, _ in levels)
    assert two.operations - one.operations == sum(
        2 * 9 * width * boxes * side * side for width, boxes, side in levels
    )
    assert one.parameters == sum(p.numel() for p in recipe.build(20, recipe.settings).net.parameters())


def test_a_free_input_is_a_padded_photograph() -> None:
    # 480 x 640 to the shorter side of 600, the longer one to 800, padded to 32.
    assert input_size(Preprocess((600, 1000), "shorter-side", pad_multiple=32)) == (608, 800)
    assert input_size(Preprocess((320, 300))) == (320, 300)


@pytest.mark.parametrize("name", ["vgg16", "mobilenet-v1", "inception-resnet-v2", "cifar-plain20"])
def test_a_classifier_is_what_its_entry_says(name: str) -> None:
    spec = find_classifier(name)
    with torch.device("meta"):
        net, trunk = spec.build(7).eval(), spec.trunk(spec.taps)
        images = torch.zeros(2, 3, spec.size, spec.size)
        assert net(images).shape == (2, 7)
        maps = trunk(images)
    shown = detail.levels(name)
    assert [level.name for level in shown] == list(spec.taps)
    for level, tensor in zip(shown, maps, strict=True):
        assert (level.channels, *level.cells) == tuple(tensor.shape[1:])


def test_first_centres_are_shown_as_padding_moves_them() -> None:
    centres = [level.first_centre for level in detail.levels("inception-resnet-v2")[1:]]
    assert centres == [(13.5, 13.5), (21.5, 21.5), (37.5, 37.5)]


def test_unknown_names_are_told_with_their_neighbours() -> None:
    with pytest.raises(InputError, match="no classifier 'resnet5'; did you mean resnet"):
        find_classifier("resnet5")
    with pytest.raises(InputError, match="no model 'ssd300-vgg61'; did you mean ssd300-vgg16"):
        find_entry("ssd300-vgg61")


def test_the_papers_figures_are_of_models_that_are_here() -> None:
    """And percentages: a share in [0, 1] or an error in place of an accuracy would stand out."""
    for name, published in PAPERS.items():
        assert name in RECIPES or name in CLASSIFIERS, name
        for figure in published:
            low, high = {"COCO": (15, 60), "VOC07": (50, 90)}.get(figure.metric, (65, 95))
            assert low < figure.value < high, (name, figure)


def test_every_published_file_of_torchvisions_is_of_a_model_here() -> None:
    known = {spec.torchvision for spec in CLASSIFIERS.values()} - {""} | {*TORCHVISION_DETECTORS.values()}
    files = {file.network for file in FILES}
    assert files == known
    assert known == {*torchvision.CLASSIFIERS, *torchvision.DETECTORS}
    # Comparable with the papers' first: a plain training, one crop.
    assert figures("resnext101-64x4d", "resnext101_64x4d")[0].value == 79.6
    assert [one.value for one in figures("resnet50", "resnet50")] == [76.13, 80.86]


def test_the_table_fits_into_a_hundred_columns(rows: list[Entry]) -> None:
    lines = text.table(rows).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert "multiply-add is 2 operations" in "\n".join(lines[:2])
    (line,) = (line for line in lines if line.startswith("resnet18 "))
    assert line.split()[:4] == ["resnet18", "224", "11.69", "3.63"]
    assert "ImageNet 69.76 [" in line
    number = line.rsplit("[", 1)[1].rstrip("]")
    assert f" [{number}] torchvision's published file, first weights" in lines
    # Of ten crops: the source says so.
    assert any(line.endswith("He et al. 2016 (ResNet), table 3; 10 crops") for line in lines)
    (packaged,) = (line for line in lines if line.startswith("ssd320-efficientnet-lite0"))
    assert "packaged model" in packaged


def test_the_detail_explains_every_setting() -> None:
    recipe = find("ssd300-vgg16")
    listed = {one.name: one for one in detail.settings(recipe)}
    assert listed["model.ratios"].value == "2;2,3;2,3;2,3;2;2"
    assert all(one.meaning for one in listed.values())
    page = detail.text(find_entry("ssd300-vgg16"))
    assert max(len(line) for line in page.splitlines()) <= 100
    assert "8732 priors in all" in page
    assert "  train.batch=32\n      images in one forward pass" in page


def test_names_in_the_plot_lie_apart_and_inside(rows: list[Entry]) -> None:
    shown = plot.points(rows)
    # Ten crops, CIFAR and detectors are not comparable and not drawn.
    names = {"vgg16", "vgg16-bn", "resnet18", "resnet50", "wide-resnet50-2", "resnext50-32x4d"}
    names |= {"mobilenet-v1", "efficientnet-lite0", "efficientnet-lite1"}
    assert {point.name for point in shown} == names
    sheet = Sheet(figsize=(16, 9))
    labels = plot.compose(sheet, shown)
    canvas = sheet.canvas.get_renderer()  # type: ignore[attr-defined]
    for axes, own in zip(sheet.axes, labels, strict=True):
        assert len(own) == len(shown)
        boxes = [Text.get_window_extent(label, canvas) for label in own]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        frame = axes.get_window_extent()
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_the_picture_is_written_or_refused(rows: list[Entry], tmp_path: Path) -> None:
    plot.draw(rows, tmp_path / "models.png")
    with Image.open(tmp_path / "models.png") as picture:
        assert picture.size == (1760, 990)
        assert len(picture.convert("RGB").getcolors(1 << 21) or ()) > 100
    with pytest.raises(InputError, match="no classifier with a published ImageNet accuracy"):
        plot.draw([row for row in rows if row.kind == "detector"], tmp_path / "none.png")


@pytest.mark.slow
def test_all_of_it(tmp_path: Path) -> None:
    every = list(entries())
    assert len({row.name for row in every}) == len(every) == len({*RECIPES, *CLASSIFIERS})
    assert max(len(line) for line in text.table(every).splitlines()) <= 100
    assert len({point.family for point in plot.points(every)}) <= len(plot.COLOURS)
    labels = plot.compose(Sheet(figsize=(16, 9)), plot.points(every))
    assert [len(own) for own in labels] == [len(plot.points(every))] * 2
    for row in every:
        page = detail.text(row)
        assert max(len(line) for line in page.splitlines()) <= 100, row.name


def test_foreign_layouts_are_said_to_be_unverified() -> None:
    said = [one.what for one in find_entry("retinanet-resnet101-fpn").weights if one.origin == "unverified"]
    assert [library for library in ("detectron2", "mmdetection") if any(library in one for one in said)] == [
        "detectron2",
        "mmdetection",
    ]
    assert all("by what its sources say" in one for one in said)


def test_windows_that_share_work_are_counted_as_windows_alone() -> None:
    """Where regions lie is not known without data; what is counted is the most work that they can be."""
    recipe = find("sliding-window-efficientnet-lite0")
    each = []
    for shared in (False, True):
        settings = replace(recipe.settings, shared=shared)
        with torch.device("meta"):
            parts = recipe.build(3, settings)
        assert parts.regions is not None
        windows = parts.regions.most(*input_size(parts.preprocess))
        each.append(recipe_cost(recipe, settings, 3).operations / windows)
    assert each[0] == each[1] > 1e6
