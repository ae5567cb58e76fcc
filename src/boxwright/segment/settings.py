"""What networks for segmentation, their training pictures and their losses can be told. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from boxwright.errors import InputError


@dataclass(frozen=True)
class NetSettings:
    """How a network is built, and what it sees at a time.

    Attributes:
        width: channels of the finest level, twice as many at each coarser one; of `fpn-BACKBONE`, of its head, with
            twice as many in the pyramid. 0 takes the model's own: 64 (the paper's), 16 on a backbone, 32 for an FPN
            (the papers' is 128; with 32 it is a little quicker than a U-Net on the same backbone).
        depth: how often the paper's net halves its maps.
        padded: convolutions of the paper's net keep their map's size; its own lose two pixels each.
        norm: batch norm after each convolution of the paper's net, which had none.
        dropout: at the end of the contracting path, in training.
        tile: side of what a picture is cut into for training and for use, in pixels; 0 takes the model's own.
        margin: pixels around a tile that the network sees and gives no classes for; -1 takes the model's own. The
            unpadded net has one that cannot be changed.
    """

    width: int = 0
    depth: int = 4
    padded: bool = False
    norm: bool = False
    dropout: float = 0.5
    tile: int = 0
    margin: int = -1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 0, 4096),
            ("depth", 1, 8),
            ("tile", 0, 1 << 15),
            ("margin", -1, 4096),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"net.{name} is {getattr(self, name)}, must be between {low} and {high}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"net.dropout is {self.dropout}, must be at least 0 and below 1")


@dataclass(frozen=True)
class VarySettings:
    """How training pictures are varied (section 3.1), picture and mask alike.

    Attributes:
        elastic: standard deviation of the displacements at the grid's points, in pixels; 0 displaces nothing.
        grid: points of the coarse grid along each side.
        rotate: turned by any angle up to so many degrees to either side.
        scale: enlarged by a factor between the two.
        flip: mirrored left to right every second time.
        flip_vertical: mirrored top to bottom every second time.
        brightness: added to all values: at most so much, white being 1.
        contrast: values are spread about their mean by a factor in 1 - contrast to 1 + contrast.
    """

    elastic: float = 10.0
    grid: int = 3
    rotate: float = 15.0
    scale: tuple[float, float] = (1.0, 1.0)
    flip: bool = True
    flip_vertical: bool = False
    brightness: float = 0.1
    contrast: float = 0.2

    def __post_init__(self) -> None:
        if self.elastic < 0 or self.brightness < 0 or not 0 <= self.contrast <= 1 or self.grid < 2:
            raise InputError("vary: elastic and brightness are at least 0, contrast 0 to 1, grid at least 2")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"vary.scale is {self.scale}, must be two factors above 0, the smaller first")


@dataclass(frozen=True)
class LossSettings:
    """What a wrong pixel costs.

    Attributes:
        balance: of classes: "none"; "inverse" to their frequency, so that all count alike; "root", by the root of
            that.
        border: what is added between touching objects: `w0` of equation 2; 0 adds nothing.
        sigma: how far from them that reaches, in pixels.
        dice: weight of the soft Dice loss beside the cross entropy.
    """

    balance: Literal["none", "inverse", "root"] = "inverse"
    border: float = 10.0
    sigma: float = 5.0
    dice: float = 0.0

    def __post_init__(self) -> None:
        if self.border < 0 or self.sigma <= 0 or self.dice < 0:
            raise InputError("loss.border and loss.dice are at least 0, loss.sigma is above 0")
