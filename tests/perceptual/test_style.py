"""Painting by optimisation: both terms fall, a stop changes nothing, and what is wrong is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.modelfile import write_model
from boxwright.perceptual.style import Painting
from boxwright.perceptual.style_loss import StyleLoss, total_variation
from boxwright.perceptual.style_settings import PaintSettings, StyleWeights
from boxwright.weights.trunk import Trunk, build_trunk

BY = StyleWeights(content_taps=("conv2",), style_taps=("conv1", "conv2"), style=10.0)
SMALL = PaintSettings(size=32, scales=2, iterations=4, history=3)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(1)
    return build_trunk("vgg11", BY.taps)


def content() -> np.ndarray:
    """A disc on a slope of grey: a picture with a shape and without texture."""
    rows, columns = np.mgrid[:40, :32]
    disc = ((rows - 20) ** 2 + (columns - 14) ** 2 < 100)[..., None]
    slope = np.broadcast_to((60 + 3 * rows)[..., None], (40, 32, 3))
    return np.where(disc, (180, 90, 60), slope).astype(np.uint8)


def style() -> np.ndarray:
    """Stripes of two colours."""
    stripes = (np.arange(36) // 3 % 2)[:, None, None] * np.ones((36, 30, 1))
    return np.where(stripes == 1, (230, 200, 60), (40, 60, 160)).astype(np.uint8)


def begun(trunk: Trunk, **changes: object) -> Painting:
    return Painting(content(), style(), trunk, replace(SMALL, **changes), BY)


def finished(painting: Painting) -> Painting:
    for _ in painting.steps():
        pass
    return painting


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_from_noise_content_and_style_fall(trunk: Trunk, optimiser: str) -> None:
    painting = finished(begun(trunk, start="noise", optimiser=optimiser, iterations=24))
    first, last = painting.judged(start=True), painting.judged()
    assert last["style"] < 0.3 * first["style"]
    assert last["content"] < 0.7 * first["content"]
    assert painting.image().shape == (32, 26, 3)


def test_from_the_content_it_nears_the_style(trunk: Trunk) -> None:
    painting = finished(begun(trunk, iterations=25, optimiser="adam"))
    first, last = painting.judged(start=True), painting.judged()
    assert first["content"] == 0 and last["content"] > 0
    assert last["loss"] < 0.5 * first["loss"]


def test_units_are_the_pictures_own(trunk: Trunk) -> None:
    """The loss does not hang on the scale of a network's features; to see nothing is to be wrong by the weight."""
    other = build_trunk("vgg11", BY.taps)
    other.load_state_dict(trunk.state_dict())
    # The first layer ten times as bright: all features are, as ReLU and pooling are homogeneous without biases.
    for one in (trunk, other):
        for name, parameter in one.named_parameters():
            if name.endswith("bias"):
                parameter.data.zero_()
    first = next(parameter for name, parameter in other.named_parameters() if name.endswith("weight"))
    first.data *= 10
    seen, painting, judged = torch.rand(3, 1, 3, 16, 16)
    one, two = (StyleLoss.of(judge, BY, seen, painting)(judged) for judge in (trunk, other))
    for name in one:
        assert two[name].item() == pytest.approx(one[name].item(), rel=1e-3), name
    # Where the network sees nothing each content tap is wrong by 1, and the weight is what remains.
    judged_by = StyleLoss.of(other, BY, seen, painting)
    squares = {tap: x.square().mean() for tap, x in judged_by.targets.content.items()}
    blind = sum(judged_by.perceptual.content[tap] * square for tap, square in squares.items())
    assert float(blind) == pytest.approx(BY.content)


def test_total_variation_by_hand() -> None:
    picture = torch.tensor([[0.0, 1.0], [0.0, 3.0]]).expand(1, 3, 2, 2)
    assert total_variation(picture).item() == pytest.approx((0 + 4) / 2 + (1 + 9) / 2)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)).item() == 0


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_stopped_anywhere_it_ends_as_if_undisturbed(trunk: Trunk, tmp_path: Path, optimiser: str) -> None:
    whole = begun(trunk, optimiser=optimiser)
    saved = []
    for painting in whole.steps():
        saved.append(tmp_path / f"{painting.done}.safetensors")
        painting.save(saved[-1])
    assert len(saved) == SMALL.total
    for number, path in enumerate(saved, 1):
        parts = begun(trunk, optimiser=optimiser)
        parts.restore(path)
        assert parts.done == number
        finished(parts)
        assert parts.losses == whole.losses
        assert np.array_equal(parts.image(), whole.image()), number


def test_a_state_is_of_one_painting(trunk: Trunk, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    begun(trunk).save(file)
    with pytest.raises(InputError, match="size was 32 in this run and is 33 now"):
        begun(trunk, size=33).restore(file)
    other = Painting(content()[::-1].copy(), style(), trunk, SMALL, BY)
    with pytest.raises(InputError, match="the content's pixels have changed"):
        other.restore(file)
    with pytest.raises(InputError, match="the backbone's weights have changed"):
        begun(build_trunk("vgg11", BY.taps)).restore(file)
    spoilt = bytearray(file.read_bytes())
    spoilt[-20] ^= 1
    file.write_bytes(spoilt)
    with pytest.raises(InputError, match=r"a\.safetensors"):
        begun(trunk).restore(file)
    write_model(file, {}, Card("upscale", {}))
    with pytest.raises(InputError, match="holds no painting that was stopped"):
        begun(trunk).restore(file)


def test_kept_colours_are_the_content_s(trunk: Trunk) -> None:
    painting = finished(begun(trunk, keep_colours=True, iterations=8))
    found, wanted = painting.image().astype(int), begun(trunk, scales=1).image().astype(int)
    inside = ((found > 0) & (found < 255)).all(2)
    assert inside.mean() > 0.5
    for one, other in ((0, 1), (1, 2)):
        difference = (found[..., one] - found[..., other]) - (wanted[..., one] - wanted[..., other])
        assert np.abs(difference[inside]).max() <= 1
    assert np.abs(found - wanted).max() > 10


def test_noise_is_of_its_seed(trunk: Trunk) -> None:
    one, same, other = (begun(trunk, start="noise", seed=seed).image() for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_what_is_not_finite_is_said(trunk: Trunk) -> None:
    painting = begun(trunk)
    next(trunk.parameters()).data.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss of iteration 1 is not finite; lower --lr"):
        finished(painting)
    with pytest.raises(InputError, match="of a picture of 16 x 13 pixels nothing is left at conv5"):
        deep = replace(BY, content_taps=("conv5",))
        Painting(content(), style(), build_trunk("vgg11", deep.taps), replace(SMALL, size=16, scales=1), deep)
