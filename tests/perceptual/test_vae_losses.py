"""The bounds against Monte Carlo, finite differences, and a linear model whose evidence is known in closed form."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import Tensor, nn

from boxwright.perceptual.loss import FeatureError
from boxwright.perceptual.vae import Vae, VaeSettings, reparameterise
from boxwright.perceptual.vae_losses import (
    VaeObjective,
    gaussian_nll,
    importance_bound,
    kl_divergence,
    log_weights,
    with_free_bits,
)
from boxwright.weights.trunk import build_trunk

SHAPE = (3, 2, 2)
VALUES = math.prod(SHAPE)
LATENT = 3
STEPS = 500


class LinearVae(nn.Module):
    """x = W z + mu + s e: probabilistic PCA (Tipping and Bishop 1999), its encoder linear."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(VALUES, LATENT), nn.Linear(LATENT, VALUES)
        self.log_variance = nn.Parameter(torch.zeros(LATENT))
        self.log_deviation = nn.Parameter(torch.zeros(()))

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.encoder(pictures.flatten(1))
        return mean, self.log_variance.expand_as(mean)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents).unflatten(1, SHAPE)


@pytest.fixture(scope="module")
def fitted() -> tuple[Tensor, PCA]:
    """Pictures of three strong directions, and scikit-learn's fit with its evidence of each."""
    rng = np.random.default_rng(0)
    mixed = (
        rng.standard_normal((400, LATENT)) @ np.diag([1.0, 0.7, 0.5]) @ rng.standard_normal((LATENT, VALUES))
    )
    data = mixed + 0.3 * rng.standard_normal((400, VALUES)) + 0.5
    return torch.from_numpy(data).unflatten(1, SHAPE), PCA(LATENT).fit(data)


def known(pca: PCA) -> LinearVae:
    """The model of highest evidence, with the exact posterior for an encoder.

    Scikit-learn divides variances by n - 1, which is the model it gives the evidence of.
    """
    model = LinearVae().double()
    noise = pca.noise_variance_
    loadings = torch.from_numpy(pca.components_.T * np.sqrt(pca.explained_variance_ - noise))
    # W'W is diagonal, so the posterior's covariance s^2 (W'W + s^2)^-1 is too.
    precision = torch.from_numpy(pca.explained_variance_)
    with torch.no_grad():
        model.decoder.weight.copy_(loadings)
        model.decoder.bias.copy_(torch.from_numpy(pca.mean_))
        model.encoder.weight.copy_(loadings.T / precision[:, None])
        model.encoder.bias.copy_(-model.encoder.weight @ model.decoder.bias)
        model.log_variance.copy_((noise / precision).log())
        model.log_deviation.fill_(0.5 * math.log(noise))
    return model


def noise(samples: int, count: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, count, LATENT, generator=torch.Generator().manual_seed(seed)).double()


def weigh(model: LinearVae, pictures: Tensor, drawn: Tensor) -> Tensor:
    return log_weights(model, model.log_deviation, pictures, drawn)


@torch.no_grad()
def test_with_the_exact_posterior_every_draw_weighs_the_evidence(fitted: tuple[Tensor, PCA]) -> None:
    """p(x, z) / q(z | x) is p(x) for any z, and so are all bounds."""
    pictures, pca = fitted
    evidence = torch.from_numpy(pca.score_samples(pictures.flatten(1).numpy()))
    weights = weigh(known(pca), pictures, noise(4, len(pictures)))
    torch.testing.assert_close(weights, evidence.expand(4, -1))
    torch.testing.assert_close(importance_bound(weights), evidence)


@torch.no_grad()
def test_with_another_posterior_the_bound_is_short_by_its_divergence(fitted: tuple[Tensor, PCA]) -> None:
    """log p(x) - ELBO = KL(q || p(z | x)), and more samples close the gap from below."""
    pictures, pca = fitted
    model, exact = known(pca), known(pca)
    model.encoder.bias += 0.05
    model.log_variance += 0.3
    evidence = torch.from_numpy(pca.score_samples(pictures.flatten(1).numpy())).mean()
    mean, log_variance = model.encode(pictures)
    true_mean, true_log_variance = exact.encode(pictures)
    # KL between two diagonal Gaussians is the one from the standard Gaussian, in the second one's units.
    units = torch.exp(-0.5 * true_log_variance)
    gap = kl_divergence((mean - true_mean) * units, log_variance - true_log_variance).sum(1).mean()
    weights = weigh(model, pictures, noise(256, len(pictures)))
    assert gap > 0.2
    assert weights.mean().item() == pytest.approx((evidence - gap).item(), abs=0.02)
    bounds = [
        torch.stack([importance_bound(part).mean() for part in weights.split(k)]).mean()
        for k in (1, 4, 16, 64)
    ]
    assert all(less < more for less, more in pairwise(bounds))
    assert bounds[-1] == pytest.approx(evidence.item(), abs=0.05)
    assert bounds[-1] < evidence + 0.02


