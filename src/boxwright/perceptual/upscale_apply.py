"""Enlarging pictures with a trained network, from either kind of file; torch-free where the file is a graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.tiles import enlarged_parts
from boxwright.perceptual.upscale_data import RGB8, Large, as_bytes
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.runtime.open_net import Run, open_net

if TYPE_CHECKING:
    from torch import nn

TILE = 384
"""Side of the parts that a large picture is enlarged in, in its own pixels."""

_MOST_PIXELS = 1 << 30
"""Of an enlarged picture: 3 GiB of RGB."""


class Enlarger:
    """A network that makes pictures of any size larger.

    Memory is taken for one part at a time, and for what comes out.

    Args:
        run: the network.
        card: of its file.
        tile: longest side of a part, in pixels of the small picture.

    Attributes:
        settings: of the network.
        card: of its file.
    """

    def __init__(self, run: Run, card: Card, tile: int = TILE) -> None:
        self._run, self.card, self._tile = run, card, tile
        self.settings = UpscaleSettings.from_dict(card.settings)

    @classmethod
    def open(
        cls, path: str | Path, *, tile: int = TILE, threads: int | None = None, device: str = "auto"
    ) -> Enlarger:
        """The network of a file.

        Args:
            path: `.safetensors`, run by torch, or `.onnx`, run by ONNX Runtime on the CPU.
            tile: as above.
            threads: of ONNX Runtime; None is all cores.
            device: of torch: "auto", "cpu" or "cuda".

        Raises:
            InputError: no such file, a damaged one, or a network for something else.
        """
        opened = open_net(path, "upscale", _build, threads=threads, device=device)
        return cls(opened.run, opened.card, tile)

    def __call__(self, image: RGB8) -> Large:
        """A picture, larger by the network's factor.

        Args:
            image: RGB.

        Raises:
            InputError: so large a picture that what comes out of it is beyond reason.
        """
        factor = self.settings.factor
        height, width = (side * factor for side in image.shape[:2])
        if height * width > _MOST_PIXELS:
            raise InputError(
                f"enlarged to {width} x {height} it would have more than {_MOST_PIXELS} pixels",
                hint="cut it into parts",
            )
        large = np.empty((height, width, 3), np.uint8)
        for (rows, columns), part in enlarged_parts(
            image, self._run, factor, self.settings.radius, self._tile
        ):
            large[rows, columns] = as_bytes(part)
        return large


def _build(settings: Mapping[str, Any]) -> nn.Module:
    from boxwright.perceptual.upscale import build

    return build(settings)
