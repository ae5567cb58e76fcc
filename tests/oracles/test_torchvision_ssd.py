"""SSD300 with torchvision's weights computes what torchvision computed: head, boxes, losses, detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from boxwright.errors import InputError
from boxwright.model import Model
from boxwright.types import Batch, Predictions, Targets
from boxwright.weights import from_torchvision


@pytest.fixture(scope="module")
def case(shared: Path) -> reference.Case:
    return reference.load(shared / "reference/torchvision", "ssd300_vgg16")


@pytest.fixture(scope="module")
def model(case: reference.Case) -> Model:
    return from_torchvision("ssd300_vgg16", case.state_dict())


@pytest.fixture(scope="module")
def batch(case: reference.Case, model: Model) -> Batch:
    """Both images, with the first two of the case's targets in the input's pixels."""
    images = torch.from_numpy(np.stack([model.preprocess(image.numpy()) for image in case.images()]))
    sizes = torch.tensor([[300, 300]] * 2)
    return Batch(images, sizes, targets(case, [0, 1]), ("0", "1"))


def targets(case: reference.Case, which: list[int]) -> Targets:
    boxes = torch.zeros(len(which), 3, 4)
    labels = torch.zeros(len(which), 3, dtype=torch.long)
    valid = torch.zeros(len(which), 3, dtype=torch.bool)
    for row, (number, image) in enumerate(zip(which, case.spec["inputs"], strict=False)):
        target = case.spec["targets"][number]
        count = len(target["labels"])
        if count:
            scale = torch.tensor([300 / image["w"], 300 / image["h"]] * 2)
            boxes[row, :count] = torch.tensor(target["boxes"]) * scale
            labels[row, :count] = torch.tensor(target["labels"]) - 1
            valid[row, :count] = True
    return Targets(boxes, labels, valid, torch.zeros_like(valid))


@pytest.fixture(scope="module")
def out(model: Model, batch: Batch) -> Predictions:
    with torch.no_grad():
        return model.net(batch.images, batch.sizes)


def first(out: Predictions, count: int) -> Predictions:
    priors = out.priors
    return Predictions(
        out.logits[:count], out.deltas[:count], type(priors)(priors.boxes, priors.level, priors.valid[:count])
    )


def test_head_outputs(case: reference.Case, out: Predictions) -> None:
    stride = case.spec["stride"]
    ours = out.logits[0, ::stride].roll(1, -1).numpy()  # torchvision's background is column 0
    theirs = case.outputs["cls_logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()
    theirs = case.outputs["bbox_regression"]
    assert np.abs(out.deltas[0, ::stride, 0].numpy() - theirs).max() < 1e-3 * theirs.std()


def test_default_boxes(case: reference.Case, out: Predictions) -> None:
    assert out.priors.boxes.shape == (1, 8732, 4)
    ours = out.priors.boxes[0, :: case.spec["stride"]].numpy()
    np.testing.assert_allclose(ours, case.outputs["anchors"], atol=1e-3)


@pytest.mark.parametrize(
    ("loss", "which"),
    [("loss0", [0]), ("loss1", [0, 1]), ("loss2", [2])],
    ids=["objects", "an image without objects", "objects that share their best priors"],
)
def test_losses(case: reference.Case, model: Model, out: Predictions, loss: str, which: list[int]) -> None:
    losses = model.objective(first(out, len(which)), targets(case, which))
    assert losses.classification.item() == pytest.approx(
        float(case.outputs[f"{loss}_classification"]), rel=1e-4
    )
    assert losses.localisation.item() == pytest.approx(
        float(case.outputs[f"{loss}_bbox_regression"]), rel=1e-4
    )


def test_detections(case: reference.Case, model: Model) -> None:
    """The whole model, from images of two sizes to boxes in their own pixels."""
    for number, result in enumerate(model.predict(case.images())):
        boxes, scores, labels = (
            case.outputs[f"det{number}_{part}"] for part in ("boxes", "scores", "labels")
        )
        np.testing.assert_allclose(result.scores, scores, atol=1e-4)
        # Where scores differ by less than the tolerance the order is free: compare as sorted by label and place.
        ours = sorted(zip(result.labels.tolist(), result.boxes.round(1).tolist(), strict=True))
        theirs = sorted(zip(labels.tolist(), boxes.round(1).tolist(), strict=True))
        assert [label for label, _ in ours] == [label for label, _ in theirs]
        np.testing.assert_allclose([box for _, box in ours], [box for _, box in theirs], atol=0.11)
        apart = np.abs(np.diff(scores)) > 1e-4
        settled = np.concatenate([[True], apart]) & np.concatenate([apart, [True]])
        np.testing.assert_array_equal(result.labels[settled], labels[settled])
        np.testing.assert_allclose(result.boxes[settled], boxes[settled], atol=0.05)


def test_saved_and_loaded_it_is_the_same(case: reference.Case, model: Model, tmp_path: Path) -> None:
    import boxwright as bw

    image = case.images()[0]
    again = bw.load(model.save(tmp_path / "ssd.safetensors"))
    for ours, theirs in zip(model.predict(image), again.predict(image), strict=True):
        np.testing.assert_array_equal(ours.boxes, theirs.boxes)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


@pytest.mark.parametrize("change", ["missing", "shape", "extra"])
def test_other_weights_are_refused(case: reference.Case, change: str) -> None:
    state = case.state_dict()
    if change == "missing":
        del state["backbone.features.0.weight"]
    elif change == "shape":
        state["backbone.features.0.weight"] = torch.zeros(64, 1, 3, 3)
    else:
        state["backbone.features.99.weight"] = torch.zeros(1)
    with pytest.raises(InputError, match="not weights of this network"):
        from_torchvision("ssd300_vgg16", state)
