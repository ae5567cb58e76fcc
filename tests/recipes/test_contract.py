"""What every recipe owes: one forward for all, fixed shapes, order that does not matter, empty images that do."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from boxwright.errors import InputError
from boxwright.model import Model, create
from boxwright.recipes import RECIPES
from boxwright.types import Targets

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
}
# The others differ by norms, by one extra layer or by their backbone; their forwards alone take seconds.
QUICK = ["ssd300-vgg16", "ssd320-efficientnet-lite0", "retinanet-efficientnet-lite0-fpn"]


@lru_cache(maxsize=1)
def fresh(name: str) -> Model:
    torch.manual_seed(0)
    return create(name, classes=CLASSES, weights=None)


def pictures(model: Model, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = model.preprocess.size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, height, width, generator=generator), torch.tensor([[height, width]] * count)


def targets(*objects: int) -> Targets:
    most = max(max(objects), 1)
    corner = torch.rand(len(objects), most, 2, generator=torch.Generator().manual_seed(2)) * 180
    valid = torch.arange(most) < torch.tensor(objects)[:, None]
    labels = torch.arange(len(objects) * most).view(len(objects), most) % len(CLASSES)
    return Targets(torch.cat((corner, corner + 60), -1), labels, valid, torch.zeros_like(valid))


DETECTORS = [name for name, recipe in RECIPES.items() if recipe.task == "detect"]


@pytest.mark.parametrize("name", DETECTORS)
def test_priors_and_columns(name: str) -> None:
    """By the specs alone: no forward is needed to know how many boxes there are."""
    model = fresh(name)
    net, side = model.net, model.preprocess.size[0]
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
        out = model.net(images, sizes)
        losses = model.objective(out, targets(3, 0))
        found = model.decoder(out, sizes)
    background = model.decoder.activation == "softmax"
    assert out.logits.shape == (2, PRIORS[name], len(CLASSES) + background)
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
        swapped = model.net(images.flip(0), sizes)
    torch.testing.assert_close(swapped.logits.flip(0), out.logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", QUICK)
def test_a_batch_without_objects_is_finite_and_every_weight_learns(name: str) -> None:
    model = fresh(name)
    images, sizes = pictures(model, 2)
    model.net.train()
    model.net.zero_grad()
    empty = model.objective(model.net(images, sizes), targets(0, 0))
    assert empty.total.isfinite()
    assert empty.localisation == 0
    # Of the losses only some levels' priors may take part; of the outputs all do.
    out = model.net(images, sizes)
    (out.logits.square().mean() + out.deltas.square().mean()).backward()
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
