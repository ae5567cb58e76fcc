"""What a recipe is: a paper's choice of parts, with the settings it is trained by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from boxwright.data.augment import Augment
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.errors import InputError
from boxwright.objective import Objective, TwoStageObjective
from boxwright.preprocess import Preprocess
from boxwright.regions.source import RegionSource
from boxwright.training.settings import TrainSettings


@dataclass(frozen=True)
class Parts:
    """A detector: what it computes, what it is trained for, how its output is read, what it is fed.

    Attributes:
        regions: where the regions come from that it judges; None where it finds its own.
    """

    net: Network
    objective: Objective | TwoStageObjective
    decoder: Decoder
    preprocess: Preprocess
    regions: RegionSource | None = None


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
        origin: what to tell a person who has no file; "" where there is none to be had.
        published: the name of torchvision's classifier whose file can be downloaded, or None.
    """

    load: Callable[[nn.Module, Mapping[str, Tensor], Path], str]
    packaged: Callable[[], Path | None]
    origin: str
    published: str | None = None


def from_torchvision_classifier(
    name: str, load_trunk: Callable[[nn.Module, Mapping[str, Tensor], Path], None]
) -> Pretrained:
    """The start of a recipe whose `net.backbone` is the trunk of one of torchvision's classifiers.

    Args:
        name: torchvision's, such as "resnet50".
        load_trunk: copies its tensors into a trunk.
    """

    def load(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
        backbone = net.backbone
        assert isinstance(backbone, nn.Module)
        load_trunk(backbone, state, origin)
        return f"{name} from {origin.name}; neck and head start fresh"

    origin = f"--weights imagenet, or a file of torchvision's {name} as --weights FILE"
    return Pretrained(load, lambda: None, origin, name)


def _refuse(net: nn.Module, state: Mapping[str, Tensor], origin: Path) -> str:
    raise InputError(
        "no layout is known for this network's weights", path=origin, hint="train it from scratch"
    )


NOTHING = Pretrained(_refuse, lambda: None, "")
"""For networks that start fresh."""


Scheme = Literal["descent", "stages", "turns"]
"""How a recipe is trained: by gradients alone, in R-CNN's stages, or a first and a second stage by turns."""


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
        task: whether it finds boxes or labels whole images.
        coco: the name of torchvision's detector whose file can be downloaded to start from, or None.
        scheme: what trains it (`boxwright.training.run`).
    """

    name: str
    summary: str
    source: str
    settings: Any
    build: Callable[[int, Any], Parts]
    augment: Augment
    train: TrainSettings
    pretrained: Pretrained
    task: Literal["detect", "classify"] = "detect"
    coco: str | None = None
    scheme: Scheme = "descent"


SMALL_ADAMW = TrainSettings(
    batch=8,
    epochs=60,
    optimiser="adamw",
    lr=1e-3,
    weight_decay=0.02,
    backbone_lr=0.3,
    warmup=100,
    ema=0.998,
)
"""How the small detectors are trained from ImageNet's weights on some hundreds of images; chosen on BCCD's val."""
