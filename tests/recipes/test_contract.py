"""What every recipe owes: one forward for all, fixed shapes, order that does not matter, empty images that do."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from boxwright.errors import InputError
from boxwright.model import Model, create
from boxwright.recipes import RECIPES
from boxwright.types import Batch, Output, Predictions, Targets, TwoStageOutput

CLASSES = ("a", "b", "c")
PRIORS = {
    "ssd300-vgg16": 8732,  # Liu et al. 2016, section 3
    "ssd300-vgg16-bn": 8732,
    "ssd512-vgg16": 24564,  # table 7
    "ssd320-efficientnet-lite0": 4 * (40**2 + 20**2 + 10**2 + 5**2 + 3**2 + 1),
    **dict.fromkeys(
        (
            "retinanet-resnet18-fpn",
            "retinanet-resnet50-fpn",
            "retinanet-resnet50-fpn-v2",
            "retinanet-resnet101-fpn",
            "retinanet-resnext50-fpn",
        ),
        9 * (100**2 + 50**2 + 25**2 + 13**2 + 7**2),  # on a square of 800 pixels
    ),
    "ssdlite320-mobilenet-v3-large": 6 * (20**2 + 10**2 + 5**2 + 3**2 + 2**2 + 1),
    "retinanet-mobilenet-v3-large-fpn": 9 * (40**2 + 20**2 + 10**2 + 5**2 + 3**2),
    "retinanet-efficientnet-lite0-fpn": 9 * (40**2 + 20**2 + 10**2 + 5**2 + 3**2),
    "faster-rcnn-vgg16": 9 * 37**2,  # on a square of 600 pixels
    "faster-rcnn-vgg16-alternating": 9 * 37**2,
    "faster-rcnn-resnet50-c4": 15 * 50**2,
    **dict.fromkeys(
        ("faster-rcnn-resnet50-fpn", "faster-rcnn-resnet50-fpn-v2"),
        3 * (200**2 + 100**2 + 50**2 + 25**2 + 13**2),
    ),
    "faster-rcnn-mobilenet-v3-large-fpn": 15 * (25**2 + 25**2 + 13**2),
    "faster-rcnn-mobilenet-v3-large-320-fpn": 15 * (10**2 + 10**2 + 5**2),
    **dict.fromkeys(
        ("faster-rcnn-efficientnet-lite0-fpn", "faster-rcnn-efficientnet-lite0-fpn-alternating"),
        6 * (40**2 + 20**2 + 10**2 + 5**2),
    ),
}
# The others differ by norms, by one extra layer or by their backbone; their forwards alone take seconds.
QUICK = [
    "ssd300-vgg16",
    "ssd320-efficientnet-lite0",
    "retinanet-efficientnet-lite0-fpn",
    "faster-rcnn-efficientnet-lite0-fpn",
]


@lru_cache(maxsize=1)
def fresh(name: str) -> Model:
    torch.manual_seed(0)
    return create(name, classes=CLASSES, weights=None)


def pictures(model: Model, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = model.preprocess.size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, height, width, generator=generator), torch.tensor([[height, width]] * count)


def stages(out: Output) -> list[Predictions]:
    return [out.proposals, out.regions] if isinstance(out, TwoStageOutput) else [out]


def targets(*objects: int) -> Targets:
    most = max(max(objects), 1)
    corner = torch.rand(len(objects), most, 2, generator=torch.Generator().manual_seed(2)) * 180
    valid = torch.arange(most) < torch.tensor(objects)[:, None]
    labels = torch.arange(len(objects) * most).view(len(objects), most) % len(CLASSES)
    return Targets(torch.cat((corner, corner + 60), -1), labels, valid, torch.zeros_like(valid))


WITHOUT_ANCHORS = {
    "localizer-efficientnet-lite0",
    "sliding-window-vgg16",
    "sliding-window-efficientnet-lite0",
    "rcnn-vgg16",
    "rcnn-resnet50",
    "rcnn-efficientnet-lite0",
    "fast-rcnn-vgg16",
    "fast-rcnn-resnet50",
    "fast-rcnn-resnet50-fpn",
    "fast-rcnn-efficientnet-lite0",
}


def test_every_detector_is_looked_at() -> None:
    detectors = {name for name, recipe in RECIPES.items() if recipe.task == "detect"}
    assert detectors == PRIORS.keys() | WITHOUT_ANCHORS


@pytest.mark.parametrize("name", PRIORS)
def test_priors_and_columns(name: str) -> None:
    """By the specs alone: no forward is needed to know how many boxes there are."""
    model = fresh(name)
    net, side = model.net.dense, model.preprocess.size[0]
    assert net is not None
    grids = [(spec.cells(side), spec.cells(side)) for spec in net.neck.specs]
    priors = net.priors(grids, (side, side), torch.tensor([[side, side]]), net.neck.specs)
    assert priors.boxes.shape == (1, PRIORS[name], 4)
    assert priors.valid.all()
    assert model.manifest.recipe == name


@pytest.mark.parametrize("name", QUICK)
def test_one_forward_serves_losses_and_detections(name: str) -> None:
    model = fresh(name)
    images, sizes = pictures(model, 2)
    model.net.eval()
    with torch.no_grad():
        taught, out = model.net.taught_and_seen(Batch(images, sizes, targets(3, 0), ("a", "b")))
        losses = model.objective(taught, targets(3, 0))
        found = model.decoder(out, sizes)
    first, last = stages(out)[0], stages(out)[-1]
    background = model.decoder.activation == "softmax"
    assert first.logits.shape[:2] == (2, PRIORS[name])
    assert last.logits.shape[::2] == (2, len(CLASSES) + background)
    assert losses.total.isfinite()
    assert losses.positives >= 3
    assert found.boxes.shape == (2, model.decoder.detections, 4)
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()  # best first
    height, width = model.preprocess.size
    assert (found.boxes >= 0).all()
    assert (found.boxes[..., 0::2] <= width).all()
    assert (found.boxes[..., 1::2] <= height).all()
    # The order of the batch does not matter.
    with torch.no_grad():
        swapped = stages(model.net(images.flip(0), sizes))[0]
    torch.testing.assert_close(swapped.logits.flip(0), first.logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", QUICK)
def test_a_batch_without_objects_is_finite_and_every_weight_learns(name: str) -> None:
    model = fresh(name)
    images, sizes = pictures(model, 2)
    model.net.train()
    model.net.zero_grad()
    empty = model.objective(model.net.taught(Batch(images, sizes, targets(0, 0), ("a", "b"))), targets(0, 0))
    assert empty.total.isfinite()
    assert empty.localisation == 0
    # Of the losses only some levels' priors may take part; of the outputs all do.
    outputs = stages(model.net(images, sizes))
    sum(out.logits.square().mean() + out.deltas.square().mean() for out in outputs).backward()
    unreached = [n for n, p in model.net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unreached
    assert all(p.grad.isfinite().all() for p in model.net.parameters())


def test_images_without_objects_teach_where_the_recipe_says_so() -> None:
    model = fresh("ssd320-efficientnet-lite0")
    images, sizes = pictures(model, 2)
    model.net.train()
    assert model.objective(model.net(images, sizes), targets(0, 0)).classification > 0


def test_overfits_one_batch() -> None:
    """Learning works: two images by heart in a few dozen steps."""
    torch.manual_seed(0)
    model = create("ssd320-efficientnet-lite0", classes=CLASSES, say=lambda line: None)
    images, sizes = pictures(model, 2)
    images = images * 0.1
    truth = targets(2, 1)
    for row in range(2):  # something to see where the objects are
        for box in truth.boxes[row][truth.valid[row]].int().tolist():
            images[row, :, box[1] : box[3], box[0] : box[2]] += 1.5
    model.net.train()
    for stage in model.net.stages():
        stage.requires_grad_(False).eval()
    optimiser = torch.optim.AdamW([p for p in model.net.parameters() if p.requires_grad], lr=3e-3)
    first = None
    for _ in range(40):
        losses = model.objective(model.net(images, sizes), truth)
        first = first or losses.total.item()
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
    assert losses.total.item() < 0.15 * first


def test_names_and_settings_fail_with_their_neighbours() -> None:
    with pytest.raises(InputError, match="did you mean ssd300-vgg16"):
        create("ssd300-vg16", classes=CLASSES)
    with pytest.raises(InputError, match=r"unknown setting model\.scale; did you mean scales"):
        create("ssd300-vgg16", classes=CLASSES, weights=None, settings={"scale": 1})
    with pytest.raises(InputError, match="no such weights file"):
        create("ssd300-vgg16", classes=CLASSES, weights="nowhere.pth")
    with pytest.raises(InputError, match="no such weights for ssd512-vgg16"):
        create("ssd512-vgg16", classes=CLASSES, weights="coco")
    with pytest.raises(InputError, match="at least one class"):
        create("ssd300-vgg16", classes=(), weights=None)


def test_ssd_without_holes_or_with_fewer_levels() -> None:
    """The paper's ablations are settings; what lies where does not change by them."""
    whole = fresh("ssd300-vgg16")
    solid = create("ssd300-vgg16", classes=CLASSES, weights=None, settings={"atrous": False})
    grids = [[spec.cells(300) for spec in model.net.neck.specs] for model in (whole, solid)]
    assert grids == [[38, 19, 10, 5, 3, 1]] * 2
    assert [spec.stride for spec in solid.net.neck.specs][:4] == [8, 16, 32, 64]
    few = {"ratios": [[2], [2, 3], [2, 3]], "scales": [0.1, 0.3, 0.6, 0.9]}
    three = create("ssd300-vgg16", classes=CLASSES, weights=None, settings=few)
    assert len(three.net.neck.specs) == 3
    with pytest.raises(InputError, match=r"model\.ratios has 1 levels"):
        create(
            "ssd300-vgg16", classes=CLASSES, weights=None, settings={"ratios": [[2]], "scales": [0.1, 0.9]}
        )


