"""What papers and their released programs do, held against what the recipes of those names really compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.data.collate import collate
from boxwright.data.prepare import Prepared
from boxwright.detectors import OneStage, TwoStage
from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.model import Model, create, recorded_settings
from boxwright.objective import TwoStageObjective
from boxwright.recipes import find
from boxwright.training.halves import FirstStage, SecondStage
from boxwright.types import Assignment, Batch, Priors, Targets, TwoStageOutput

FASTER = ("faster-rcnn-vgg16", "faster-rcnn-vgg16-alternating")
# Of scales 8, 16 and 32 on a base of 16 pixels, with the rounding of py-faster-rcnn's generate_anchors.
PY_FASTER_RCNN = [
    (184, 96),
    (368, 192),
    (736, 384),
    (128, 128),
    (256, 256),
    (512, 512),
    (88, 176),
    (176, 352),
    (352, 704),
]
SMALL = {"size": 96, "longest": 128, "width": 16, "candidates": (200, 100), "proposals": (40, 20)}


def settings(name: str):
    return find(name).settings


def laid(name: str, height: int, width: int) -> tuple[Priors, Priors]:
    """All anchors of an image, and those that training learns from."""
    with torch.device("meta"):
        net = find(name).build(20, settings(name)).net
    assert isinstance(net.dense, OneStage)
    (spec,) = net.dense.neck.specs
    sizes = torch.tensor([[height, width]])
    priors = net.dense.priors([(spec.cells(height), spec.cells(width))], (height, width), sizes, [spec])
    return priors, net.dense.priors.for_training(priors, sizes)


@pytest.mark.parametrize("name", FASTER)
def test_anchors_are_py_faster_rcnn_s(name: str) -> None:
    priors, _ = laid(name, 600, 800)
    first = priors.boxes[0, :9]
    assert [tuple(side) for side in (first[:, 2:] - first[:, :2]).tolist()] == PY_FASTER_RCNN
    # Its first anchor is (-84, -40, 99, 55) with the last pixel inside; ours end behind their last pixel.
    assert first[0].tolist() == [-84, -40, 100, 56]
    second_cell = priors.boxes[0, 9] - first[0]
    assert second_cell.tolist() == [16, 0, 16, 0]


@pytest.mark.parametrize("name", FASTER)
def test_what_straddles_the_border_is_not_learnt_from(name: str) -> None:
    """By counting, as the released program does: of 37 x 50 cells at 600 x 800 some 65 % of the anchors."""
    priors, learnt = laid(name, 600, 800)
    assert priors.valid.all()  # in detection all take part
    inside = 0
    for row in range(37):
        for column in range(50):
            for width, height in PY_FASTER_RCNN:
                left, top = column * 16 + 8 - width / 2, row * 16 + 8 - height / 2
                inside += left >= 0 and top >= 0 and left + width <= 800 and top + height <= 600
    assert int(learnt.valid.sum()) == inside
    assert 1 - inside / (37 * 50 * 9) == pytest.approx(0.65, abs=0.02)


def test_the_border_is_each_image_s_own_without_padding() -> None:
    priors, _ = laid("faster-rcnn-vgg16", 600, 800)
    with torch.device("meta"):
        grid = find("faster-rcnn-vgg16").build(20, settings("faster-rcnn-vgg16")).net.dense
    assert grid is not None
    two = grid.priors.for_training(
        Priors(priors.boxes, priors.level, priors.valid.expand(2, -1)), torch.tensor([[600, 800], [300, 400]])
    )
    far = priors.boxes[0, two.valid[1]]
    assert (far[:, 2] <= 400).all() and (far[:, 3] <= 300).all() and len(far)
    assert two.valid[0].sum() > two.valid[1].sum()


def tiny(**changes: object) -> Model:
    torch.manual_seed(0)
    model = create("faster-rcnn-vgg16", classes=("a", "b"), weights=None, settings=SMALL | changes)
    model.net.eval()
    return model


def pictures(*scales: float) -> Batch:
    count = len(scales)
    box = torch.tensor([[[30.0, 30, 70, 66]]] * count)
    there = torch.ones(count, 1, dtype=torch.bool)
    images = torch.randn(count, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    targets = Targets(box, torch.zeros(count, 1, dtype=torch.long), there, ~there)
    return Batch(
        images, torch.tensor([[96, 128]] * count), targets, ("",) * count, scales=torch.tensor(scales)
    )


def sides(out: TwoStageOutput, image: int) -> torch.Tensor:
    regions = out.regions.priors
    boxes = regions.boxes[image][regions.valid[image]]
    return (boxes[:, 2:] - boxes[:, :2]).min()


def test_the_least_side_of_a_proposal_is_in_pixels_of_the_original() -> None:
    """16 px of an image that was enlarged by 3 are 48 px of the input; of one made smaller by half, 8."""
    changes = {"sides": ((8.0, 12.0, 20.0, 60.0),), "ratios": (1.0,), "anchor_base": 0.0}
    changes |= {"candidates": (500, 500), "proposals": (40, 200)}
    net, batch = tiny(**changes).net, pictures(3.0, 0.5, 1.0)
    assert isinstance(net, TwoStage)
    assert net.takes_scales
    with torch.no_grad():
        _, seen = net.taught_and_seen(batch)
        plain = net(batch.images, batch.sizes)
        half = SecondStage(net, ()).eval()(batch.images, batch.sizes, batch.scales)
    assert sides(seen, 0) >= 48
    assert 8 <= sides(seen, 1) < 16
    assert 16 <= sides(seen, 2) < 24
    assert 16 <= sides(plain, 0) < 24  # images that were not resized
    assert torch.equal(half.priors.boxes, seen.regions.priors.boxes)


def test_the_predictor_says_by_how_much_it_enlarged() -> None:
    """An image of half the size, enlarged to the same input, keeps larger proposals alone."""
    model = tiny(sides=((8.0, 24.0, 60.0),), anchor_base=0.0)
    seen: list[torch.Tensor] = []
    proposer = model.net.proposer
    model.net.proposer = lambda out, extent, scales=None: seen.append(scales) or proposer(out, extent, scales)  # type: ignore[assignment]
    model.net.proposer.min_size_in = "image"  # type: ignore[union-attr]
    grey = np.full((48, 64, 3), 127, np.uint8)
    model.predict([grey])
    assert seen[0].tolist() == [2.0]


def test_collate_says_by_how_much_images_were_enlarged() -> None:
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    one = Prepared(np.zeros((3, 60, 80), np.float32), *nothing, (30, 40), 0, "a.jpg")
    two = Prepared(np.zeros((3, 60, 80), np.float32), *nothing, (120, 160), 1, "b.jpg")
    scales = collate([one, two]).scales
    assert scales is not None
    assert scales.tolist() == [2.0, 0.5]


@pytest.mark.parametrize("name", FASTER)
def test_all_that_an_untrained_network_proposes_is_shown_as_background(name: str) -> None:
    """Most of it overlaps nothing by .1, which Fast R-CNN's own limit would leave out for ever."""
    objective = find(name).build(2, replace(settings(name), **SMALL)).objective
    assert isinstance(objective, TwoStageObjective)
    corner = torch.rand(1, 400, 2, generator=torch.Generator().manual_seed(0)) * 500
    boxes = torch.cat((corner, corner + 60), -1)
    regions = Priors(boxes, torch.zeros(1, 400, dtype=torch.long), torch.ones(1, 400, dtype=torch.bool))
    targets = Targets(
        torch.tensor([[[100.0, 100, 180, 180]]]),
        torch.zeros(1, 1, dtype=torch.long),
        torch.ones(1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.bool),
    )
    now: Assignment = objective.regions.assign(regions, targets)
    assert (now.state >= 0).all()
    limited = replace(objective.regions.assign, least=0.1)(regions, targets)  # type: ignore[type-var]
    assert float((limited.state == -1).float().mean()) > 0.5


