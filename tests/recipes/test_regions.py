"""Detectors that judge regions found beforehand: crops, windows, RoIs; and the one that has nothing but the image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from boxwright.errors import InputError
from boxwright.model import Model, create
from boxwright.recipes import RECIPES
from boxwright.regions.source import Windows, from_dict, to_dict
from boxwright.runtime.export import export_onnx
from boxwright.types import Batch, Targets, given

CLASSES = ("a", "b", "c")
JUDGES = ("fast-rcnn-efficientnet-lite0", "rcnn-efficientnet-lite0", "sliding-window-efficientnet-lite0")
SIDE = 96


@lru_cache(maxsize=1)
def fresh(name: str) -> Model:
    torch.manual_seed(0)
    model = create(name, classes=CLASSES, weights=None)
    model.net.eval()
    return model


def batch(regions: int = 12) -> Batch:
    """Two images, the first with two objects; their regions lie anywhere, the last of each is padding."""
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(2, regions, 2, generator=generator) * 60
    boxes = torch.cat((corner, corner + 8 + torch.rand(2, regions, 2, generator=generator) * 25), -1)
    valid = torch.ones(2, regions, dtype=torch.bool)
    valid[:, -1] = False
    objects = torch.tensor([[[10.0, 10, 40, 50], [50, 40, 90, 90]], [[0, 0, 0, 0], [0, 0, 0, 0]]])
    there = torch.tensor([[True, True], [False, False]])
    targets = Targets(objects, torch.tensor([[0, 2], [0, 0]]), there, torch.zeros_like(there))
    images = torch.randn(2, 3, SIDE, SIDE, generator=generator)
    proposals = given(boxes.numpy(), valid.numpy())
    return Batch(images, torch.tensor([[SIDE, SIDE]] * 2), targets, ("a", "b"), proposals)


@pytest.mark.parametrize("name", JUDGES)
def test_regions_are_judged_and_learnt_from(name: str) -> None:
    model, pictures = fresh(name), batch()
    with torch.no_grad():
        taught, seen = model.net.taught_and_seen(pictures)
        found = model.decoder(seen, pictures.sizes)
    columns = len(CLASSES) + (model.decoder.activation == "softmax")
    assert seen.logits.shape == (2, 12, columns)
    assert found.boxes.shape == (2, model.decoder.detections, 4)
    # A sampled region is one of the proposals or an object, and the objects are among them.
    there = torch.cat((pictures.proposals.boxes[0], pictures.targets.boxes[0]))
    kept = taught.priors.boxes[0][taught.priors.valid[0]]
    assert all((box == there).all(-1).any() for box in kept)
    assert all((box == kept).all(-1).any() for box in pictures.targets.boxes[0])
    with pytest.raises(ValueError, match="sampled with the targets"):
        model.decoder(taught, pictures.sizes)


@pytest.mark.parametrize("name", JUDGES[:1])
def test_losses_are_finite_without_objects_too(name: str) -> None:
    model, pictures = fresh(name), batch()
    with torch.no_grad():
        losses = model.objective(model.net.taught(pictures), pictures.targets)
    assert losses.total.isfinite()
    assert losses.positives >= 2


def test_regions_at_a_time_change_nothing() -> None:
    model, pictures = fresh("rcnn-efficientnet-lite0"), batch()
    head = model.net.regions
    with torch.no_grad():
        whole = model.net(pictures.images, pictures.sizes, pictures.proposals)
        head.chunk, kept = 5, head.chunk
        parts = model.net(pictures.images, pictures.sizes, pictures.proposals)
        head.chunk = kept
    torch.testing.assert_close(parts.logits, whole.logits, atol=1e-4, rtol=1e-4)


def test_a_batch_without_regions_is_refused() -> None:
    pictures = batch()
    with pytest.raises(ValueError, match="regions that are given"):
        fresh("fast-rcnn-efficientnet-lite0").net.taught(
            Batch(pictures.images, pictures.sizes, pictures.targets, pictures.paths)
        )


@pytest.mark.parametrize("name", JUDGES)
def test_a_picture_is_all_that_predict_needs(name: str) -> None:
    """The regions' source travels with the model."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (60, 80, 3), np.uint8)
    (result,) = fresh(name).predict(picture, score=0.0)
    assert result.size == (60, 80)
    assert (result.boxes[:, 2:] <= (80, 60)).all()


def test_no_graph_finds_regions() -> None:
    with pytest.raises(InputError, match=r"found beforehand|inputs of any size"):
        export_onnx(fresh("fast-rcnn-efficientnet-lite0"), "never.onnx", images=[])


@pytest.mark.parametrize(
    "name", [name for name, recipe in RECIPES.items() if "rcnn" in name or "window" in name]
)
def test_sources_travel(name: str) -> None:
    with torch.device("meta"):
        source = RECIPES[name].build(3, RECIPES[name].settings).regions
    assert (source is None) == name.startswith("faster")
    assert source is None or from_dict(to_dict(source)) == source


def test_unknown_sources_are_refused() -> None:
    with pytest.raises(InputError, match="unknown source of regions"):
        from_dict({"kind": "Magic"})
    with pytest.raises(InputError, match="unknown source of regions"):
        from_dict({"kind": "Windows", "colour": 3})


@pytest.mark.parametrize(("height", "width"), [(60, 80), (31, 200), (5, 5)])
def test_windows_cover_the_image_and_stay_in_it(height: int, width: int) -> None:
    source = Windows(sides=(0.3, 0.5), ratios=(0.5, 1.0, 2.0), stride=0.5)
    boxes = source(np.zeros((height, width, 3), np.uint8))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= np.array([width, height]) + 1e-3).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    area = np.sqrt(sides.prod(1)) / max(height, width)
    assert np.isclose(area[:, None], [0.3, 0.5], atol=1e-4).any(1).all()
    if height * 2 > width:  # shapes of each kind fit, and reach every edge
        assert boxes[:, 0].min() == boxes[:, 1].min() == 0
        assert boxes[:, 2].max() == pytest.approx(width, abs=1e-3)


def test_a_localizer_finds_the_largest_first() -> None:
    """Objects are given to its boxes by size; with fewer boxes the smaller objects go without."""
    model = create(
        "localizer-efficientnet-lite0", classes=CLASSES, weights=None, settings={"boxes": 2, "size": SIDE}
    )
    pictures = batch()
    model.net.eval()
    with torch.no_grad():
        out = model.net(pictures.images, pictures.sizes)
    three = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 90, 90], [5, 5, 40, 40]]])
    there = torch.ones(1, 3, dtype=torch.bool)
    truth = Targets(three, torch.tensor([[0, 1, 2]]), there, torch.zeros_like(there))
    priors = out.priors
    one = type(priors)(priors.boxes[:1], priors.level[:1], priors.valid[:1], priors.per_level)
    assignment = model.objective.assign(one, truth)
    assert assignment.state.tolist() == [[1, 1]]
    assert assignment.gt.tolist() == [[1, 2]]
