from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from boxwright.compare import lineage, lineage_page, record, speed, summary
from boxwright.compare.variants import chosen, settings
from boxwright.data.records import Dataset
from boxwright.images import read_image
from boxwright.model import create
from boxwright.recipes import find
from boxwright.regions.recall import best_overlaps
from training.toys import toy_data

SMALL = {
    "sliding-window": ("sliding-window-efficientnet-lite0", {"size": 32, "crop": 32, "sides": (0.6, 0.9)}),
    "fast-r-cnn": ("fast-rcnn-efficientnet-lite0", {"size": 32, "channels": 16, "proposals": 50}),
    "faster-r-cnn": (
        "faster-rcnn-efficientnet-lite0-fpn",
        {"size": 64, "channels": 16, "proposals": (20, 7), "proposal_iou": 1.0},
    ),
    "ssd": ("ssd320-efficientnet-lite0", {}),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy_data(tmp_path_factory.mktemp("images"), images=3)


@pytest.fixture(scope="module")
def runs(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[record.Run]:
    """Untrained models as finished runs: what is measured here does not depend on weights."""
    out = tmp_path_factory.mktemp("runs")
    for number, (label, (recipe, changes)) in enumerate(SMALL.items()):
        folder = record.folder(out, label, 0)
        record.write(
            folder / record.VARIANT, record.Started(label, 0, number, recipe, (), 1, 1.0, {"images": "3"})
        )
        found = {"AP50": 0.1 * number, "AP": 0.05, "VOC AP50": 0.1}
        record.write(folder / record.RESULT, record.Result(found, "test", 3, 600.0 / (number + 1), 9))
        create(recipe, classes=images.classes, weights=None, settings=changes).save(
            folder / "best.safetensors"
        )
    return record.gather(out)


@pytest.fixture(scope="module")
def splits(runs: list[record.Run], images: Dataset) -> dict[str, lineage.Split]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "MOST", 1)
        return lineage.measure(runs, images, lambda line: None)


def test_the_lineage_is_of_one_backbone_and_every_variant_can_be_built() -> None:
    variants = chosen([], None, ["train.epochs=24"], lineage.VARIANTS)
    assert [settings(one).train.epochs for one in variants] == [24, 12, 12, 24, 24, 24, 24]
    assert all("efficientnet-lite0" in find(one.recipe).name for one in variants)


def test_time_is_split_where_regions_are_made(splits: dict[str, lineage.Split]) -> None:
    assert splits["ssd"].proposals == 0  # anchors are laid by the network itself
    for label in ("sliding-window", "fast-r-cnn", "faster-r-cnn"):
        assert splits[label].proposals > 0
    for split in splits.values():
        assert split.network > 0
        assert split.after > 0
        assert split.seconds == pytest.approx(split.proposals + split.network + split.after)


def test_what_is_judged_is_counted_and_covers_what_it_covers(
    splits: dict[str, lineage.Split], images: Dataset
) -> None:
    assert splits["faster-r-cnn"].priors == 7
    source = create(
        SMALL["sliding-window"][0], classes=images.classes, weights=None, settings=SMALL["sliding-window"][1]
    ).manifest.regions
    assert source is not None
    laid = [source(read_image(sample.path)) for sample in images]
    assert splits["sliding-window"].priors == np.mean([len(boxes) for boxes in laid])
    best = [best_overlaps(sample.boxes, boxes) for sample, boxes in zip(images, laid, strict=True)]
    assert splits["sliding-window"].recall == (np.concatenate(best) >= 0.5).mean()
    # Thousands of anchors lie on every object.
    assert splits["ssd"].recall == 1
    assert splits["ssd"].priors > 1000


def test_the_page_tells_what_was_measured_and_its_picture_is_a_document(
    runs: list[record.Run], splits: dict[str, lineage.Split], tmp_path: Path
) -> None:
    known = splits | {
        "r-cnn": lineage.Split(0.1, 9.0, 1.0, 2000.0, 0.9),
        "fast-r-cnn": lineage.Split(0.3, 0.15, 0.05, 2000.0, 0.9),
        "faster-r-cnn": lineage.Split(0.05, 0.1, 0.1, 200.0, math.nan),
    }
    page = lineage_page.save(summary.compare(runs, {}, data="toys"), known, tmp_path)
    text = page.read_text()
    assert "| fast-r-cnn | 10.0 | 5.0 | 5.0 | 0.3 | 0.15 | 0.05 | 0.5 | 2,000 | 0.900 |" in text
    assert "Fast R-CNN detects 50 times as fast as R-CNN, proposals apart" in text
    assert "Faster R-CNN detects 2.0 times as fast as Fast R-CNN, proposals counted" in text
    assert "| R-CNN, VGG-16 | 66 | 84 | – | 47 | K40 |" in text
    root = ElementTree.parse(tmp_path / lineage_page.PICTURE).getroot()
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == len(SMALL) + len(lineage_page.PUBLISHED)
    # As it comes from disk again.
    record.write(tmp_path / lineage.FILE, known)
    again = record.read_by_label(tmp_path / lineage.FILE, lineage.Split)
    assert again["r-cnn"] == known["r-cnn"]
    assert math.isnan(again["faster-r-cnn"].recall)
