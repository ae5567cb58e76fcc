"""Teaching the feed-forward network one style, by the shared loop (Johnson et al. 2016, section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.draw import grid
from boxwright.inputs import as_uint8
from boxwright.perceptual.loss import PerceptualTargets
from boxwright.perceptual.squares import Squares
from boxwright.perceptual.style_loss import StyleLoss
from boxwright.perceptual.style_net import build
from boxwright.perceptual.style_pictures import resized, to_chw
from boxwright.perceptual.style_settings import StyleNetSettings, StyleWeights
from boxwright.training.gate import see_detail
from boxwright.training.task import Example, Task
from boxwright.weights.trunk import Trunk, fingerprint

_SHOWN = 6
_FOR_UNITS = 16
"""Pictures that set the units of the loss."""


class StyleTask(Task):
    """Learns to paint in the style of one picture; keeps the weights of the least loss on pictures held out.

    Args:
        style: the picture.
        learned, held: files to learn from, and to judge by.
        trunk: the frozen network that judges; its taps are those of `weights`.
        settings: of the network.
        weights: of the loss.
        notes: for the card.

    Raises:
        InputError: a file that cannot be read, a picture so small that a tap is empty, or pictures of one colour.
    """

    figure, larger = "loss", False

    def __init__(
        self,
        style: UInt8[np.ndarray, "height width 3"],
        learned: Sequence[Path],
        held: Sequence[Path],
        trunk: Trunk,
        settings: StyleNetSettings,
        weights: StyleWeights,
        notes: Mapping[str, str | float] | None = None,
    ) -> None:
        self.settings = settings
        self.learned = Squares(learned, settings.crop, settings.least, flip=True)
        looked_at = Squares(learned[:_FOR_UNITS], settings.crop)
        see_detail(looked_at.middles(), learned[0].parent)
        test = Squares(held, settings.crop)
        self.held = torch.from_numpy(test.middles())
        painting = torch.from_numpy(to_chw(resized(style, settings.style_side)))[None]
        self.loss = StyleLoss.of(trunk, weights, self.held[:_FOR_UNITS], painting)
        self.net = build(asdict(settings))
        self.card = Card("style", asdict(settings) | {"loss": asdict(weights)}, dict(notes or {}))
        digest = hashlib.sha256(np.ascontiguousarray(style).tobytes()).hexdigest()
        prints = (self.learned.fingerprint(), test.fingerprint())
        self._facts = {"the style's pixels": digest, "the pictures": prints, "judge": fingerprint(trunk)}

    @property
    def count(self) -> int:
        """Pictures to learn from."""
        return len(self.learned)

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """A square of a picture."""
        return Example((self.learned.varied(index, rng),), str(self.learned.paths[index]))

    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """The loss of `StyleWeights` and its parts."""
        (pictures,) = batch
        content = self.loss.perceptual.to(pictures.device).targets(content=pictures).content
        style = {tap: target.to(pictures.device) for tap, target in self.loss.targets.style.items()}
        return self.loss(net(pictures), PerceptualTargets(content, style))

    def measure(self, net: nn.Module) -> dict[str, float]:
        """The same on the pictures that are held out."""
        sums: dict[str, float] = {}
        device = next(net.parameters()).device
        for pictures in self.held.split(8):
            for name, value in self.losses(net, pictures.to(device)).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(pictures) / len(self.held)
        return sums

    def picture(self, net: nn.Module) -> UInt8[np.ndarray, "height width 3"]:
        """Held-out pictures, and under each how it is painted."""
        shown = self.held[:_SHOWN]
        painted = net(shown.to(next(net.parameters()).device)).cpu()
        return grid([as_uint8(one.numpy()) for one in (*shown, *painted.detach())], len(shown))

    def facts(self) -> dict[str, Any]:
        """The files by name and size, the style by its pixels, the judge by its weights."""
        return self._facts
