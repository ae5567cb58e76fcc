"""The probe on networks whose answers are known: pixels, a circular convolution, a constant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.probe import representations as module
from boxwright.probe.measure import Originals
from boxwright.probe.plot import draw
from boxwright.probe.representations import Representations, checked_pools, colour_histogram
from boxwright.probe.run import Probed, probe
from boxwright.probe.table import answer, as_json, save, table
from boxwright.weights.trunk import Trunk


class Circular(nn.Module):
    """A convolution on a torus: it commutes with shifts that go round."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 5, padding=2, padding_mode="circular")

    def forward(self, images: Tensor) -> list[Tensor]:
        return [torch.relu(self.layer(images))]


class Pixels(nn.Module):
    def forward(self, images: Tensor) -> list[Tensor]:
        return [images]


class Constant(nn.Module):
    def forward(self, images: Tensor) -> list[Tensor]:
        return [torch.full_like(images, 0.1)]


def trunk(backbone: nn.Module, mean: float = 0.0, std: float = 1.0) -> Trunk:
    return Trunk(backbone, "own", ("tap",), (mean, mean, mean), (std, std, std)).eval()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Smooth, colourful, between a fifth and four fifths of the range: light can be added without a cut."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    for number in range(7):
        small = Image.fromarray(rng.integers(55, 200, (9, 9, 3), np.uint8))
        small.resize((150 + number, 120), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def probed(pictures: list[Path]) -> Probed:
    return probe(
        pictures, "pixels", Representations(trunk(Pixels(), 0.5, 0.25), ("flatten", "mean")), size=64
    )


def test_light_moves_raw_pixels_by_a_closed_form(probed: Probed) -> None:
    spread = {one.name: one.spread for one in probed.representations}
    for strength in (-0.15, 0.15):
        flat = probed.figure("pixels", "brightness", strength)
        assert flat.moved == pytest.approx(0.15 * np.sqrt(3 * 64 * 64) / spread["pixels"], rel=1e-4)
        mean = probed.figure("mean colour", "brightness", strength)
        assert mean.moved == pytest.approx(0.15 * np.sqrt(3) / spread["mean colour"], rel=1e-4)
        # All pictures move by as much.
        assert (flat.low, flat.high) == pytest.approx((flat.moved, flat.moved), rel=1e-4)


def test_a_network_that_passes_pixels_on_moves_as_they_do(probed: Probed) -> None:
    for raw, name in (("pixels", "tap flatten"), ("mean colour", "tap mean")):
        for one in probed.figures:
            if one.representation == raw:
                other = probed.figure(name, one.change, one.strength)
                assert other.moved == pytest.approx(one.moved, rel=1e-3, abs=1e-5)
                assert other.found == one.found


def test_a_quarter_turn_moves_no_mean_and_no_colours(probed: Probed) -> None:
    for name in ("mean colour", "histogram", "tap mean"):
        # Pillow resizes along rows first, then along columns, and rounds to 8 bits between.
        assert probed.figure(name, "rotation", 90).moved < 0.05
        assert probed.figure(name, "rotation", 90).found == 1
    assert probed.figure("pixels", "rotation", 90).moved > 0.5


def test_the_mean_of_a_map_on_a_torus_does_not_move_when_shifted_round() -> None:
    windows = np.random.default_rng(1).random((6, 64, 64, 3)).astype(np.float32)
    windows = np.stack([window ** (1 + number / 3) for number, window in enumerate(windows)])
    represent = Representations(trunk(Circular(), 0.4, 0.2), ("flatten", "mean", "max"), batch=4)
    still, shifted = represent(windows), represent(np.roll(windows, (7, 11), (1, 2)))
    for name, far in (("tap mean", 0.0), ("tap max", 0.0), ("histogram", 0.0), ("tap flatten", None)):
        originals = Originals.of(still[name])
        for own in range(len(windows)):
            moved, found = originals.compare(shifted[name][own : own + 1], own)
            if far is None:
                assert moved[0] > 0.5
            else:
                assert moved[0] < 1e-4 and found[0] == 1


def test_a_network_that_sees_nothing_says_nothing(pictures: list[Path]) -> None:
    found = probe(pictures[:4], "constant", Representations(trunk(Constant()), ("mean",)), size=64)
    assert {one.found for one in found.figures if one.representation == "tap mean"} == {0.25}
    assert "–  25%" in table(found)
    assert "nothing can be said" in answer(found)
    values = json.loads(as_json(found))
    assert {one["moved"] for one in values["figures"] if one["representation"] == "tap mean"} == {None}


def test_the_same_arguments_give_the_same_figures_whatever_the_batch(
    pictures: list[Path], probed: Probed
) -> None:
    again = probe(
        pictures, "pixels", Representations(trunk(Pixels(), 0.5, 0.25), ("flatten", "mean"), batch=3), size=64
    )
    for one, other in zip(probed.figures, again.figures, strict=True):
        assert other.moved == pytest.approx(one.moved, abs=1e-6) and other.found == one.found


def test_others_stand_in_for_what_cannot_be_read(pictures: list[Path], tmp_path: Path) -> None:
    bad = [tmp_path / f"bad{number}.png" for number in range(3)]
    for path in bad:
        path.write_bytes(pictures[0].read_bytes()[:100])
    represent = Representations(trunk(Pixels()), ("mean",))
    found = probe([*pictures, *bad], "pixels", represent, size=64, count=7)
    assert found.pictures == 7
    whole = probe([*pictures, *bad], "pixels", represent, size=64, count=50)
    assert whole.pictures == 7
    assert sorted(line.split(":")[0] for line in whole.skipped) == [str(path) for path in bad]
    with pytest.raises(InputError, match=r"1 of 4 pictures can be read.*bad\d\.png"):
        probe([pictures[0], *bad], "pixels", represent, size=64)
    with pytest.raises(InputError, match="take at least 64"):
        probe(pictures, "pixels", represent, size=63)


def test_a_part_of_a_long_map_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    windows = (rng.random((5, 64, 64, 3)) * np.linspace(0.3, 1, 5)[:, None, None, None]).astype(np.float32)
    represent = Representations(trunk(Circular()), ("flatten",), seed=4)
    whole = Originals.of(represent(windows)["tap flatten"])
    monkeypatch.setattr(module, "MOST", 4096)
    module._drawn.cache_clear()
    part = represent(windows)["tap flatten"]
    assert part.shape == (5, 4096)
    np.testing.assert_array_equal(part, represent(windows)["tap flatten"])
    changed = represent(windows[:1] * 0.5)["tap flatten"]
    moved = Originals.of(part).compare(changed, 0)[0][0]
    monkeypatch.undo()
    assert moved == pytest.approx(
        whole.compare(represent(windows[:1] * 0.5)["tap flatten"], 0)[0][0], rel=0.05
    )


def test_the_colour_histogram_counts_colours() -> None:
    windows = np.zeros((2, 4, 4, 3), np.float32)
    windows[1, :2] = (1.0, 0.5, 0.13)  # the last bin of red, the fifth of green, the second of blue
    shares = colour_histogram(windows) ** 2
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    assert shares[1, 7 * 64 + 4 * 8 + 1] == pytest.approx(0.5)
    assert shares[1, 0] == pytest.approx(0.5)


def test_poolings_by_name() -> None:
    assert checked_pools(["max", "flatten", "max"]) == ("flatten", "max")
    with pytest.raises(InputError, match="did you mean mean"):
        checked_pools(["meen"])
    with pytest.raises(InputError, match="there are flatten, mean, max"):
        checked_pools([])


def test_what_is_written(probed: Probed, tmp_path: Path) -> None:
    save(probed, tmp_path)
    draw(probed, tmp_path / "probe.png")
    lines = (tmp_path / "probe.csv").read_text().splitlines()
    assert len(lines) == 1 + len(probed.figures)
    first = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert float(first["moved"]) == probed.figures[0].moved
    assert json.loads((tmp_path / "probe.json").read_text())["pictures"] == 7
    assert (tmp_path / "probe.txt").read_text() == f"{table(probed)}\n\n{answer(probed)}\n"
    assert max(len(line) for line in table(probed).splitlines()) <= 115
    drawn = read_image(tmp_path / "probe.png")
    assert drawn.shape[1] > drawn.shape[0] and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 50
    with pytest.raises(KeyError):
        probed.figure("tap max", "shift", 2)