def test_what_is_descended_finds_probabilistic_pca(fitted: tuple[Tensor, PCA]) -> None:
    """The linear model's lower bound has no optimum but the evidence's (Lucas et al. 2019, section 4)."""
    pictures, pca = fitted
    torch.manual_seed(0)
    model = LinearVae().double()
    optimiser = torch.optim.Adam(model.parameters())
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 0.1 * (1 - step / STEPS)
        mean, log_variance = model.encode(pictures)
        decoded = model.decode(reparameterise(mean, log_variance, noise(1, len(pictures), seed=step)[0]))
        squared = (decoded - pictures).square().mean()
        nll = gaussian_nll(squared, model.log_deviation, VALUES)
        loss = nll + kl_divergence(mean, log_variance).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        found = weigh(model, pictures, noise(16, len(pictures))).mean()
    assert found.item() == pytest.approx(pca.score(pictures.flatten(1).numpy()), abs=0.1)
    assert math.exp(2 * model.log_deviation.item()) == pytest.approx(pca.noise_variance_, rel=0.05)


@given(st.floats(-3, 3), st.floats(-3, 1.5))
def test_the_divergence_is_monte_carlo_s(mean: float, log_variance: float) -> None:
    q = torch.distributions.Normal(mean, math.exp(0.5 * log_variance))
    p = torch.distributions.Normal(0.0, 1.0)
    torch.manual_seed(1)
    drawn = q.sample((100_000,))
    ratio = q.log_prob(drawn) - p.log_prob(drawn)
    ours = kl_divergence(torch.tensor([mean]).double(), torch.tensor([log_variance]).double()).item()
    assert ours == pytest.approx(ratio.mean().item(), abs=6 * ratio.std().item() / math.sqrt(100_000) + 1e-4)
    assert ours == pytest.approx(torch.distributions.kl_divergence(q, p).item(), abs=1e-5)
    assert ours >= 0


def test_the_divergence_keeps_its_digits_near_the_prior() -> None:
    tiny = torch.tensor([1e-4])
    exact = 0.25 * 1e-8  # the second-order term of (exp(v) - 1 - v) / 2
    assert kl_divergence(torch.zeros(1), tiny.double()).item() == pytest.approx(exact, rel=1e-3)


def test_gradients_through_a_draw_are_finite_differences() -> None:
    torch.manual_seed(0)
    mean, log_variance = (
        torch.randn(2, 4).double().requires_grad_(),
        torch.randn(2, 4).double().requires_grad_(),
    )
    drawn = torch.randn(2, 4).double()
    assert torch.autograd.gradcheck(
        lambda m, v: reparameterise(m, v, drawn).tanh().sum(1), (mean, log_variance)
    )
    assert torch.autograd.gradcheck(lambda m, v: kl_divergence(m, v), (mean, log_variance))