def test_losses_leave_out_what_detection_does_not() -> None:
    model, batch = tiny(), pictures(1.0)
    net = model.net
    assert isinstance(net, TwoStage)
    with torch.no_grad():
        taught, seen = net.taught_and_seen(batch)
        first, found = FirstStage(net.proposals).eval().taught_and_seen(batch)
    assert taught.proposals.priors.valid.sum() < seen.proposals.priors.valid.sum()
    assert torch.equal(first.priors.valid, taught.proposals.priors.valid)
    assert torch.equal(found.priors.valid, seen.proposals.priors.valid)
    state = model.objective.assigned(taught, batch.targets)[1].state
    assert (state[~taught.proposals.priors.valid] == -1).all()


@pytest.mark.parametrize("force", ["best", "bipartite", "last"])
def test_an_object_gets_the_best_of_the_priors_that_take_part(force: str) -> None:
    """Its very best one crosses the border; another would have to do, or the object is lost."""
    from boxwright.assign import IoUAssigner

    boxes = torch.tensor([[[-4.0, 0, 16, 20], [0, 0, 24, 24], [60, 60, 80, 80]]])
    valid = torch.tensor([[False, True, True]])
    one = torch.ones(1, 1, dtype=torch.bool)
    targets = Targets(torch.tensor([[[0.0, 0, 16, 20]]]), torch.zeros(1, 1, dtype=torch.long), one, ~one)
    priors = Priors(boxes, torch.zeros(1, 3, dtype=torch.long), valid)
    found = IoUAssigner(foreground=0.9, background=0.3, force=force)(priors, targets)  # type: ignore[arg-type]
    assert found.state.tolist() == [[-1, 1, 0]]


