"""Detectors with torchvision's weights compute what torchvision computed: head, boxes, losses, detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from boxwright.errors import InputError
from boxwright.model import Model
from boxwright.types import Predictions
from boxwright.weights import from_torchvision

NAMES = ("ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn")


@pytest.fixture(scope="module", params=NAMES)
def pair(shared: Path, request: pytest.FixtureRequest) -> tuple[reference.Case, Model]:
    return reference.built(shared / "reference/torchvision", request.param)


def test_head_outputs(case: reference.Case, model: Model, out: Predictions) -> None:
    stride = case.spec["stride"]
    ours = out.logits[0, ::stride].numpy()
    if model.decoder.activation == "softmax":
        ours = np.roll(ours, 1, -1)  # torchvision's background is column 0
    theirs = case.outputs["cls_logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()
    theirs = case.outputs["bbox_regression"]
    assert np.abs(out.deltas[0, ::stride, 0].numpy() - theirs).max() < 1e-3 * theirs.std()


def test_anchors(case: reference.Case, out: Predictions) -> None:
    ours = out.priors.boxes[0, :: case.spec["stride"]].numpy()
    np.testing.assert_allclose(ours, case.outputs["anchors"], atol=1e-3)


@pytest.mark.parametrize(
    ("loss", "which"),
    [("loss0", (0,)), ("loss1", (0, 1)), ("loss2", (2,))],
    ids=["objects", "an image without objects", "objects that share their best priors"],
)
def test_losses(
    case: reference.Case, model: Model, out: Predictions, loss: str, which: tuple[int, ...]
) -> None:
    images = reference.batch(case, model, *which)
    if len(which) > 1:
        with torch.no_grad():
            out = model.net(images.images, images.sizes)
    losses = model.objective(out, images.targets)
    for ours, theirs in (("classification", "classification"), ("localisation", "bbox_regression")):
        value = float(case.outputs[f"{loss}_{theirs}"])
        assert getattr(losses, ours).item() == pytest.approx(value, rel=1e-4), ours


def test_detections(case: reference.Case, model: Model) -> None:
    """The whole model, from images of two sizes to boxes in their own pixels."""
    reference.same_detections(case, model.predict(case.images()))


def test_saved_and_loaded_it_is_the_same(model: Model, tmp_path: Path) -> None:
    import boxwright as bw

    again = bw.load(model.save(tmp_path / "model.safetensors"))
    assert again.manifest == model.manifest
    assert (again.objective, again.decoder) == (model.objective, model.decoder)
    own = model.net.state_dict()
    for key, value in again.net.state_dict().items():
        assert torch.equal(value, own[key]), key


FIRST = {
    "ssd300_vgg16": "backbone.features.0.weight",
    "ssdlite320_mobilenet_v3_large": "backbone.features.0.0.0.weight",
    "retinanet_resnet50_fpn": "backbone.body.conv1.weight",
}


@pytest.mark.parametrize("change", ["missing", "shape", "extra"])
def test_other_weights_are_refused(case: reference.Case, model: Model, change: str) -> None:
    name = next(name for name in NAMES if name in case.spec["source"])
    state = {key: torch.zeros(shape) for key, shape in case.spec["layout"].items()}
    if change == "missing":
        del state[FIRST[name]]
    elif change == "shape":
        state[FIRST[name]] = torch.zeros(64, 1, 3, 3)
    else:
        state["backbone.features.99.weight"] = torch.zeros(1)
    with pytest.raises(InputError, match="not weights of this network"):
        from_torchvision(name, state)


def test_frozen_norms_add_nothing_to_the_variance(shared: Path, tmp_path: Path) -> None:
    """Published files were trained with them; the model and its checkpoint remember."""
    import boxwright as bw

    case, plain = reference.built(shared / "reference/torchvision", "retinanet_resnet50_fpn")
    state = {k: v for k, v in case.state_dict().items() if not k.endswith("num_batches_tracked")}
    frozen = from_torchvision("retinanet_resnet50_fpn", state)
    again = bw.load(frozen.save(tmp_path / "frozen.safetensors"))
    for model, eps in ((plain, 1e-5), (frozen, 0.0), (again, 0.0)):
        assert {m.eps for m in model.net.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {eps}


def test_the_first_published_files_names_are_understood(shared: Path) -> None:
    """Towers and pyramids were plain convolutions then: conv.2 is today's conv.1.0."""
    import re

    case, model = reference.built(shared / "reference/torchvision", "retinanet_resnet50_fpn")

    def older(key: str) -> str:
        key = re.sub(r"(_blocks\.\d)\.0\.", r"\1.", key)
        return re.sub(r"(_head\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.", key)

    state = {older(key): value for key, value in case.state_dict().items()}
    assert "head.regression_head.conv.2.weight" in state
    again = from_torchvision("retinanet_resnet50_fpn", state)
    for key, value in model.net.state_dict().items():
        assert torch.equal(again.net.state_dict()[key], value)
