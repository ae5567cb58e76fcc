from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.segment.scenes import disc_scene, write_pairs

from boxwright.errors import InputError
from boxwright.segment.data import LabelledPictures, open_labelled
from boxwright.segment.masks import IGNORED
from boxwright.segment.model import describe
from boxwright.segment.networks import begin, settled, tiling
from boxwright.segment.settings import LossSettings, NetSettings, VarySettings
from boxwright.segment.task import SegmentTask
from boxwright.segment.weight_map import border_weights, objects_of

SMALL, LOSS = NetSettings(width=2, depth=1, tile=36), LossSettings()
STILL = VarySettings(elastic=0, rotate=0, flip=False, brightness=0, contrast=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return open_labelled(write_pairs(tmp_path_factory.mktemp("task") / "data", 4))


def task_of(
    data: LabelledPictures,
    net: NetSettings = SMALL,
    vary: VarySettings = STILL,
    loss: LossSettings = LOSS,
    val: LabelledPictures | None = None,
) -> SegmentTask:
    torch.manual_seed(0)
    network = begin("unet", len(data.classes.names), net)
    card = describe("unet", data.classes, settled(network, net), tiling(network, net), {})
    return SegmentTask(network, card, tiling(network, net), data, val, vary, loss)


def test_a_window_is_the_picture_with_the_margin_and_the_labels_without(data: LabelledPictures) -> None:
    task = task_of(data)
    margin = task.tiling.margin
    assert (task.tiling.tile, margin) == (36, 8)
    picture, labels, border = task.example(2, np.random.default_rng(0)).arrays
    assert picture.shape == (3, 52, 52) and labels.shape == border.shape == (36, 36)
    whole, mask = disc_scene(2)
    corners = [(y, x) for y in range(13) for x in range(29)]
    (place,) = [(y, x) for y, x in corners if np.array_equal(labels, mask[y : y + 36, x : x + 36])]
    inner = picture[:, margin:-margin, margin:-margin].transpose(1, 2, 0)
    np.testing.assert_allclose(
        inner, whole[place[0] : place[0] + 36, place[1] : place[1] + 36] / 255, atol=1e-6
    )
    wanted = border_weights(objects_of(mask.astype(np.uint8)), 10, 5)
    np.testing.assert_allclose(border, wanted[place[0] : place[0] + 36, place[1] : place[1] + 36], atol=1e-6)


def test_a_padded_net_learns_from_all_of_a_window(data: LabelledPictures) -> None:
    task = task_of(data, NetSettings(width=2, depth=1, padded=True, tile=32))
    picture, labels, _ = task.example(0, np.random.default_rng(0)).arrays
    assert picture.shape[1:] == labels.shape == (32, 32)


def test_an_epoch_has_windows_as_pictures_have_area(data: LabelledPictures) -> None:
    assert task_of(data).count == 4 * 2  # 48 x 64 pixels in tiles of 36 x 36
    assert task_of(data, NetSettings(width=2, depth=1, padded=True, tile=256)).count == 4


def test_an_example_is_a_function_of_its_arguments(data: LabelledPictures) -> None:
    one, two = task_of(data, vary=VarySettings()), task_of(data, vary=VarySettings())
    one.example(1, np.random.default_rng(9))  # what went before changes nothing
    for a, b in zip(
        one.example(3, np.random.default_rng(5)).arrays,
        two.example(3, np.random.default_rng(5)).arrays,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_classes_are_balanced_over_the_training_pictures(data: LabelledPictures) -> None:
    parts = np.bincount(np.concatenate([data.read(i).labels.ravel() for i in range(4)]))
    weights = task_of(data, loss=LossSettings(balance="inverse"))._weights.numpy()
    np.testing.assert_allclose(weights * parts, (weights * parts)[0], rtol=1e-5)
    assert task_of(data, loss=LossSettings(balance="none"))._weights.tolist() == [1, 1]


def test_losses(data: LabelledPictures) -> None:
    task = task_of(data, loss=LossSettings(balance="none", border=0, dice=0.5))
    batch = [torch.from_numpy(a)[None] for a in task.example(0, np.random.default_rng(0)).arrays]
    task.net.eval().requires_grad_(False)
    found = task.losses(task.net, *batch)
    assert float(found["loss"]) == pytest.approx(float(found["cross_entropy"]) + 0.5 * float(found["dice"]))
    logits = task.net(batch[0])
    assert float(found["cross_entropy"]) == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, batch[1])), rel=1e-5
    )
    # Ignored pixels teach nothing: their gradient is none.
    batch[1][:, :10] = IGNORED
    logits = task.net(batch[0]).requires_grad_()

    class Said(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return logits

    task.losses(Said(), *batch)["loss"].backward()
    assert (logits.grad[:, :, :10] == 0).all() and (logits.grad[:, :, 10:] != 0).any()


def test_figures_are_of_what_validates(data: LabelledPictures) -> None:
    val = data.only(["1"])
    task = task_of(data, val=val)

    class Truth(torch.nn.Module):
        """Says what the mask says, whatever the tile."""

        multiple = 1

        def __init__(self) -> None:
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            inner = pictures[:, :, 8:-8, 8:-8]
            disc = inner[:, :1] * 255 > 128
            return torch.cat((~disc, disc), 1).float()

    with torch.inference_mode():
        found = task.measure(Truth())
    picture, mask = disc_scene(1)
    wrong = (picture[..., 0] > 128) != mask
    assert found["pixel_error"] == pytest.approx(wrong.mean())
    assert task.figure == "miou" and task.figure in found
    unjudged = task_of(data)
    with torch.inference_mode():
        assert unjudged.figure == "train_miou" and unjudged.figure in unjudged.measure(Truth())


def test_facts_tell_one_run_from_another(data: LabelledPictures) -> None:
    base = task_of(data, val=data.only(["1"])).facts()
    assert base == task_of(data, val=data.only(["1"])).facts()
    others = [
        task_of(data, val=data.only(["2"])),
        task_of(data.only(["0"]), val=data.only(["1"])),
        task_of(data, val=data.only(["1"]), vary=replace(STILL, elastic=1)),
        task_of(data, val=data.only(["1"]), loss=LossSettings(dice=1)),
    ]
    assert all(other.facts() != base for other in others)


def test_a_spoilt_picture_is_named_when_it_is_met(tmp_path: Path) -> None:
    labelled = open_labelled(write_pairs(tmp_path, 2))
    (tmp_path / "images/1.png").write_bytes(b"gone")
    with pytest.raises(ValueError, match=r"1\.png"):
        task_of(labelled, loss=LossSettings(balance="none"))


def test_masks_of_one_class_teach_nothing_and_a_class_without_a_pixel_is_named(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "data", 2)
    few = task_of(open_labelled(folder, classes="0=background,255=disc,7=ring"))
    assert few.warnings() == ("no training picture has a pixel of ring",)
    for mask in (folder / "masks").iterdir():
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(mask)
    with pytest.raises(InputError, match="nothing to learn: all pixels are background"):
        task_of(open_labelled(folder, classes="0=background,255=disc")).warnings()
