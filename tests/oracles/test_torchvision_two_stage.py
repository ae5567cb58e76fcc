"""Faster R-CNNs with torchvision's weights compute what torchvision computed, stage by stage and as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from boxwright.detectors import TwoStage
from boxwright.model import Model
from boxwright.types import TwoStageOutput

NAMES = ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn")
ALL = 10**6  # more than there are: nothing is drawn at random


@pytest.fixture(scope="module", params=NAMES)
def pair(shared: Path, request: pytest.FixtureRequest) -> tuple[reference.Case, Model]:
    return reference.built(shared / "reference/torchvision", request.param)


def near(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()


def test_proposal_head(case: reference.Case, model: Model) -> None:
    one = reference.batch(case, model, 0)
    net = model.net.dense
    assert net is not None
    with torch.no_grad():
        levels = net.neck(net.backbone(one.images))
        for number, level in enumerate(levels):
            seen = net.head.tower([level])[0]
            for name, layer in (("logits", net.head.scores), ("deltas", net.head.offsets)):
                values = layer(seen).flatten().numpy()
                theirs = case.outputs[f"rpn_{name}{number}"]
                near(values[:: max(1, len(values) // 2000)], theirs)


def test_proposals(case: reference.Case, out: TwoStageOutput) -> None:
    theirs = case.outputs["proposals"]
    ours = out.regions.priors.boxes[0, : len(theirs)].numpy()
    assert out.regions.priors.valid[0, : len(theirs)].all()
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_pooled_features(case: reference.Case, model: Model, out: TwoStageOutput) -> None:
    one = reference.batch(case, model, 0)
    net = model.net
    assert isinstance(net, TwoStage)
    with torch.no_grad():
        levels = net.proposals.neck(net.backbone(one.images))
        pooled = net.regions.pool(levels, out.regions.priors)
    near(pooled[0, :8].numpy(), case.outputs["pooled_first8"])


def test_region_head(case: reference.Case, out: TwoStageOutput) -> None:
    theirs = case.outputs["cls_first200"]
    near(np.roll(out.regions.logits[0, : len(theirs)].numpy(), 1, -1), theirs)
    theirs = case.outputs["box_first200"]
    near(out.regions.deltas[0, : len(theirs)].flatten(1).numpy(), theirs[:, 4:])


@pytest.mark.parametrize(("loss", "which"), [("loss0", (0,)), ("loss1", (0, 1))])
def test_losses(case: reference.Case, model: Model, loss: str, which: tuple[int, ...]) -> None:
    net, objective = model.net, model.objective
    assert isinstance(net, TwoStage)
    images = reference.batch(case, model, *which)
    sampler = net.sampler
    net.sampler = replace(sampler, sample=replace(sampler.sample, count=ALL), count=ALL)
    objective = replace(
        objective,
        proposals=replace(objective.proposals, sample=replace(objective.proposals.sample, count=ALL)),
    )
    try:
        with torch.no_grad():
            losses = objective(net(images.images, images.sizes, images.targets), images.targets)
    finally:
        net.sampler = sampler
    for ours, theirs in (
        ("objectness", "loss_objectness"),
        ("proposal_localisation", "loss_rpn_box_reg"),
        ("classification", "loss_classifier"),
        ("localisation", "loss_box_reg"),
    ):
        value = float(case.outputs[f"{loss}_{theirs}"])
        assert getattr(losses, ours).item() == pytest.approx(value, rel=1e-3), ours


def test_detections(case: reference.Case, model: Model) -> None:
    """The whole model, from images of two sizes to boxes in their own pixels."""
    reference.same_detections(case, model.predict(case.images()))
