"""One network, two ways to run it: window by window, and with one map for all windows of a shape."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import boxwright as bw
from boxwright.errors import InputError
from boxwright.heads.windows import WindowHead
from boxwright.model import Model, create, with_settings
from boxwright.recipes import RECIPES
from boxwright.runtime.export import export_onnx
from boxwright.types import Priors, given

LITE, VGG = "sliding-window-efficientnet-lite0", "sliding-window-vgg16"
CLASSES = ("a", "b", "c")
SMALL: dict[str, Any] = {"size": 96, "longest": 128, "crop": 64, "sides": (0.4, 0.75), "ratios": (0.5, 1.0)}


@lru_cache(maxsize=2)
def both(name: str) -> tuple[Model, Model]:
    """A model of either kind with the same weights."""
    torch.manual_seed(0)
    one = create(name, classes=CLASSES, weights=None, settings=SMALL)
    nn.init.normal_(one.net.regions.scores.weight, std=0.1)
    awake(one)
    return one, with_settings(one, {"shared": True})


def awake(model: Model) -> None:
    """Norms take the statistics of one batch, or else nothing would be left of the pixels behind so many layers."""
    for layer in model.net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = 1.0
    model.net.train()
    logits(model, *fed(model, picture(97, 131)))
    model.net.eval()


def fed(model: Model, picture: np.ndarray) -> tuple[Tensor, Priors]:
    """A picture as the network is fed it, with its windows."""
    (ready,) = [model.predictor().read(picture)]
    boxes = ready.regions[None]
    return torch.from_numpy(ready.pixels)[None], given(boxes, np.ones(boxes.shape[:2], np.bool_))


def picture(height: int, width: int) -> np.ndarray:
    """Smooth, so that neighbouring windows differ in what is in them and not in noise."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    fine = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (255 * fine[0]).byte().permute(1, 2, 0).numpy()


@torch.no_grad()
def logits(model: Model, images: Tensor, regions: Priors) -> Tensor:
    return model.net(images, torch.tensor([images.shape[2:]] * len(images)), regions).logits[0]


@pytest.mark.parametrize("name", [LITE, VGG])
def test_names_and_shapes_are_the_same(name: str) -> None:
    with torch.device("meta"):
        one, shared = (
            RECIPES[name].build(3, replace(RECIPES[name].settings, shared=shared)) for shared in (False, True)
        )
    layouts = [[(key, v.shape) for key, v in parts.net.state_dict().items()] for parts in (one, shared)]
    assert layouts[0] == layouts[1]
    assert isinstance(shared.net.regions, WindowHead)
    assert not isinstance(one.net.regions, WindowHead)


@pytest.mark.parametrize(("name", "cell", "step"), [(LITE, 1 / 3, 1 / 3), (VGG, 1 / 14, 5 / 14)])
def test_windows_lie_on_the_trunks_cells(name: str, cell: float, step: float) -> None:
    """Lite0 has 3 cells of 32 pixels in its crop of 96, VGG 14 of 16 in 224 before its last pooling."""
    with torch.device("meta"):
        source = RECIPES[name].build(3, replace(RECIPES[name].settings, shared=True)).regions
    assert source.cell == pytest.approx(cell)
    boxes = replace(source, sides=(0.2,), ratios=(1.0,))(np.zeros((300, 300, 3), np.uint8))
    np.testing.assert_allclose(np.diff(np.unique(boxes[:, 0])), 60 * step, rtol=1e-4)


