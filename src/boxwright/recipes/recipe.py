"""What a recipe is: a paper's choice of parts, with the settings it is trained by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from boxwright.data.augment import Augment
from boxwright.decode import Decoder
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.training.settings import TrainSettings


@dataclass(frozen=True)
class Parts:
    """A detector: what it computes, what it is trained for, how its output is read, what it is fed."""

    net: nn.Module
    objective: Objective
    decoder: Decoder
    preprocess: Preprocess


class Settings(Protocol):
    """Any frozen dataclass."""

    __dataclass_fields__: Mapping[str, Any]


@dataclass(frozen=True)
class Pretrained:
    """How a recipe's backbone starts from ImageNet.

    Attributes:
        load: copies others' weights into the net, strict by name and shape; returns one line that says what
            was taken and what starts fresh.
        packaged: the file of an installed weights package, or None where it is not installed.
        origin: what to tell a person who has no file.
    """

    load: Callable[[nn.Module, Mapping[str, Tensor], Path], str]
    packaged: Callable[[], Path | None]
    origin: str


@dataclass(frozen=True)
class Recipe:
    """One detector that can be created by name.

    Attributes:
        name: detector, size where it is fixed, backbone, neck.
        summary: one line for lists.
        source: paper.
        settings: the options that shape the network, with this recipe's values.
        build: parts for a number of classes and settings.
        augment: for training.
        train: optimiser and schedule.
        pretrained: where the backbone can start from.
    """

    name: str
    summary: str
    source: str
    settings: Any
    build: Callable[[int, Any], Parts]
    augment: Augment
    train: TrainSettings
    pretrained: Pretrained
