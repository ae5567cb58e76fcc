from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.errors import InputError
from boxwright.model import TorchEngine, create
from boxwright.nms import nms
from boxwright.runtime.export import ParityError, _translate, export_onnx
from boxwright.runtime.onnx import OnnxEngine, load
from boxwright.types import Predictions

from .toys import ColourNet, pictures, toy_model


def inputs(count: int) -> tuple[np.ndarray, np.ndarray]:
    preprocess = toy_model().preprocess
    some = [preprocess(image) for image in pictures()]
    return np.stack([some[i % len(some)] for i in range(count)]), np.full((count, 2), 32, np.int64)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_every_image_of_any_batch_is_as_in_torch(exported: Path, batch: int) -> None:
    model = toy_model()
    images, sizes = inputs(batch)
    theirs = OnnxEngine(exported).run(images, sizes)
    mine = TorchEngine(model.net, model.decoder).run(images, sizes)
    for a, b, name in zip(mine, theirs, ("boxes", "scores", "labels", "valid"), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape, name
        np.testing.assert_allclose(a, b, atol=1e-4, err_msg=name)
    assert theirs[3].sum(1).tolist() == [(2, 4, 0, 1)[i % 4] for i in range(batch)]


def test_the_graph_has_one_dynamic_axis_and_no_traces_of_this_machine(exported: Path) -> None:
    proto = onnx.load(exported)
    onnx.checker.check_model(proto)
    shapes = {
        entry.name: [axis.dim_param or axis.dim_value for axis in entry.type.tensor_type.shape.dim]
        for entry in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes["images"] == ["batch", 3, 32, 32] and shapes["sizes"] == ["batch", 2]
    assert shapes["boxes"][0] == shapes["valid"][0] == "batch"
    content = exported.read_bytes()
    assert os.getcwd().encode() not in content and b".py" not in content  # noqa: PTH109
    assert {entry.key for entry in proto.metadata_props} == {"boxwright", "sha256"}


def test_what_travels_with_the_model_arrives(exported: Path) -> None:
    assert load(exported).manifest == toy_model().manifest


def test_predictions_are_the_model_s(exported: Path) -> None:
    model, graph = toy_model(), load(exported)
    for mine, theirs in zip(model.predict(pictures()), graph.predict(pictures()), strict=True):
        np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.01)
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-5)
        assert mine.names == theirs.names and mine.labels.tolist() == theirs.labels.tolist()
    [empty] = graph.predict(pictures()[2])
    assert len(empty) == 0 and empty.boxes.shape == (0, 4)
    red, green = graph.predict(pictures()[0])[0].labels.tolist()
    assert (red, green) == (7, 3)


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    class Fickle(ColourNet):
        def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> Predictions:
            out = super().forward(images, sizes)
            moved = out.deltas + (0.3 if torch.compiler.is_exporting() else 0.0)
            return Predictions(out.logits, moved, out.priors)

    (tmp_path / "toy.onnx").write_bytes(b"before")
    with pytest.raises(ParityError, match=r"differs from the model: .* wrong or missing"):
        export_onnx(toy_model(Fickle()), tmp_path / "toy.onnx", images=pictures())
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("toy.onnx", b"before")]


def test_a_net_that_fixes_the_batch_is_refused(tmp_path: Path) -> None:
    class Fixed(ColourNet):
        def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> Predictions:
            return super().forward(images.reshape(int(images.shape[0]), 3, 32, 32), sizes)

    with pytest.raises(Exception, match="batch"):
        export_onnx(toy_model(Fixed()), tmp_path / "toy.onnx", images=pictures())
    assert list(tmp_path.iterdir()) == []


def test_the_model_stays_in_training_mode_and_bad_pictures_are_named(tmp_path: Path) -> None:
    model = toy_model()
    model.net.train()
    with pytest.raises(InputError, match=r"nowhere\.jpg: no such file"):
        export_onnx(model, tmp_path / "toy.onnx", images=["nowhere.jpg"])
    assert model.net.training and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_both_stages_of_faster_rcnn_are_one_graph_for_any_batch() -> None:
    torch.manual_seed(0)
    settings = {"size": 64, "channels": 16, "candidates": (20, 20), "proposals": (12, 12), "width": 16}
    recipe = "faster-rcnn-efficientnet-lite0-fpn"
    model = create(recipe, classes=("a", "b"), weights=None, settings=settings)
    with torch.no_grad():  # scores and boxes that differ, so that their order is told
        for name, parameter in model.net.named_parameters():
            if name.startswith(("regions.scores", "regions.offsets", "proposals.head")):
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.net.eval()
    # Without the even picture that every export is tried on: of cells that are alike chance says which is first.
    content = _translate(model.net, model.decoder, (64, 64)).SerializeToString()
    graph = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    for batch in (noise, noise[:1]):
        sizes = np.full((len(batch), 2), 64, np.int64)
        mine = TorchEngine(model.net, model.decoder).run(batch, sizes)
        assert mine[3].sum() > 5 * len(batch)
        for a, b in zip(mine, graph.run(None, {"images": batch, "sizes": sizes}), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)


class Suppress(torch.nn.Module):
    def __init__(self, iou: float, k: int) -> None:
        super().__init__()
        self.iou, self.k = iou, k

    def forward(self, boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        kept: torch.Tensor = torch.ops.boxwright.nms(boxes, scores, groups, self.iou, self.k)
        return kept


@pytest.fixture(scope="module")
def suppression() -> object:
    """The operator alone in ONNX Runtime: 10 boxes, IoU 0.5, 12 places."""
    import onnxruntime

    from boxwright.runtime.onnx_ops import translations

    example = (torch.rand(2, 10, 4), torch.rand(2, 10), torch.arange(10).remainder(3).expand(2, -1))
    batch = torch.export.Dim("batch")
    captured = torch.export.export(Suppress(0.5, 12), example, dynamic_shapes=({0: batch},) * 3)
    program = torch.onnx.export(captured, dynamo=True, verbose=False, custom_translation_table=translations())
    assert program is not None
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString())


corner = st.integers(0, 5)
box = st.tuples(corner, corner, corner, corner)
score = st.sampled_from([-np.inf, np.nan, -1.0, 0.0, 0.25, 0.5])
case = st.lists(st.tuples(box, score, st.integers(0, 2)), min_size=10, max_size=10)


@settings(max_examples=60, deadline=None)
@given(st.lists(case, min_size=1, max_size=4))
def test_the_operator_in_onnx_equals_the_kernel(
    suppression: object, cases: list[list[tuple[object, ...]]]
) -> None:
    boxes, scores, groups = (
        torch.tensor([[row[part] for row in case] for case in cases]) for part in range(3)
    )
    boxes, scores, groups = boxes.float(), scores.float(), groups.long()
    names = [entry.name for entry in suppression.get_inputs()]  # type: ignore[attr-defined]
    fed = dict(zip(names, (boxes.numpy(), scores.numpy(), groups.numpy()), strict=True))
    [theirs] = suppression.run(None, fed)  # type: ignore[attr-defined]
    assert theirs.tolist() == nms(boxes, scores, groups, 0.5, 12).tolist()
