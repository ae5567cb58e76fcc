"""A convolutional variational auto-encoder (Kingma and Welling 2014), in the shape of Hou et al. 2017.

The encoder says for a picture where it lies among `latent` numbers: a Gaussian with a mean and a variance of each. The
decoder makes a picture of such numbers; of numbers drawn from a standard Gaussian it makes a new one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.errors import InputError, near

FeatureLoss = Literal["direction", "value"]
HOU_BACKBONE, HOU_TAPS, HOU_BETA = "vgg19", ("conv1_1", "conv2_1", "conv3_1"), 0.5
"""Hou et al. 2017, section 4.1: VAE-123, whose alpha is 1."""
HALVINGS = 4
"""The encoder halves the picture so often; its side must be a multiple of 16."""

_NARROW = -3.0
"""Logarithm of the posterior's variance at the start."""


@dataclass(frozen=True)
class VaeSettings:
    """What can be changed about a variational auto-encoder.

    Attributes:
        size: side of its pictures in pixels, a multiple of 16 from 32 on.
        latent: numbers that stand for a picture.
        width: channels of the largest maps; each halving doubles them.
        pixels: weight of the reconstruction by pixels: each value of a picture is Gaussian around the decoded one.
        deviation: standard deviation of that Gaussian, where white is 1; 0 learns one for all values, which is
            then the root of the mean squared error (Rybkin et al. 2021).
        features: weight of the reconstruction by deep features (Hou et al. 2017).
        feature_loss: how features are compared: by "direction", as one more Gaussian with a learnt deviation, or by
            "value", as Hou et al. 2017 have it (equations 3 to 5), whose beta and alpha are `features` and `beta`.
        backbone, taps: whose features.
        beta: weight of the divergence from the prior (Higgins et al. 2017); 1 is the bound of the evidence.
        free_bits: nats of a latent number, on average over a batch, that cost nothing (Kingma et al. 2016).
        warmup: batches over which `beta` rises from 0 (Sønderby et al. 2016).
        crop: least side of a random square crop, as a part of the picture's shorter side; 1 takes the middle.
        flip: mirror half of the pictures.
        held: pictures that are held out for validation; below 1, a part of all.
        seed: says which are held out.
    """

    size: int = 64
    latent: int = 128
    width: int = 32
    pixels: float = 1.0
    deviation: float = 0.0
    features: float = 0.0
    feature_loss: FeatureLoss = "direction"
    backbone: str = "efficientnet-lite0"
    taps: tuple[str, ...] = ("stage3", "stage5", "stage7")
    beta: float = 1.0
    free_bits: float = 0.0
    warmup: int = 0
    crop: float = 0.9
    flip: bool = True
    held: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        # Of a map of one cell the decoder would make a picture of one colour: its borders repeat what they border.
        if self.size < 2 * 2**HALVINGS or self.size % 2**HALVINGS:
            raise InputError(f"vae.size is {self.size}", hint=f"give a multiple of {2**HALVINGS} from 32 on")
        for name, least in (("latent", 1), ("width", 2), ("pixels", 0), ("deviation", 0), ("features", 0)):
            if getattr(self, name) < least:
                raise InputError(f"vae.{name} is {getattr(self, name)}, must be at least {least}")
        for name in ("beta", "free_bits", "warmup", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"vae.{name} is {getattr(self, name)}, must be at least 0")
        if self.feature_loss not in get_args(FeatureLoss):
            raise InputError(
                f"vae.feature_loss is {self.feature_loss!r}",
                hint=near(self.feature_loss, get_args(FeatureLoss)),
            )
        if not 0 < self.crop <= 1:
            raise InputError(f"vae.crop is {self.crop}, a part of the shorter side above 0, at most 1")
        if self.held <= 0 or (self.held >= 1 and self.held % 1):
            raise InputError(f"vae.held is {self.held}", hint="give a number of pictures, or a part below 1")
        if not self.terms:
            raise InputError("a reconstruction by nothing", hint="give vae.pixels or vae.features a weight")

    @property
    def terms(self) -> tuple[str, ...]:
        """What reconstructions are judged by: "pixels", "features" or both."""
        return tuple(name for name in ("pixels", "features") if getattr(self, name) > 0)

    def learns_deviation(self, term: str) -> bool:
        """Whether a term is weighed by a deviation that is learnt."""
        return self.feature_loss == "direction" if term == "features" else not self.deviation

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VaeSettings:
        """Read what a file's card says; an unknown key is an error that names its neighbours."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(f"unknown setting vae.{key}", hint=near(key, known))
        return cls(**{**values, "taps": tuple(values.get("taps", cls.taps))})


class Vae(nn.Module):
    """Encoder and decoder.

    Four convolutions of stride 2 each way down; on the way up nearest neighbours and 3x3 convolutions with the edge
    repeated, which leave no chequers (Hou et al. 2017, section 3.1).

    Args:
        settings: sizes, and what its reconstructions are judged by.

    Attributes:
        log_deviations: by term, those that are learnt; see `log_deviation`.
        batches: training batches seen; the divergence's weight rises with them.

    >>> net = Vae(VaeSettings(size=32, latent=5, width=4)).eval()
    >>> pictures, mean, log_variance = net(torch.rand(2, 3, 32, 32), torch.zeros(2, 5))
    >>> tuple(pictures.shape), tuple(mean.shape)
    ((2, 3, 32, 32), (2, 5))
    """

    def __init__(self, settings: VaeSettings) -> None:
        super().__init__()
        self.settings = settings
        self.side = settings.size // 2**HALVINGS
        widths = [settings.width * 2**i for i in range(HALVINGS)]
        cells = widths[-1] * self.side**2
        down = zip([3, *widths[:-1]], widths, strict=True)
        self.down = nn.Sequential(*(_halve(inner, outer) for inner, outer in down))
        self.mean, self.log_variance = nn.Linear(cells, settings.latent), nn.Linear(cells, settings.latent)
        self.spread = nn.Linear(settings.latent, cells)
        half = settings.width // 2
        up = zip(widths[::-1], [*widths[-2::-1], half], strict=True)
        self.up = nn.Sequential(*(_double(inner, outer) for inner, outer in up))
        self.last = nn.Conv2d(half, 3, 3, padding=1, padding_mode="replicate")
        learnt = [term for term in settings.terms if settings.learns_deviation(term)]
        self.log_deviations = nn.ParameterDict({term: torch.zeros(()) for term in learnt})
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        # Thousands of inputs, each of which Adam moves by as much, would throw a posterior far from the prior in a few
        # steps; divided by the root of their number they do not.
        self._share = 1 / math.sqrt(cells)
        # It starts narrower than the prior, and pictures differ: where noise drowns what is said of a picture, the
        # decoder learns to do without, and may stay so.
        for linear, spread, bias in ((self.mean, 1.0, 0.0), (self.log_variance, 0.1, _NARROW)):
            nn.init.normal_(linear.weight, std=spread)
            nn.init.constant_(linear.bias, bias)

    def forward(
        self, pictures: Float[Tensor, "batch 3 height width"], noise: Float[Tensor, "batch latent"]
    ) -> tuple[
        Float[Tensor, "batch 3 height width"], Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]
    ]:
        """Encode, draw, decode.

        Args:
            pictures: RGB in [0, 1].
            noise: standard Gaussian numbers; zeros decode the posterior's mean.

        Returns:
            the reconstructions, and the posterior's mean and logarithm of the variance.
        """
        mean, log_variance = self.encode(pictures)
        return self.decode(reparameterise(mean, log_variance, noise)), mean, log_variance

    def log_deviation(self, term: str) -> Float[Tensor, ""]:
        """Of what a term compares, the logarithm of the deviation around what is decoded.

        Args:
            term: one of the settings' terms.
        """
        if term in self.log_deviations:
            learnt: Tensor = self.log_deviations[term]
            return learnt
        return torch.full((), math.log(self.settings.deviation), device=self.batches.device)

    def encode(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """The posterior's mean and logarithm of the variance, in float32.

        Args:
            pictures: RGB in [0, 1].
        """
        maps = self._share * self.down(2 * pictures - 1).flatten(1)
        return self.mean(maps).float(), self.log_variance(maps).float()

    def decode(self, latents: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 3 height width"]:
        """Pictures, RGB in [0, 1], in float32."""
        maps = self.spread(latents).unflatten(1, (-1, self.side, self.side))
        return torch.sigmoid(self.last(self.up(maps)).float())


def reparameterise(
    mean: Float[Tensor, "*batch latent"],
    log_variance: Float[Tensor, "*batch latent"],
    noise: Float[Tensor, "*batch latent"],
) -> Float[Tensor, "*batch latent"]:
    """A draw from the posterior as a function of its parameters (Kingma and Welling 2014, section 2.4)."""
    return mean + torch.exp(0.5 * log_variance) * noise


def _halve(inner: int, outer: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outer), nn.LeakyReLU(0.1)
    )


def _double(inner: int, outer: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(inner, outer, 3, padding=1, padding_mode="replicate", bias=False),
        nn.BatchNorm2d(outer),
        nn.LeakyReLU(0.1),
    )
