"""A painting's files: the result, the previews on the way, and what a stop leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.perceptual.style import Painting
from boxwright.perceptual.style_run import paint, preview_of, state_of
from boxwright.perceptual.style_settings import PaintSettings, StyleWeights
from boxwright.training.stop import Interrupted
from boxwright.weights.trunk import Trunk, build_trunk

BY = StyleWeights(content_taps=("conv1",), style_taps=("conv1", "conv2"), style=10.0)
SETTINGS = PaintSettings(size=24, scales=2, iterations=5)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(1)
    return build_trunk("vgg11", BY.taps)


def begun(trunk: Trunk) -> Painting:
    rng = np.random.default_rng(0)
    content, style = (rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((20, 24), (18, 12)))
    return Painting(content, style, trunk, SETTINGS, BY)


def at(number: int, act: Callable[[], object]) -> Callable[[Iterable[Painting]], Iterator[Painting]]:
    """Do something after an iteration, before the painting hears of it."""

    def watch(steps: Iterable[Painting]) -> Iterator[Painting]:
        for painting in steps:
            if painting.done == number:
                act()
            yield painting

    return watch


def stopped(trunk: Trunk, out: Path, number: int = 7) -> None:
    with pytest.raises(Interrupted, match=f"stopped after iteration {number} of 10"):
        paint(begun(trunk), out, watch=at(number, lambda: os.kill(os.getpid(), signal.SIGINT)))


def test_it_ends_in_one_file(trunk: Trunk, tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.png"
    seen: list[np.ndarray] = []
    found = paint(begun(trunk), out, every=4, watch=at(9, lambda: seen.append(read_image(preview_of(out)))))
    assert [file.name for file in out.parent.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(out), found.image) and found.image.shape == (20, 24, 3)
    assert found.iterations == 10 and found.seconds > 0
    # The preview after iteration 8 is of the second scale, and not yet the result.
    assert seen[0].shape == found.image.shape and not np.array_equal(seen[0], found.image)


def test_stopped_it_keeps_all_and_goes_on(trunk: Trunk, tmp_path: Path) -> None:
    whole = paint(begun(trunk), tmp_path / "whole.png")
    out = tmp_path / "a.png"
    stopped(trunk, out)
    assert state_of(out).is_file() and preview_of(out).is_file() and not out.exists()
    found = paint(begun(trunk), out, resume=True)
    assert out.read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert found.last == whole.last and found.iterations == 10
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "whole.png"]


def test_nothing_is_lost_unasked(trunk: Trunk, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    stopped(trunk, out)
    before = state_of(out).read_bytes()
    with pytest.raises(InputError, match="a painting was stopped here; give --resume to go on"):
        paint(begun(trunk), out)
    assert state_of(out).read_bytes() == before
    paint(begun(trunk), out, overwrite=True)
    assert out.is_file() and not state_of(out).exists()
    with pytest.raises(InputError, match="there is nothing to resume"):
        paint(begun(trunk), out, resume=True)


def test_a_kill_between_two_saves_costs_what_came_after_the_last(trunk: Trunk, tmp_path: Path) -> None:
    whole, out = paint(begun(trunk), tmp_path / "whole.png"), tmp_path / "a.png"

    def die() -> None:
        raise SystemError("power cut")

    with pytest.raises(SystemError):
        paint(begun(trunk), out, every=3, watch=at(8, die))
    painting = begun(trunk)
    painting.restore(state_of(out))
    assert painting.done == 6
    assert paint(begun(trunk), out, resume=True).last == whole.last


def test_what_cannot_be_written_is_said_before_the_work(trunk: Trunk, tmp_path: Path) -> None:
    def never(steps: Iterable[Painting]) -> Iterator[Painting]:
        raise AssertionError("it began")

    with pytest.raises(InputError, match="this is no name for a picture"):
        paint(begun(trunk), tmp_path / "a.xyz", watch=never)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        paint(begun(trunk), tmp_path / "file" / "a.png", watch=never)


class Exhausted(torch.nn.Module):
    """A layer for which memory does not suffice, as torch's allocator says it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")


def test_memory_that_does_not_suffice_is_no_defect(trunk: Trunk, tmp_path: Path) -> None:
    painting = begun(trunk)
    trunk.backbone.blocks[1] = Exhausted()  # type: ignore[index]
    with pytest.raises(InputError, match="memory does not suffice; give a smaller --size"):
        paint(painting, tmp_path / "a.png")
