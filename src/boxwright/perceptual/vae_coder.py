"""A trained auto-encoder as two functions of arrays: from its file by torch, or from its exported graphs without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.runtime.open_net import read_module

if TYPE_CHECKING:
    from boxwright.perceptual.vae import Vae

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
"""The graphs in an exported auto-encoder's folder."""
CHUNK = 64
"""Pictures that are coded at a time."""

Pictures = Float32[np.ndarray, "picture 3 size size"]
Latents = Float32[np.ndarray, "picture latent"]


@dataclass(frozen=True)
class Coder:
    """A trained auto-encoder.

    Attributes:
        card: what the file says of it.
        encode_some: a few pictures -> the mean and the logarithm of the variance of their posterior.
        decode_some: a few latents -> pictures.
    """

    card: Card
    encode_some: Callable[[Pictures], tuple[Latents, Latents]]
    decode_some: Callable[[Latents], Pictures]

    @property
    def size(self) -> int:
        """Side of its pictures in pixels."""
        return int(self.card.settings["size"])

    @property
    def latent(self) -> int:
        """Numbers that stand for a picture."""
        return int(self.card.settings["latent"])

    def encode(self, pictures: Pictures) -> Latents:
        """The posterior's means of pictures, RGB in [0, 1]."""
        return np.concatenate([self.encode_some(chunk)[0] for chunk in _chunks(pictures)])

    def decode(self, latents: Latents) -> Pictures:
        """Pictures of latents, RGB in [0, 1]."""
        return np.concatenate([self.decode_some(chunk) for chunk in _chunks(latents)])


def open_coder(path: str | Path) -> Coder:
    """A trained auto-encoder from its file, or from the folder that `export_vae` wrote.

    Args:
        path: a `.safetensors` file, for which torch is needed, or a folder with the two graphs.

    Raises:
        InputError: neither, damaged, or a network for something else.
    """
    path = Path(path)
    return _graphs(path) if path.is_dir() else _checkpoint(path)


def read_vae(path: Path) -> tuple[Vae, Card]:
    """The network of a `.safetensors` file, in evaluation mode.

    Raises:
        InputError: damaged, or a network for something else.
    """
    from boxwright.perceptual.vae import Vae, VaeSettings

    net, card = read_module(path, "vae", lambda settings: Vae(VaeSettings.from_dict(settings)))
    assert isinstance(net, Vae)
    return net, card


def export_vae(net: Vae, card: Card, folder: Path) -> float:
    """Write encoder and decoder as ONNX into a folder, each for any number of pictures.

    Returns:
        the largest difference from torch, as a part of the largest output.

    Raises:
        InputError: onnx is not installed, or the folder cannot be written.
    """
    import torch
    from torch import nn

    from boxwright.runtime.export_net import Trace, export_net
    from boxwright.runtime.translate import Axis

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.net.encode(pictures)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return self.net.decode(latents)

    size, latent = net.settings.size, net.settings.latent
    some = np.random.default_rng(0)
    pictures = torch.from_numpy(some.random((3, 3, size, size), np.float32))
    latents = torch.from_numpy(some.standard_normal((3, latent), np.float32))
    many = {0: Axis("batch")}
    encode = Trace([(pictures,), (pictures[:1],)], {"pictures": many}, ("mean", "log_variance"))
    decode = Trace([(latents,), (latents[:1],)], {"latents": many}, ("pictures",))
    return max(
        export_net(Encoder(), card, folder / ENCODER, encode),
        export_net(Decoder(), card, folder / DECODER, decode),
    )


def _checkpoint(path: Path) -> Coder:
    import torch

    net, card = read_vae(path)

    def encode(pictures: Pictures) -> tuple[Latents, Latents]:
        with torch.inference_mode():
            mean, log_variance = net.encode(torch.from_numpy(pictures))
        return mean.numpy(), log_variance.numpy()

    def decode(latents: Latents) -> Pictures:
        with torch.inference_mode():
            return net.decode(torch.from_numpy(latents)).numpy()

    return Coder(card, encode, decode)


def _graphs(folder: Path) -> Coder:
    from boxwright.runtime.graph import Graph

    if not (folder / ENCODER).is_file() or not (folder / DECODER).is_file():
        raise InputError(
            f"no {ENCODER} and {DECODER} in this folder",
            path=folder,
            hint="give a run's best.safetensors, or what boxwright export wrote",
        )
    encoder, decoder = Graph(folder / ENCODER, "vae"), Graph(folder / DECODER, "vae")

    def encode(pictures: Pictures) -> tuple[Latents, Latents]:
        mean, log_variance = encoder.run(pictures)
        return mean, log_variance

    def decode(latents: Latents) -> Pictures:
        return decoder.run(latents)[0]

    return Coder(decoder.card, encode, decode)


def _chunks(values: np.ndarray) -> list[np.ndarray]:
    return [values[i : i + CHUNK] for i in range(0, len(values), CHUNK)]