def test_draws_have_the_posterior_s_moments() -> None:
    drawn = reparameterise(
        torch.tensor([2.0, -1.0]).expand(50_000, 2),
        torch.tensor([0.0, math.log(9.0)]).expand(50_000, 2),
        torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0)),
    )
    torch.testing.assert_close(drawn.mean(0), torch.tensor([2.0, -1.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.tensor([1.0, 3.0]), atol=0.05, rtol=0)


@given(st.floats(0.01, 3), st.floats(-2, 2))
def test_the_likelihood_is_torch_s(deviation: float, shift: float) -> None:
    torch.manual_seed(0)
    x, centre = torch.randn(5, 7).double(), torch.full((5, 7), shift).double()
    theirs = -torch.distributions.Normal(centre, deviation).log_prob(x).sum(1)
    ours = gaussian_nll(
        (x - centre).square().mean(1), torch.tensor(math.log(deviation), dtype=torch.float64), 7
    )
    torch.testing.assert_close(ours, theirs)


def test_free_bits_stop_the_push_below_their_floor() -> None:
    divergence = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    total = with_free_bits(divergence, 0.5)
    total.backward()
    assert total.item() == pytest.approx(0.5 + 3.0)
    assert divergence.grad is not None
    assert divergence.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert with_free_bits(divergence, 0.0).item() == pytest.approx(3.2)


def small(**changes: float | bool | str | tuple[str, ...]) -> tuple[VaeSettings, Vae]:
    torch.manual_seed(0)
    settings = VaeSettings(size=32, latent=4, width=4, **changes)  # type: ignore[arg-type]
    return settings, Vae(settings)


def test_the_objective_is_the_negative_bound_per_value() -> None:
    settings, net = small()
    net.eval()
    pictures, drawn = torch.rand(5, 3, 32, 32), torch.randn(5, 4)
    losses = VaeObjective(settings)(net, pictures, drawn, beta=1.0)
    # The same draws: likelihood and analytic divergence, where `log_weights` has the draw's own.
    mean, log_variance = net.encode(pictures)
    latents = reparameterise(mean, log_variance, drawn)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    sampled = (q.log_prob(latents) - torch.distributions.Normal(0.0, 1.0).log_prob(latents)).sum(1)
    bound = (
        log_weights(net, net.log_deviation("pixels"), pictures, drawn[None])[0]
        + sampled
        - kl_divergence(mean, log_variance).sum(1)
    )
    assert losses["loss"].item() == pytest.approx(-bound.mean().item() / 3072, rel=1e-5)


def test_terms_weigh_what_the_settings_say() -> None:
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean()

    pictures, drawn = torch.rand(4, 3, 32, 32), torch.randn(4, 4)
    found = {}
    for pixels, features in ((1.0, 0.0), (0.0, 1.0), (0.3, 0.7)):
        settings, net = small(pixels=pixels, features=features)
        found[pixels] = VaeObjective(settings, distance)(net.eval(), pictures, drawn, beta=0.0)
    assert set(found[1.0]) == {"loss", "kl", "pixels"}
    assert set(found[0.0]) == {"loss", "kl", "features"}
    mixed = 0.3 * found[1.0]["loss"] + 0.7 * found[0.0]["loss"]
    torch.testing.assert_close(found[0.3]["loss"], mixed)
    with pytest.raises(ValueError, match="no distance was given"):
        VaeObjective(VaeSettings(features=1.0))


def test_beta_rises_to_its_weight() -> None:
    settings, net = small(beta=2.0, warmup=4)
    rising = [VaeObjective(settings).beta(torch.tensor(n)).item() for n in range(6)]
    assert rising == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    settings, net = small(beta=3.0)
    assert VaeObjective(settings).beta(net.batches).item() == 3.0


def test_a_learnt_deviation_is_the_root_mean_square_and_a_fixed_one_stays() -> None:
    _, net = small()
    log_deviation = net.log_deviation("pixels")
    optimiser = torch.optim.Adam([log_deviation], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        gaussian_nll(torch.tensor(0.04), log_deviation, 1).backward()
        optimiser.step()
    assert log_deviation.exp().item() == pytest.approx(0.2, rel=0.01)
    _, fixed = small(deviation=0.1)
    assert not fixed.log_deviation("pixels").requires_grad
    assert fixed.log_deviation("pixels").exp().item() == pytest.approx(0.1)


def test_hou_s_own_loss_is_alpha_kl_and_beta_half_mean_squares() -> None:
    """Equations 3 to 5, against the layers themselves; nothing is scaled by a learnt deviation."""
    torch.manual_seed(0)
    taps = ("conv1_1", "conv2_1")
    settings, net = small(
        pixels=0.0, features=0.5, feature_loss="value", beta=1.0, backbone="vgg11", taps=taps
    )
    trunk = build_trunk("vgg11", taps)
    pictures, drawn = torch.rand(4, 3, 32, 32), torch.randn(4, 4)
    losses = VaeObjective(settings, FeatureError(trunk))(net.eval(), pictures, drawn, beta=1.0)
    decoded, mean, log_variance = net(pictures, drawn)
    parts = zip(trunk(decoded), trunk(pictures), strict=True)
    own = sum(((a - b) ** 2).sum() / (2 * a[0].numel()) / len(a) for a, b in parts)
    divergence = kl_divergence(mean, log_variance).sum(1).mean()
    assert (losses["loss"] * 3072).item() == pytest.approx((divergence + 0.5 * own).item(), rel=1e-5)
    assert not net.log_deviations
