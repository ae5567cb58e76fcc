from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.vae import Vae, VaeSettings, reparameterise


@pytest.mark.parametrize(("size", "width", "terms"), [(32, 2, 0.0), (48, 3, 1.0), (80, 2, 0.5)])
def test_pictures_in_pictures_out_at_any_multiple_of_16(size: int, width: int, terms: float) -> None:
    settings = VaeSettings(size=size, latent=6, width=width, pixels=1 - terms, features=terms)
    net = Vae(settings)
    decoded, mean, log_variance = net(torch.rand(2, 3, size, size), torch.randn(2, 6))
    assert decoded.shape == (2, 3, size, size)
    assert mean.shape == log_variance.shape == (2, 6)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert set(net.log_deviations) == set(settings.terms)


def test_every_weight_learns_and_the_first_posterior_says_something_of_its_picture() -> None:
    torch.manual_seed(0)
    net = Vae(VaeSettings(size=32, latent=8, width=8))
    decoded, mean, log_variance = net(torch.rand(4, 3, 32, 32), torch.randn(4, 8))
    assert 0.1 < mean.std(0).mean() < 1
    assert mean.abs().max() < 4
    assert log_variance.mean().item() == pytest.approx(-3, abs=0.2)
    (decoded.square().mean() + mean.square().mean() + log_variance.square().mean()).backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == ["log_deviations.pixels"]


def test_a_picture_s_code_is_its_own_in_evaluation() -> None:
    torch.manual_seed(0)
    net = Vae(VaeSettings(size=32, latent=4, width=4)).eval()
    pictures, noise = torch.rand(3, 3, 32, 32), torch.randn(3, 4)
    whole = net(pictures, noise)
    for i in range(3):
        alone = net(pictures[i : i + 1], noise[i : i + 1])
        for one, all_ in zip(alone, whole, strict=True):
            torch.testing.assert_close(one[0], all_[i], atol=1e-5, rtol=1e-5)
    mean, log_variance = net.encode(pictures)
    torch.testing.assert_close(net.decode(reparameterise(mean, log_variance, noise)), whole[0])


def test_latents_are_float32_under_autocast() -> None:
    net = Vae(VaeSettings(size=32, latent=4, width=4))
    with torch.autocast("cpu", torch.bfloat16):
        parts = net(torch.rand(2, 3, 32, 32), torch.randn(2, 4))
    assert {part.dtype for part in parts} == {torch.float32}


@given(
    st.integers(1, 9),
    st.floats(0.01, 9),
    st.lists(st.sampled_from(("conv1", "conv4")), max_size=2),
    st.floats(0.01, 0.99) | st.integers(1, 99),
)
def test_settings_survive_a_card(cells: int, pixels: float, taps: list[str], held: float) -> None:
    settings = VaeSettings(size=32 * cells, pixels=pixels, taps=tuple(taps), held=held)
    assert VaeSettings.from_dict(Card("vae", asdict(settings)).settings) == settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 40}, "vae.size is 40; give a multiple of 16 from 32 on"),
        ({"size": 16}, "vae.size is 16; give a multiple of 16 from 32 on"),
        ({"latent": 0}, "vae.latent is 0, must be at least 1"),
        ({"width": 1}, "vae.width is 1, must be at least 2"),
        ({"pixels": 0.0}, "a reconstruction by nothing; give vae.pixels or vae.features a weight"),
        ({"features": -1.0}, "vae.features is -1.0, must be at least 0"),
        ({"beta": -1.0}, "vae.beta is -1.0"),
        ({"crop": 0.0}, "vae.crop is 0.0"),
        ({"held": 2.5}, "vae.held is 2.5; give a number of pictures, or a part below 1"),
        ({"held": 0}, "vae.held is 0"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        VaeSettings(**changes)  # type: ignore[arg-type]


def test_an_unknown_setting_is_named_with_its_neighbour() -> None:
    with pytest.raises(InputError, match=r"unknown setting vae\.latnt; did you mean latent\?"):
        VaeSettings.from_dict({"latnt": 4})


def test_a_decoded_picture_has_places() -> None:
    torch.manual_seed(0)
    net = Vae(VaeSettings(size=32, latent=4, width=4)).eval()
    picture = net.decode(torch.randn(1, 4))[0]
    assert picture.std((1, 2)).min() > 1e-4