@pytest.mark.parametrize("name", [LITE, pytest.param(VGG, marks=pytest.mark.slow)])
def test_windows_are_scored_where_they_lie(name: str) -> None:
    """With filters that read their middle alone no cell sees padding, and both ways are equal for every window."""
    one = with_settings(both(name)[0], {})
    torch.manual_seed(1)
    for layer in one.net.regions.body.trunk.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1:
            middle = layer.kernel_size[0] // 2
            kept = torch.randn(layer.weight.shape[:2]) * (2 / layer.weight.shape[1]) ** 0.5
            nn.init.zeros_(layer.weight)
            layer.weight.data[:, :, middle, middle] = kept
    awake(one)
    # A random network of this depth makes much of a last digit: corners that are whole pixels, and double precision.
    one = with_settings(one, {"sides": (0.375, 0.75), "ratios": (0.25, 1.0)})
    shared = with_settings(one, {"shared": True})
    images, regions = fed(shared, picture(96, 128))
    assert regions.valid.sum() >= 16
    assert (regions.boxes == regions.boxes.round()).all()
    for model in (one, shared):
        model.net.double()
    expected, actual = (logits(model, images.double(), regions) for model in (one, shared))
    assert expected.std(0).min() > 0.01
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_with_padding_the_whole_image_is_equal_and_others_are_not() -> None:
    """Padding shows a window that is seen alone zeros where others see its neighbours."""
    one, shared = both(LITE)
    changes = {"sides": (0.5, 1.0), "ratios": (1.0,)}
    one, shared = with_settings(one, changes), with_settings(shared, changes)
    images, regions = fed(shared, picture(100, 100))
    whole = regions.boxes[0, :, 2] - regions.boxes[0, :, 0] == images.shape[3]
    assert whole.sum() == 1
    difference = (logits(shared, images, regions) - logits(one, images, regions)).abs()
    assert difference[whole].max() < 1e-4
    assert difference[~whole].max() > 0.1


@pytest.mark.parametrize("sizes", [[(60, 80)], [(1, 90)], [(90, 1)], [(3, 4), (200, 90), (1, 300)]])
def test_pictures_of_all_shapes_are_predicted(sizes: list[tuple[int, int]]) -> None:
    pictures = [picture(*size) for size in sizes]
    results = [result for model in both(LITE) for result in model.predict(pictures, score=0.0)]
    for size, result in zip(sizes * 2, results, strict=True):
        assert result.size == size
        assert np.isfinite(result.scores).all()
        assert (result.boxes[:, 2:] <= size[::-1]).all()
        # Pictures thinner than the windows have none, and nothing to find.
        assert (len(result) > 0) == (min(size) > 1)


def test_a_trained_model_is_made_to_share(tmp_path: Path) -> None:
    """A file of window by window, opened, changed, saved, and opened again by who knows nothing of it."""
    one, _ = both(LITE)
    file = one.save(tmp_path / "one.safetensors")
    shared = bw.load(with_settings(bw.load(file), {"shared": True}).save(tmp_path / "shared.safetensors"))
    assert isinstance(shared.net.regions, WindowHead)
    assert shared.manifest.regions.cell == pytest.approx(0.5)
    (result,) = shared.predict(picture(80, 100), score=0.0)
    (direct,) = with_settings(one, {"shared": True}).predict(picture(80, 100), score=0.0)
    assert len(result) > 0
    np.testing.assert_array_equal(result.scores, direct.scores)


def test_no_graph_lays_windows() -> None:
    with pytest.raises(InputError, match=r"found beforehand|inputs of any size"):
        export_onnx(both(LITE)[1], "never.onnx", images=[])


def test_settings_change_what_they_name_and_nothing_else() -> None:
    one, _ = both(LITE)
    preprocess = replace(one.preprocess, mean=(0.1, 0.2, 0.3))
    one = with_settings(one, {})
    one.manifest = replace(one.manifest, preprocess=preprocess, score=0.7, ids=(7, 8, 9), notes={"by": "me"})
    other = with_settings(one, {"floor": 0.2, "shared": True})
    assert other.decoder.floor == 0.2
    assert other.preprocess == other.manifest.preprocess == preprocess
    assert (other.manifest.score, other.manifest.ids, other.manifest.notes) == (0.7, (7, 8, 9), {"by": "me"})
    assert not other.net.training
    assert with_settings(one, {"size": 64}).preprocess.size == (64, 128)
    for left, right in zip(one.net.parameters(), other.net.parameters(), strict=True):
        assert torch.equal(left, right)
        assert left.data_ptr() != right.data_ptr()
    with pytest.raises(InputError, match=r"unknown setting model\.share; did you mean shared"):
        with_settings(one, {"share": True})
    with pytest.raises(InputError, match="not weights of this network"):
        with_settings(create("rcnn-efficientnet-lite0", classes=CLASSES, weights=None), {"judge": "softmax"})
