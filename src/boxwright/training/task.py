"""What a network that is no detector learns, and how it is judged; `boxwright.training.task_loop` trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor, nn

from boxwright.card import Card


@dataclass(frozen=True)
class Example:
    """One thing to learn from.

    Attributes:
        arrays: what the losses are made of; arrays of one place in it have one shape and kind in all examples.
        path: the file, for messages.
    """

    arrays: tuple[np.ndarray, ...]
    path: str


class Task(ABC):
    """A network to learn, what it learns from, and how it is judged.

    Attributes:
        net: is trained in place.
        card: what its file says of it.
        figure: the name, among what `measure` gives, of the figure that chooses `best`.
        larger: whether more of it is better.
    """

    net: nn.Module
    card: Card
    figure: str
    larger: bool

    @property
    @abstractmethod
    def count(self) -> int:
        """Examples in an epoch."""

    @abstractmethod
    def example(self, index: int, rng: np.random.Generator) -> Example:
        """One example, varied; a function of its arguments and of nothing else. Called in a thread of its own.

        Raises:
            InputError: its file cannot be read.
        """

    @abstractmethod
    def losses(self, net: nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        """Losses by name, "loss" (which is descended) among them; under autocast.

        Args:
            net: in training mode.
            batch: the examples' arrays, stacked, on the network's device.
        """

    @abstractmethod
    def measure(self, net: nn.Module) -> dict[str, float]:
        """Figures on images that are not trained on; in inference mode, the network in evaluation mode.

        Args:
            net: the weights that would be kept.
        """

    def picture(self, net: nn.Module) -> UInt8[np.ndarray, "height width 3"] | None:
        """What a person would want to see of it now, or None; called as `measure` is."""
        return None

    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the examples, before the first step and at the end.

        Raises:
            InputError: there is nothing to learn in them.
        """
        return ()

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a run and its continuation must agree on besides the settings and the card; JSON values."""