def test_files_that_are_older_than_a_setting_keep_their_ways() -> None:
    """A model of 0.1 says nothing of anchors' rounding or of the original's pixels: it was trained without."""
    recipe = find("faster-rcnn-vgg16")
    model = create("faster-rcnn-vgg16", classes=("a",), weights=None, settings={"width": 8})
    later = ("anchor_base", "allowed_border", "min_size_in")
    older = {key: value for key, value in model.manifest.settings.items() if key not in later}
    found = recorded_settings(Manifest(recipe.name, older, ("a",), (0,), model.preprocess))
    assert (found.anchor_base, found.allowed_border, found.min_size_in) == (0.0, None, "input")
    assert (found.width, found.size) == (8, 600)
    assert recorded_settings(model.manifest).anchor_base == 16


def test_r_cnn_moves_boxes_by_pool5() -> None:
    torch.manual_seed(0)
    small = {"size": 64, "longest": 64, "crop": 64, "context": 4, "regions_sampled": 4, "proposals": 6}
    model = create("rcnn-vgg16", classes=("a", "b"), weights=None, settings=small)
    head = model.net.get_submodule("regions").eval()
    assert head.box_width == 512 * 2 * 2  # 4x4 cells of 64 pixels, pooled
    assert head.offsets.in_features == 2048 and head.scores.in_features == 4096
    boxes = torch.tensor([[[0.0, 0, 30, 30], [10, 10, 60, 60], [20, 4, 50, 40]]])
    regions = Priors(boxes, torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool))
    levels = [torch.randn(1, 3, 64, 64)]
    with torch.no_grad():
        torch.nn.init.normal_(head.offsets.weight)
        found = head(levels, regions)
        maps = head.box_features(levels, regions)
        patches = head.pool(levels, regions).flatten(0, 1)
        pooled = torch.nn.functional.max_pool2d(head.body.trunk(patches)[0], 2).flatten(1)
    torch.testing.assert_close(maps[0], pooled)
    torch.testing.assert_close(found.deltas.flatten(2)[0], head.offsets(pooled))
    torch.testing.assert_close(found.logits, head.scores(head.features(levels, regions)))
    head.chunk = 2
    with torch.no_grad():
        torch.testing.assert_close(head(levels, regions).deltas, found.deltas)
    with pytest.raises(InputError, match=r"box_features=pool5 is of networks with fc6 and fc7"):
        create("rcnn-resnet50", classes=("a",), weights=None, settings={"box_features": "pool5"})


def test_fc6_and_fc7_need_a_file_that_has_them() -> None:
    from boxwright.backbones.vgg import VGG, VGGLayers
    from boxwright.weights.trunk import build_trunk
    from boxwright.weights.vgg import load_trunk, rename

    with torch.device("meta"):
        trunk = build_trunk("vgg11", ("fc7", "fc6"))
        maps = trunk(torch.zeros(2, 3, 224, 224, device="meta"))
        convolutions = VGG(11)
        alone = VGGLayers(11, ("fc6",))
    assert [tuple(one.shape) for one in maps] == [(2, 4096, 1, 1)] * 2
    assert alone.fc7 is None
    state = {theirs: convolutions.state_dict()[ours] for theirs, ours in rename(convolutions).items()}
    with pytest.raises(InputError, match=r"vgg\.safetensors: has no fc6 and fc7, .*; take conv5"):
        load_trunk(trunk.backbone, state, Path("vgg.safetensors"))
    with pytest.raises(InputError, match="at once; take fc6 and fc7, or convolutions"):
        build_trunk("vgg11", ("fc7", "conv5"))


def test_inner_taps_and_average_pooling_are_the_papers() -> None:
    """Each against the layers called one after the other."""
    from boxwright.weights.trunk import build_trunk

    torch.manual_seed(0)
    taps = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1", "conv4_2", "conv3")
    trunk = build_trunk("vgg16", taps, pooling="average").eval()
    image = torch.rand(1, 3, 32, 32)
    found = dict(zip(taps, trunk(image), strict=True))
    x, seen = (image - trunk.mean) / trunk.std, {}
    for number, block in enumerate(trunk.backbone.blocks, 1):
        x = torch.nn.functional.avg_pool2d(x, 2) if number > 1 else x
        convolutions = [layer for layer in block if isinstance(layer, torch.nn.Conv2d)]
        for place, layer in enumerate(convolutions, 1):
            x = layer(x).relu()
            seen[f"conv{number}_{place}"] = x
    for tap in taps:
        torch.testing.assert_close(found[tap], seen["conv3_3" if tap == "conv3" else tap])
    with pytest.raises(InputError, match="average pooling of resnet18"):
        build_trunk("resnet18", ("stage1",), pooling="average")
