"""Teaching a network to enlarge pictures, by the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.perceptual.loss import FeatureDistance, RelativeDistance
from boxwright.perceptual.upscale import Upscaler, bicubic
from boxwright.perceptual.upscale_data import RGB8, Pairs, as_bytes, as_floats, enlarge
from boxwright.perceptual.upscale_measure import BICUBIC, Enlarge, comparison, psnr
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.training.gate import see_detail
from boxwright.training.settings import DescentSettings
from boxwright.training.task import Example, Task
from boxwright.weights.trunk import Trunk, fingerprint

UPSCALE_TRAINING = DescentSettings(
    epochs=40,
    batch=16,
    optimiser="adamw",
    lr=1e-3,
    weight_decay=0.0,
    warmup=100,
    clip=0.0,
    ema=0.995,
    ema_ramp=200,
    eval_every=5,
)
"""What suits a small network and some hundred to some thousand pictures."""

_FOR_UNITS = 32
"""Patches by which the terms' units are taken."""

_MEASURED = 96
"""Side of the small pictures' middles that are measured between epochs."""

_SHOWN, _SHOWN_SIDE = 4, 64

_LEAST = 1e-6
"""The least loss of bicubic interpolation that another is a part of."""
_MOST = 100.0
"""Decibels beyond which pictures of 8 bits are equal."""


class UpscaleTask(Task):
    """Enlarge pictures of a folder as they were before they were made small.

    Each term of the loss is divided by what bicubic interpolation has of it on patches of the training pictures: a
    loss of 1 is as good as that, whatever the term's own scale.

    Args:
        settings: network, patches and loss.
        pairs: to learn from; small pictures of `settings.patch` pixels a side or more.
        held: to measure on.
        trunk: sees deep features; needed where they have a weight.
        net: goes on from this one; a fresh one by default.
        notes: of the card: where the pictures and the features' weights come from.

    Raises:
        InputError: a file that cannot be read, or pictures of one colour.
    """

    def __init__(
        self,
        settings: UpscaleSettings,
        pairs: Pairs,
        held: Pairs,
        trunk: Trunk | None = None,
        net: Upscaler | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        if (trunk is None) != (settings.features == 0):
            raise ValueError("deep features need a trunk, and pixels alone need none")
        self.settings, self._pairs, self._held = settings, pairs, held
        self.net = net or Upscaler(settings)
        self.card = Card("upscale", asdict(settings), notes or {})
        # Pixels alone are judged by pixels; else by what is descended.
        self.figure, self.larger = ("psnr", True) if trunk is None else ("loss", False)
        self._losses = UpscaleLosses(settings, trunk, self._for_units())
        self._seen_by = "" if trunk is None else fingerprint(trunk)
        self._bicubic: dict[str, float] | None = None

    @property
    def count(self) -> int:
        """Pictures: an epoch is a patch of each."""
        return len(self._pairs)

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """A patch, small and large."""
        return Example(self._pairs.patch(index, self.settings.patch, rng), str(self._pairs.paths[index]))

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """The terms in units of bicubic interpolation's, and their weighted sum."""
        small, large = batch
        return self._losses(net(small), large)

    def measure(self, net: nn.Module) -> dict[str, float]:
        """Of the middles of what is held out: signal to noise, its gain over bicubic's, losses in parts of its."""
        ours = self._measured(lambda small: net(self._tensor(small)))
        if self._bicubic is None:
            self._bicubic = self._measured(lambda small: self._tensor(enlarge(small, self.settings.factor)))
        parts = {
            name: value / max(self._bicubic[name], _LEAST) for name, value in ours.items() if name != "psnr"
        }
        # Of pictures without detail bicubic's is infinite.
        gain = min(ours["psnr"], _MOST) - min(self._bicubic["psnr"], _MOST)
        return {"psnr": ours["psnr"], "gain": gain, **parts}

    def picture(self, net: nn.Module) -> RGB8 | None:
        """Some middles, small, by bicubic interpolation, by the network, and as they should be."""

        def ours(image: RGB8) -> RGB8:
            return _as_image(net(self._tensor(image)))

        ways: dict[str, Enlarge] = {
            BICUBIC: partial(enlarge, factor=self.settings.factor),
            "network": ours,
        }
        return comparison(self._held, ways, _SHOWN, _SHOWN_SIDE)

    def facts(self) -> dict[str, Any]:
        """The pictures, by names and sizes, and whose features are compared, by its weights."""
        return {
            "pictures": self._pairs.fingerprint(),
            "held_pictures": self._held.fingerprint(),
            "features": self._seen_by,
        }

    def _measured(self, way: Callable[[RGB8], Tensor]) -> dict[str, float]:
        rows = []
        for index in range(len(self._held)):
            small, large = self._held.middle(index, _MEASURED)
            found = way(small)
            losses = {name: float(value) for name, value in self._losses(found, self._tensor(large)).items()}
            rows.append({"psnr": psnr(_as_image(found), large)} | losses)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def _tensor(self, image: RGB8) -> Float[Tensor, "1 3 height width"]:
        return torch.from_numpy(as_floats(image)[None]).to(next(self.net.parameters()).device)

    def _for_units(self) -> tuple[Tensor, Tensor]:
        """Patches of the first training pictures; the same ones whenever asked."""
        rng = np.random.default_rng(self.settings.seed)
        count = min(_FOR_UNITS, len(self._pairs))
        patches = [self._pairs.patch(index, self.settings.patch, rng) for index in range(count)]
        small, large = (np.stack(part) for part in zip(*patches, strict=True))
        see_detail(large, self._pairs.paths[0].parent)
        return torch.from_numpy(small), torch.from_numpy(large)


class UpscaleLosses:
    """The terms of the loss, each divided by what bicubic interpolation has of it.

    Pixels by their mean absolute difference (Lim et al. 2017, section 3.3: it gives better signal to noise than the
    squared one); deep features by the distance of Zhang et al. 2018.

    Args:
        settings: the terms' weights.
        trunk: sees deep features, or None.
        patches: small and large ones, by which the units are taken.
    """

    def __init__(
        self,
        settings: UpscaleSettings,
        trunk: Trunk | None,
        patches: tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 3 tall wide"]],
    ) -> None:
        self.settings = settings
        small, large = patches
        blurred = bicubic(small, settings.factor).clamp(0, 1)
        self._pixel_unit = max(float((blurred - large).abs().mean()), 1e-6)
        self._features: RelativeDistance | None = None
        if trunk is not None:
            self._features = RelativeDistance(FeatureDistance(trunk), blurred, large)

    def __call__(
        self, found: Float[Tensor, "batch 3 tall wide"], large: Float[Tensor, "batch 3 tall wide"]
    ) -> dict[str, Tensor]:
        """Terms and their weighted sum, "loss".

        Args:
            found: by the network.
            large: as it should be.
        """
        terms = {"pixels": F.l1_loss(found.float(), large) / self._pixel_unit}
        if self._features is not None:
            with torch.inference_mode(False):  # else gradients could not go through what is moved here
                self._features.to(large.device)
            terms["features"] = self._features(found, large)
        weights = {"pixels": self.settings.pixels, "features": self.settings.features}
        return terms | {"loss": torch.stack([weights[name] * term for name, term in terms.items()]).sum()}


def _as_image(found: Float[Tensor, "1 3 height width"]) -> RGB8:
    return as_bytes(found[0].permute(1, 2, 0).cpu().numpy())
