"""Networks that are no detectors, by what they are for: how their files become networks, and networks graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boxwright.errors import InputError, near
from boxwright.perceptual import style_net, upscale, vae_coder
from boxwright.runtime.export_net import Trace, export_net
from boxwright.runtime.open_net import Build, read_module
from boxwright.segment import networks as segment

SINGLE: dict[str, tuple[Build, Callable[[Mapping[str, Any]], Trace]]] = {
    "style": (style_net.build, style_net.trace),
    "upscale": (upscale.build, upscale.trace),
    "segment": (segment.build, segment.trace),
}
"""By task, for networks that become one graph: from a card's settings the network, and how it is traced."""


def export(checkpoint: Path, task: str, out: Path | None = None) -> tuple[Path, float]:
    """Write a trained network as ONNX, held against torch; an auto-encoder becomes a folder of two graphs.

    Args:
        checkpoint: its `.safetensors` file.
        task: what it is for.
        out: the `.onnx` file, or the folder; by default beside the checkpoint, with its name.

    Returns:
        what was written, and the largest difference of an output as a part of the largest.

    Raises:
        InputError: a damaged checkpoint, a task that is not known, or a file that cannot be written.
        GraphError: the graph differs; nothing was written.
    """
    if task == "vae":
        folder = out or checkpoint.with_suffix("")
        if folder.suffix == ".onnx":
            raise InputError(
                "an auto-encoder becomes two graphs in a folder",
                path=folder,
                hint="give --out a folder's name",
            )
        return folder, vae_coder.export_vae(*vae_coder.read_vae(checkpoint), folder)
    if task not in SINGLE:
        raise InputError(
            f"is a network for {task}, which is not exported", path=checkpoint, hint=near(task, SINGLE)
        )
    target = out or checkpoint.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise InputError(
            "the name of an exported model ends in .onnx", path=target, hint="choose another --out"
        )
    build, trace = SINGLE[task]
    net, card = read_module(checkpoint, task, build)
    return target, export_net(net, card, target, trace(card.settings))
