"""Teaching a network one style: what it learns from, that it learns, and what a continuation must agree on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.draw import write_picture
from boxwright.errors import InputError
from boxwright.perceptual.style_apply import Painter
from boxwright.perceptual.style_settings import STYLE_TRAINING, StyleNetSettings, StyleWeights
from boxwright.perceptual.style_train import StyleTask
from boxwright.training.task_loop import train_task
from boxwright.weights.trunk import build_trunk

BY = StyleWeights(content_taps=("conv1",), style_taps=("conv1", "conv2"), style=10.0)
NET = StyleNetSettings(width=4, blocks=1, crop=32, style_side=48)
DESCENT = replace(
    STYLE_TRAINING, iterations=24, batch=2, lr=5e-3, warmup=2, ema=0.0, amp="off", eval_every=100
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Smooth pictures of several sizes."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(6):
        rows, columns = np.mgrid[: 50 + number, :60]
        waves = np.stack([np.sin(rows / (6 + number) + i) + np.cos(columns / 9 - i) for i in range(3)], -1)
        write_picture(folder / f"{number}.png", np.uint8(127 + 60 * waves))
    return sorted(folder.iterdir())


def checks() -> np.ndarray:
    squares = (np.add.outer(np.arange(48) // 4, np.arange(48) // 4) % 2)[..., None]
    return np.where(squares == 1, (250, 220, 40), (20, 30, 120)).astype(np.uint8)


def task(photographs: list[Path], style: np.ndarray | None = None) -> StyleTask:
    torch.manual_seed(2)
    judge = build_trunk("vgg11", BY.taps)
    return StyleTask(checks() if style is None else style, photographs[:4], photographs[4:], judge, NET, BY)


def test_an_example_is_a_square_of_a_picture(photographs: list[Path]) -> None:
    found = task(photographs)
    one, same = (found.example(1, np.random.default_rng(3)) for _ in range(2))
    (square,) = one.arrays
    assert square.shape == (3, 32, 32) and square.dtype == np.float32 and one.path == str(photographs[1])
    assert np.array_equal(square, same.arrays[0]) and 0 <= square.min() < square.max() <= 1
    assert not np.array_equal(square, found.example(1, np.random.default_rng(4)).arrays[0])
    assert found.count == 4


class Swap(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flip(0)


def test_losses_are_of_each_picture_and_its_own_content(photographs: list[Path]) -> None:
    found = task(photographs)
    pictures = torch.stack(
        [torch.from_numpy(found.example(i, np.random.default_rng(i)).arrays[0]) for i in range(2)]
    )
    same = found.losses(torch.nn.Identity(), pictures)
    assert same["content"] == 0 and same["style"] > 0
    parts = same["content"] + same["style"] + same["variation"]
    assert same["loss"].item() == pytest.approx(parts.item(), rel=1e-6)
    # A network that gives each picture the other's place: the style of both, the content of neither.
    other = found.losses(Swap(), pictures)
    assert other["content"] > 0
    assert other["style"].item() == pytest.approx(same["style"].item(), rel=1e-5)


def test_it_learns_a_style_and_paints_from_its_file(photographs: list[Path], tmp_path: Path) -> None:
    found = task(photographs)
    with torch.inference_mode():
        before = found.measure(found.net)
    done = train_task(found, DESCENT, tmp_path / "run")
    assert float(done.card.notes["style"]) < 0.9 * before["style"]
    assert float(done.card.notes["loss"]) < before["loss"]
    assert done.card.settings["width"] == 4
    (painted,) = Painter.open(done.best, device="cpu")([checks()])
    assert painted.shape == (48, 48, 3)
    # Two held-out pictures, and under each how it is painted, with a gap of 4.
    assert found.picture(done.net).shape == (2 * 32 + 4, 2 * 32 + 4, 3)


def test_a_continuation_learns_the_same_style(photographs: list[Path], tmp_path: Path) -> None:
    short = replace(DESCENT, iterations=2)
    train_task(task(photographs), short, tmp_path)
    with pytest.raises(InputError, match="the style's pixels have changed since the run began"):
        train_task(task(photographs, 255 - checks()), short, tmp_path, resume=True)
    with pytest.raises(InputError, match="the pictures have changed since the run began"):
        train_task(task(photographs[::-1]), short, tmp_path, resume=True)
    assert train_task(task(photographs), short, tmp_path, resume=True).iterations == 2
