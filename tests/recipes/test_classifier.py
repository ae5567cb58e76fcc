from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import boxwright as bw
from boxwright.data import open_dataset
from boxwright.errors import InputError
from boxwright.model import create
from boxwright.recipes import RECIPES
from boxwright.runtime.export import export_onnx
from boxwright.training import train
from boxwright.training.settings import TrainSettings
from boxwright.types import Targets


def stripes(root: Path, count: int = 12) -> Path:
    """Pictures striped across or down, with noise."""
    for split, first in (("train", 0), ("val", 1000)):
        for number, name in enumerate(("across", "down")):
            (root / split / name).mkdir(parents=True)
            for seed in range(count):
                rng = np.random.default_rng(first + 2 * seed + number)
                pattern = np.indices((32, 32))[number] // 4 % 2 * 120 + 60
                noisy = pattern[..., None] + rng.normal(0, 30, (32, 32, 3))
                picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
                picture.save(root / split / name / f"{seed}.png")
    return root


def test_labelled_pictures_train_evaluate_and_ship(tmp_path: Path) -> None:
    """All the way by the parts that boxes go through."""
    data = stripes(tmp_path / "data")
    model = create("cifar-resnet20", classes=("across", "down"), weights=None)
    settings = TrainSettings(batch=8, epochs=8, lr=0.05, warmup=2, select="accuracy", workers=0, eval_every=4)
    result = train(
        model,
        open_dataset(data, "train"),
        val=open_dataset(data, "val"),
        out=tmp_path / "run",
        settings=settings,
    )
    assert result.report.accuracy["accuracy"] > 0.9
    again = bw.load(result.best)
    (found,) = again.predict(data / "val" / "down" / "3.png", score=0.5)
    assert found.names == ("down",)
    np.testing.assert_allclose(found.boxes, [[0, 0, 32, 32]])
    assert again.evaluate(open_dataset(data, "val")).accuracy == result.report.accuracy


def test_it_ships_as_a_graph(tmp_path: Path) -> None:
    model = create("cifar-resnet20", classes=("a", "b", "c"), weights=None)
    model.net.eval()
    export_onnx(model, tmp_path / "net.onnx", images=[])
    pictures = list(np.random.default_rng(0).integers(0, 255, (3, 40, 30, 3), np.uint8))
    graph = bw.load(tmp_path / "net.onnx")
    for ours, theirs in zip(model.predict(pictures, 0.0), graph.predict(pictures, 0.0), strict=True):
        assert ours.names == theirs.names
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
        np.testing.assert_allclose(theirs.boxes, [[0, 0, 30, 40]] * 3)


def test_the_loss_is_cross_entropy_over_images() -> None:
    model = create("cifar-plain20", classes=("a", "b", "c"), weights=None)
    model.net.eval()
    images, sizes = torch.randn(3, 3, 32, 32), torch.tensor([[32, 32]] * 3)
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0], [4.0, 4.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]])[:, None]
    labels = torch.tensor([[2], [0], [0]])
    valid = torch.tensor([[True], [True], [False]])
    out = model.net(images, sizes)
    losses = model.objective(out, Targets(boxes, labels, valid, ~valid & False))
    # The third image has no label, and teaches nothing.
    expected = torch.nn.functional.cross_entropy(out.logits[:2, 0], labels[:2, 0])
    torch.testing.assert_close(losses.classification, expected)
    assert losses.localisation == 0


def test_boxes_are_not_for_classifiers(tmp_path: Path) -> None:
    import json

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16}],
    }
    (tmp_path / "data.json").write_text(json.dumps(content))
    data = open_dataset(tmp_path / "data.json")
    with pytest.raises(InputError, match="needs a folder of pictures for each class"):
        train("cifar-resnet20", data, val=data, out=tmp_path / "run")


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.task == "classify"])
def test_every_classifier_has_a_trunk_and_stages(name: str) -> None:
    with torch.device("meta"):
        net = RECIPES[name].build(3, RECIPES[name].settings).net
    trunk = {id(p) for p in net.backbone.parameters()}
    staged = {id(p) for stage in net.stages() for p in stage.parameters()}
    assert staged == trunk
    assert len(trunk) < len(list(net.parameters()))
