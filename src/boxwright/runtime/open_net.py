"""A trained network that is no detector as one function of arrays, from either kind of file; only one needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from boxwright.card import Card
from boxwright.foreign import reading

if TYPE_CHECKING:
    from torch import nn

Run = Callable[[Float32[np.ndarray, "batch 3 height width"]], Float32[np.ndarray, "batch channel tall wide"]]
"""A batch of pictures to what the network makes of it."""
Build = Callable[[Mapping[str, Any]], "nn.Module"]
"""From a card's settings the network with fresh weights; imports torch when it is called."""


@dataclass(frozen=True)
class Opened:
    """A trained network.

    Attributes:
        run: the network.
        card: what it is.
        graph: whether it is an exported graph.
    """

    run: Run
    card: Card
    graph: bool


def open_net(
    path: str | Path, task: str, build: Build, *, threads: int | None = None, device: str = "auto"
) -> Opened:
    """The network of a file.

    Args:
        path: `.safetensors`, run by torch, or `.onnx`, run by ONNX Runtime on the CPU.
        task: what it must be for, such as "style".
        build: for torch.
        threads: of ONNX Runtime; None is all cores.
        device: of torch: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: no such file, a damaged one, or a network for something else.
    """
    if Path(path).suffix.lower() == ".onnx":
        from boxwright.runtime.graph import Graph

        graph = Graph(path, task, threads)
        return Opened(lambda pictures: graph.run(pictures)[0], graph.card, True)
    import torch

    from boxwright.training.distributed import choose_device

    net, card = read_module(path, task, build)
    net.to(choose_device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Opened(eager(net), card, False)


def read_module(path: str | Path, task: str, build: Build) -> tuple[nn.Module, Card]:
    """The network of a `.safetensors` file, in evaluation mode, and what the file says of it.

    Raises:
        InputError: missing, damaged, or a network for something else.
    """
    import torch

    from boxwright.modelfile import read_net
    from boxwright.weights.read import check_fit

    tensors, card = read_net(path, task)
    state = {name: torch.from_numpy(value) for name, value in tensors.items()}
    with reading(path, f"network for {task}", again="train it anew"):
        # First without memory: the settings of a forged file may ask for a network of any size.
        with torch.device("meta"):
            bare = build(card.settings)
        check_fit(bare, state, path)
        net = build(card.settings)
        net.load_state_dict(state)
    return net.eval(), card


def eager(net: nn.Module) -> Run:
    """A network in evaluation mode as a function of arrays, where its weights are."""
    import torch

    device = next(net.parameters()).device

    @torch.inference_mode()
    def run(
        pictures: Float32[np.ndarray, "batch 3 height width"],
    ) -> Float32[np.ndarray, "batch channel tall wide"]:
        found: np.ndarray = net(torch.from_numpy(pictures).to(device)).float().cpu().numpy()
        return found

    return run