def test_regions_that_ground_truth_chose_are_no_detections() -> None:
    """And regions that were made to detect are nothing to learn from."""
    model = fresh("faster-rcnn-efficientnet-lite0-fpn")
    images, sizes = pictures(model, 1)
    truth = targets(2)
    with torch.no_grad():
        taught, seen = model.net(images, sizes, truth), model.net(images, sizes)
    with pytest.raises(ValueError, match="sampled with the targets"):
        model.decoder(taught, sizes)
    with pytest.raises(ValueError, match="sampled with the targets"):
        model.objective(seen, truth)
    # The objects themselves are among the sampled regions, and not among the others.
    regions = taught.regions.priors
    for box in truth.boxes[0]:
        assert (regions.boxes[0][regions.valid[0]] == box).all(-1).any()
        assert not (seen.regions.priors.boxes[0] == box).all(-1).any()


def test_what_detects_does_not_depend_on_the_targets() -> None:
    """Validation runs the second stage twice; its detections are those of a network that never saw an object."""
    model = fresh("faster-rcnn-efficientnet-lite0-fpn")
    images, sizes = pictures(model, 2)
    model.net.eval()
    with torch.no_grad():
        _, seen = model.net.taught_and_seen(Batch(images, sizes, targets(3, 1), ("a", "b")))
        alone = model.net(images, sizes)
    assert torch.equal(seen.regions.logits, alone.regions.logits)
    assert torch.equal(seen.regions.priors.boxes, alone.regions.priors.boxes)
