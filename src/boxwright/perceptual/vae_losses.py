"""What a variational auto-encoder descends: the evidence's lower bound, and its weaker and tighter relatives.

The likelihood by pixels is stated: each of the D = 3 * size^2 values of a picture, on the scale where white is 1, is
Gaussian around the decoded one, all with one deviation s. In nats, with the mean squared difference d of a picture:

    -log p(x|z) = D (d / (2 s^2) + log s + log(2 pi) / 2)

Deep features have no such likelihood over pictures. Their term is the same expression with the distance of features in
place of d: it scales itself by its own learnt s, and weighs as much beside the divergence as pixels would. Features
are compared by direction (Zhang et al. 2018), for reconstructions come nearer so; or by value, as Hou et al. 2017 have
it, and then as they are:

    loss = alpha KL + beta sum over taps of 1 / (2 C W H) sum (f(x) - f(x'))^2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from boxwright.perceptual.vae import Vae, VaeSettings, reparameterise
from boxwright.together import mean_of_all

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two batches of pictures in [0, 1] -> one number, a mean over the batch."""

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@runtime_checkable
class LatentModel(Protocol):
    """Whatever has Gaussian latents and decodes to the mean of Gaussian values: `Vae`, or a linear one."""

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior's mean and logarithm of the variance."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """The mean of the pictures."""
        ...


def kl_divergence(
    mean: Float[Tensor, "*batch latent"], log_variance: Float[Tensor, "*batch latent"]
) -> Float[Tensor, "*batch latent"]:
    """Of each latent's Gaussian from the standard one, in nats (Kingma and Welling 2014, appendix B).

    >>> kl_divergence(torch.tensor([0.0, 1.0]), torch.zeros(2)).tolist()
    [0.0, 0.5]
    """
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance)


def with_free_bits(divergence: Float[Tensor, "batch latent"], floor: float) -> Float[Tensor, ""]:
    """The divergence of a picture, where each latent costs at least `floor` nats on average over the batch.

    A latent below it is not pushed further towards the prior (Kingma et al. 2016, appendix C.8).
    """
    return mean_of_all(divergence.mean(0)).clamp(min=floor).sum()


def gaussian_nll(
    squared: Float[Tensor, "*batch"], log_deviation: Float[Tensor, ""], values: int
) -> Float[Tensor, "*batch"]:
    """Of so many values around their means, in nats.

    Args:
        squared: mean squared difference.
        log_deviation: logarithm of the standard deviation that all have.
        values: how many there are.
    """
    return values * (0.5 * squared * torch.exp(-2 * log_deviation) + log_deviation + _HALF_LOG_TWO_PI)


def log_weights(
    model: LatentModel,
    log_deviation: Float[Tensor, ""],
    pictures: Float[Tensor, "batch 3 height width"],
    noise: Float[Tensor, "sample batch latent"],
) -> Float[Tensor, "sample batch"]:
    """Of draws z of the posterior log p(x, z) - log q(z | x), in nats, by the pixels' likelihood.

    Their mean over samples estimates the evidence's lower bound; `importance_bound` a tighter one. It is a density of
    pictures with continuous values where white is 1, so it may be positive.

    Args:
        model: encodes and decodes.
        log_deviation: of the values around what is decoded.
        pictures: RGB in [0, 1].
        noise: standard Gaussian.
    """
    mean, log_variance = (part.expand_as(noise) for part in model.encode(pictures))
    latents = reparameterise(mean, log_variance, noise)
    decoded = model.decode(latents.flatten(0, 1)).unflatten(0, noise.shape[:2])
    squared = (decoded - pictures).square().flatten(2).mean(2)
    likelihood = -gaussian_nll(squared, log_deviation, pictures[0].numel())
    prior = -0.5 * latents.square() - _HALF_LOG_TWO_PI
    posterior = -0.5 * (noise.square() + log_variance) - _HALF_LOG_TWO_PI
    return likelihood + (prior - posterior).sum(-1)


def importance_bound(weights: Float[Tensor, "sample batch"]) -> Float[Tensor, " batch"]:
    """The importance-weighted bound of each picture's log evidence (Burda et al. 2016, equation 8).

    Of one sample it is the lower bound that is trained; with more samples it rises, in expectation, to the evidence.

    Args:
        weights: of `log_weights`.
    """
    return weights.logsumexp(0) - math.log(len(weights))


class VaeObjective:
    """What is descended, in nats per value of a picture.

    Args:
        settings: weights of the terms, of the divergence, its free bits and its warm-up.
        features: the distance of deep features; needed where they have a weight.
    """

    def __init__(self, settings: VaeSettings, features: Distance | None = None) -> None:
        self.settings = settings
        self.distances: dict[str, Distance] = {}
        for term in settings.terms:
            distance = features if term == "features" else F.mse_loss
            if distance is None:
                raise ValueError("features have a weight, but no distance was given")
            self.distances[term] = distance

    def __call__(
        self,
        net: Vae,
        pictures: Float[Tensor, "batch 3 height width"],
        noise: Float[Tensor, "batch latent"],
        beta: float | Tensor,
    ) -> dict[str, Tensor]:
        """Losses by name.

        Args:
            net: the auto-encoder.
            pictures: RGB in [0, 1].
            noise: standard Gaussian.
            beta: weight of the divergence now.

        Returns:
            "loss", in nats per value; "kl", the plain divergence in nats per picture; and each term's distance.
        """
        decoded, mean, log_variance = net(pictures, noise)
        divergence = kl_divergence(mean, log_variance)
        losses = {"kl": divergence.sum(1).mean()}
        loss = beta * with_free_bits(divergence, self.settings.free_bits) / pictures[0].numel()
        for term, distance in self.distances.items():
            losses[term] = distance(decoded, pictures).float()
            if term == "features" and self.settings.feature_loss == "value":
                # Per picture, as its authors have it; per value, as all is here.
                loss = loss + self.settings.features * losses[term] / pictures[0].numel()
                continue
            loss = loss + getattr(self.settings, term) * gaussian_nll(
                losses[term], net.log_deviation(term), 1
            )
        return {"loss": loss, **losses}

    def beta(self, batches: Tensor) -> Tensor:
        """The weight of the divergence after so many batches: it rises linearly, then stays (Sønderby et al. 2016)."""
        return self.settings.beta * ((batches + 1) / max(self.settings.warmup, 1)).clamp(max=1)
