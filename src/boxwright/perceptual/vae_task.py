"""Teaching a variational auto-encoder pictures of a folder, by the shared loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.loss import FeatureDistance, FeatureError, RelativeDistance
from boxwright.perceptual.sheets import as_images, sheet, spaced
from boxwright.perceptual.squares import Squares
from boxwright.perceptual.vae import FeatureLoss, Vae, VaeSettings
from boxwright.perceptual.vae_latents import draw_latents, psnr
from boxwright.perceptual.vae_losses import VaeObjective, gaussian_nll
from boxwright.training.gate import see_variety
from boxwright.training.settings import DescentSettings
from boxwright.training.task import Example, Task
from boxwright.weights.trunk import Trunk, fingerprint

VAE_TRAINING = DescentSettings(
    epochs=100,
    batch=16,
    optimiser="adamw",
    lr=2e-3,
    weight_decay=0.01,
    warmup=100,
    ema=0.99,
    ema_ramp=100,
    eval_every=10,
)
"""What suits auto-encoders of a few hundred pictures."""

_CHUNK = 50
"""Pictures that are judged at a time."""
_FOR_UNITS = 64
"""About so many pictures set the units of the terms."""
_SHOWN = 12
_LEAST = 1e-6
"""Pictures that are all one have no variety to measure by."""


class VaeTask(Task):
    """Learns the pictures of some files; keeps the weights of the least loss on others.

    Args:
        settings: of the network and of what it descends.
        learned, held: files to learn from, and to judge by.
        trunk: the frozen network whose features are compared; needed where `settings.features` has a weight.
        judges: by name, further distances to judge by.
        notes: for the card.
        start: a network of the same shape whose weights to begin with; fresh ones by default.

    Raises:
        InputError: a file that cannot be read, or pictures that are all alike.
    """

    figure, larger = "loss", False

    def __init__(
        self,
        settings: VaeSettings,
        learned: Sequence[Path],
        held: Sequence[Path],
        trunk: Trunk | None = None,
        judges: Mapping[str, FeatureDistance] | None = None,
        notes: Mapping[str, str | float] | None = None,
        start: Vae | None = None,
    ) -> None:
        self.settings, self.judges = settings, dict(judges or {})
        self.learned = Squares(learned, settings.size, settings.crop, settings.flip)
        test = Squares(held, settings.size)
        self._facts = {"learned": self.learned.fingerprint(), "held": test.fingerprint()}
        self.held = torch.from_numpy(test.middles())
        with torch.random.fork_rng([]):
            torch.manual_seed(settings.seed)
            self.net = net = Vae(settings)
        self.card = Card("vae", asdict(settings), dict(notes or {}))
        self._facts["features"] = "" if trunk is None else fingerprint(trunk)
        some = Squares(learned[:: max(1, len(learned) // _FOR_UNITS)], settings.size)
        middles = some.middles()
        see_variety(middles, learned[0].parent)
        variety = torch.from_numpy(middles)
        self._features = None if trunk is None else _features(trunk, variety, settings.feature_loss)
        self.objective = VaeObjective(settings, None if self._features is None else self._seen)
        if start is not None:
            begin_with(net, start)
        else:
            _begin(net, variety)

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self.learned)

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """A picture, varied, and the noise that its latents are drawn with."""
        picture = self.learned.varied(index, rng)
        noise = rng.standard_normal(self.settings.latent).astype(np.float32)
        return Example((picture, noise), str(self.learned.paths[index]))

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """The objective and its parts."""
        assert isinstance(net, Vae)
        pictures, noise = batch
        losses = self.objective(net, pictures, noise, self.objective.beta(net.batches))
        net.batches += 1
        return losses

    def measure(self, net: nn.Module) -> dict[str, float]:
        """On the pictures that are held out.

        "loss", "kl" and each term as in training, with all of beta; "elbo", the evidence's lower bound in nats per
        picture, where pixels are a term; "psnr" of what the posterior's mean is decoded to; and the judges' distances
        from that.
        """
        assert isinstance(net, Vae)
        sums: dict[str, float] = {}
        noise = torch.from_numpy(draw_latents(len(self.held), self.settings.latent, self.settings.seed))
        for pictures, drawn in self._chunks(net, noise):
            figures = self.objective(net, pictures, drawn, self.settings.beta)
            if "pixels" in figures:
                values = pictures[0].numel()
                nll = gaussian_nll(figures["pixels"], net.log_deviation("pixels"), values)
                figures["elbo"] = -nll - figures["kl"]
            decoded = net(pictures, torch.zeros_like(drawn))[0]
            for name, distance in self.judges.items():
                figures[name] = distance.to(decoded.device)(decoded, pictures).mean()
            found = {name: float(value) for name, value in figures.items()}
            found["psnr"] = float(psnr(decoded.cpu().numpy(), pictures.cpu().numpy()).mean())
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value * len(pictures) / len(self.held)
        return sums

    def picture(self, net: nn.Module) -> UInt8[np.ndarray, "height width 3"]:
        """Held-out pictures, their reconstructions, and draws from the prior."""
        assert isinstance(net, Vae)
        device = net.batches.device
        shown = self.held[spaced(len(self.held), _SHOWN)].to(device)
        nothing = shown.new_zeros(len(shown), self.settings.latent)
        drawn = torch.from_numpy(draw_latents(2 * _SHOWN, self.settings.latent, self.settings.seed))
        samples = as_images(net.decode(drawn.to(device)).cpu().numpy())
        rows = [
            ("pictures", as_images(shown.cpu().numpy())),
            ("decoded", as_images(net(shown, nothing)[0].cpu().numpy())),
            ("drawn", samples[:_SHOWN]),
            ("", samples[_SHOWN:]),
        ]
        return sheet(rows)

    def facts(self) -> dict[str, Any]:
        """The files, by name and size, and whose features are compared."""
        return self._facts

    def _seen(self, decoded: Tensor, pictures: Tensor) -> Tensor:
        """The distance of deep features."""
        assert self._features is not None
        with torch.inference_mode(False):  # else gradients could not go through what is moved here
            self._features.to(pictures.device)
        distance: Tensor = self._features(decoded, pictures)
        return distance

    def _chunks(self, net: Vae, noise: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        device = net.batches.device
        for pictures, drawn in zip(self.held.split(_CHUNK), noise.split(_CHUNK), strict=True):
            yield pictures.to(device), drawn.to(device)


def _features(trunk: Trunk, pictures: Tensor, loss: FeatureLoss) -> RelativeDistance | FeatureError:
    """By direction 1 is as far as the mean of all pictures is from each; by value features are taken as they are."""
    if loss == "value":
        return FeatureError(trunk)
    mean = pictures.mean(0, keepdim=True).expand_as(pictures)
    return RelativeDistance(FeatureDistance(trunk), pictures, mean)


def begin_with(net: Vae, start: Vae) -> None:
    """Take over the weights of a network of the same shape, and the deviations of the terms that both have.

    Raises:
        InputError: it has another shape.
    """
    for name in ("size", "latent", "width"):
        then, now = getattr(start.settings, name), getattr(net.settings, name)
        if then != now:
            raise InputError(f"the network to start with has a {name} of {then}, not {now}")
    there = start.state_dict()
    net.load_state_dict({name: there.get(name, value) for name, value in net.state_dict().items()})


def _begin(net: Vae, pictures: Tensor) -> None:
    """Let a deviation that is learnt start where nothing is known of a picture but the mean of all."""
    if net.settings.pixels and not net.settings.deviation:
        variance = pictures.var(0, correction=0).mean().clamp(min=_LEAST)
        net.log_deviations["pixels"].data.copy_(0.5 * variance.log())
