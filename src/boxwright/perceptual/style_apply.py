"""Painting pictures with a trained network, from either kind of file; torch-free where the file is a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.perceptual.style_pictures import fitted, resized, to_bytes, to_chw
from boxwright.runtime.open_net import Run, open_net

if TYPE_CHECKING:
    from torch import nn

RGB8 = UInt8[np.ndarray, "_ _ 3"]


class Painter:
    """A network of one style.

    Args:
        run: the network: pictures in [0, 1], of sides that `fitted` gives.
        card: of its file.
        size: pictures of a longer side are shrunk to it; 0 leaves all as they are.
    """

    def __init__(self, run: Run, card: Card, size: int = 0) -> None:
        self._run, self.card, self._size = run, card, size

    @classmethod
    def open(
        cls, path: str | Path, *, size: int = 0, threads: int | None = None, device: str = "auto"
    ) -> Painter:
        """The network of a file.

        Args:
            path: `.safetensors`, run by torch, or `.onnx`, run by ONNX Runtime on the CPU.
            size: as above.
            threads: of ONNX Runtime; None is all cores.
            device: of torch: "auto", "cpu" or "cuda".

        Raises:
            InputError: no such file, a damaged one, or a network for something else.
        """
        opened = open_net(path, "style", _build, threads=threads, device=device)
        return cls(opened.run, opened.card, size)

    def __call__(self, images: Sequence[RGB8]) -> list[RGB8]:
        """Pictures as the network paints them, in the same order.

        Those of one size that follow one another are painted together: what is around a picture would change how it
        is painted, so that none is padded to the size of another.

        Args:
            images: RGB, of any sizes.

        Raises:
            InputError: so large a picture that memory does not suffice.
        """
        small = [image if self._fits(image) else resized(image, self._size) for image in images]
        painted: list[RGB8] = []
        while len(painted) < len(small):
            rest = small[len(painted) :]
            alike = next((i for i, image in enumerate(rest) if image.shape != rest[0].shape), len(rest))
            painted += self._paint(rest[:alike])
        return painted

    def _fits(self, image: RGB8) -> bool:
        return not self._size or max(image.shape[:2]) <= self._size

    def _paint(self, images: Sequence[RGB8]) -> list[RGB8]:
        height, width = images[0].shape[:2]
        try:
            found = self._run(np.stack([fitted(to_chw(image)) for image in images]))
        # ONNX Runtime's own kind of error is known only where it is loaded.
        except (MemoryError, RuntimeError) as error:
            if "alloc" not in str(error) and "memory" not in str(error):
                raise
            raise InputError(
                f"a picture of {width} x {height} is too large for this machine's memory",
                hint="give --size, or a smaller --batch",
            ) from error
        return [to_bytes(one[:, :height, :width]) for one in found]


def _build(settings: Mapping[str, Any]) -> nn.Module:
    from boxwright.perceptual.style_net import build

    return build(settings)
