"""Style transfer by optimisation: the pixels themselves are learned (Gatys, Ecker and Bethge 2016).

Coarse to fine, as Gatys et al. 2017 ("Controlling perceptual factors", section 6) had it: large strokes form where the
picture is small and a cell of a late tap sees much of it, and detail is added at each doubling.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.foreign import reading
from boxwright.modelfile import TensorFile, read_file, write_model
from boxwright.perceptual.style_loss import StyleLoss
from boxwright.perceptual.style_pictures import brightness, coloured, matched, resized, to_bytes, to_chw
from boxwright.perceptual.style_settings import PaintSettings, StyleWeights
from boxwright.training.precision import Precision
from boxwright.training.state import compare
from boxwright.weights.trunk import Trunk

RGB8 = UInt8[np.ndarray, "_ _ 3"]
_RATES = {"lbfgs": 1.0, "adam": 0.02}
_PICTURE, _OPTIMISER = "picture", "optimiser."


class Painting:
    """A picture that is being painted.

    Args:
        content: what is to be seen.
        style: how it is to be painted.
        trunk: the frozen network that judges; its taps are those of `weights`.
        settings: how.
        weights: of the loss.
        device: where.

    Attributes:
        done: iterations, over all scales.
        losses: of the last iteration, by part.
        seconds: spent in all, over all parts of a resumed painting.

    Raises:
        InputError: pictures so small at the first scale that nothing is left at a tap.
    """

    def __init__(
        self,
        content: RGB8,
        style: RGB8,
        trunk: Trunk,
        settings: PaintSettings,
        weights: StyleWeights,
        device: torch.device | None = None,
    ) -> None:
        self.settings, self.weights = settings, weights
        self.device = device or torch.device("cpu")
        self._trunk = trunk.to(self.device)
        self._content, self._style = content, style
        self._precision = Precision(self.device, settings.amp)
        self.done, self.seconds, self.losses = 0, 0.0, dict[str, float]()
        self._loss: StyleLoss
        self._picture: Tensor
        self._optimiser: torch.optim.Optimizer
        self._begin(0, self._start(settings.sides[0]))

    def steps(self) -> Iterator[Painting]:
        """Paint from where it stands to the end; gives itself after each iteration.

        Raises:
            InputError: the loss is not finite any more.
        """
        while self.done < self.settings.total:
            started = time.monotonic()
            scale, done = divmod(self.done, self.settings.iterations)
            if self.done and not done:
                self._begin(scale, self._enlarged(self.settings.sides[scale]))
            self._optimiser.step(self._descended)  # type: ignore[arg-type]
            self.done += 1
            self.seconds += time.monotonic() - started
            if not np.isfinite(self.losses["loss"]):
                raise InputError(
                    f"the loss of iteration {self.done} is not finite", hint="lower --lr or the weights"
                )
            yield self

    def image(self) -> UInt8[np.ndarray, "new_height new_width 3"]:
        """The picture as it stands, at its present scale."""
        picture = self._picture.detach().cpu()[0].numpy()
        if self.settings.keep_colours:
            picture = coloured(picture, to_chw(resized(self._content, max(picture.shape[1:]))))
        return to_bytes(picture)

    def judged(self, start: bool = False) -> dict[str, float]:
        """The losses of the picture as it would be written, or of the one that the first scale began with.

        Both are taken at the present scale, so that at the end they can be compared.
        """
        picture = self._tensor(self._start(max(self._picture.shape[2:]))) if start else self._picture.detach()
        with torch.no_grad():
            losses = self._loss(picture.clamp(0, 1))
        return {name: float(value) for name, value in losses.items()}

    def save(self, path: Path) -> None:
        """Write all that is needed to go on.

        Raises:
            InputError: the file cannot be written.
        """
        tensors = {_PICTURE: _array(self._picture)}
        numbers: dict[str, Any] = {}
        for key, value in self._optimiser.state[self._picture].items():
            # L-BFGS keeps numbers too, and lists of a tensor for each step that it remembers, but for its scratch "al".
            if isinstance(value, list) and key != "al":
                numbers[key] = []
                tensors |= {f"{_OPTIMISER}{key}.{i:04}": _array(one) for i, one in enumerate(value)}
            elif isinstance(value, Tensor):
                tensors[_OPTIMISER + key] = _array(value)
            elif key != "al":
                numbers[key] = value
        state = {"done": self.done, "seconds": self.seconds, "losses": self.losses, "numbers": numbers}
        write_model(path, tensors, Card("painting", self._facts()), extra={"state": json.dumps(state)})

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote: the rest is as if it had not stopped.

        Raises:
            InputError: missing, damaged, no painting's state, or that of another.
        """
        file = read_file(path)
        card = Card.found(file.description)
        if card is None or card.task != "painting":
            raise InputError("holds no painting that was stopped", path=path, hint="leave --resume out")
        compare(dict(card.settings), json.loads(json.dumps(self._facts())), path)
        with reading(path, "painting that was stopped", again="leave --resume out"):
            self._restore(file)

    def _restore(self, file: TensorFile) -> None:
        state = json.loads(file.extra["state"])
        self.done, self.seconds, self.losses = state["done"], state["seconds"], state["losses"]
        # After the last iteration of a scale the picture still has that scale's size.
        scale = max(self.done - 1, 0) // self.settings.iterations
        self._begin(scale, file.tensors[_PICTURE][0])
        own: dict[str, Any] = dict(state["numbers"])
        for name in sorted(name for name in file.tensors if name.startswith(_OPTIMISER)):
            key, _, number = name.removeprefix(_OPTIMISER).partition(".")
            value = _tensor(file.tensors[name], self.device)
            own[key] = [*own[key], value] if number else value
        self._optimiser.state[self._picture] = own

    def _begin(self, scale: int, picture: Float32[np.ndarray, "3 height width"]) -> None:
        """Judge and optimiser of one scale, at a picture of its size."""
        side, settings = self.settings.sides[scale], self.settings
        content = to_chw(resized(self._content, side))
        style = to_chw(
            resized(self._style, max(1, (settings.style_side or settings.size) * side // settings.size))
        )
        if settings.keep_colours:
            content = brightness(content)
            style = matched(brightness(style), content)
        self._loss = StyleLoss.of(self._trunk, self.weights, self._tensor(content), self._tensor(style))
        self._picture = self._tensor(picture).requires_grad_()
        lr = settings.lr or _RATES[settings.optimiser]
        if settings.optimiser == "adam":
            self._optimiser = torch.optim.Adam([self._picture], lr)
        else:
            # One iteration a call; it stops for no tolerance, since the number of iterations is given.
            self._optimiser = torch.optim.LBFGS(
                [self._picture],
                lr,
                max_iter=1,
                tolerance_grad=0,
                tolerance_change=0,
                history_size=settings.history,
            )

    def _descended(self) -> Tensor:
        self._optimiser.zero_grad()
        with self._precision.autocast():
            losses = self._loss(self._picture)
        losses["loss"].backward()
        self.losses = {name: value.item() for name, value in losses.items()}
        return losses["loss"]

    def _start(self, side: int) -> Float32[np.ndarray, "3 height width"]:
        content = to_chw(resized(self._content, side))
        if self.settings.start == "noise":
            noise = np.random.default_rng(self.settings.seed).normal(0.5, 0.2, content.shape)
            content = np.clip(noise, 0, 1).astype(np.float32)
        return brightness(content) if self.settings.keep_colours else content

    def _enlarged(self, side: int) -> Float32[np.ndarray, "3 height width"]:
        shape = resized(self._content, side).shape[:2]
        large = F.interpolate(self._picture.detach().clamp(0, 1), shape, mode="bicubic", align_corners=False)
        found: Float32[np.ndarray, "3 height width"] = large[0].cpu().numpy()
        return found

    def _tensor(self, picture: Float32[np.ndarray, "3 height width"]) -> Tensor:
        return _tensor(picture[None], self.device)

    def _facts(self) -> dict[str, Any]:
        """What a continuation must agree on."""
        prints = {
            f"the {name}'s pixels": hashlib.sha256(image.tobytes()).hexdigest()
            for name, image in (("content", self._content), ("style", self._style))
        }
        digest = hashlib.sha256()
        for value in self._trunk.state_dict().values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return {
            **asdict(self.settings),
            **asdict(self.weights),
            **prints,
            "backbone": self._trunk.name,
            "the backbone's weights": digest.hexdigest(),
        }


def _array(value: Tensor) -> np.ndarray:
    array: np.ndarray = value.detach().cpu().contiguous().numpy()
    return array


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    # A copy, in memory of torch's own alignment: sums are then rounded alike in a run and in its continuation.
    return torch.from_numpy(array).clone().to(device)
