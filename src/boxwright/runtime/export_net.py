"""A network that is no detector as one ONNX file, held against eager torch before it is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from boxwright.card import Card
from boxwright.files import write_bytes
from boxwright.manifest import KEY
from boxwright.runtime.graph import Graph
from boxwright.runtime.onnx import BLANK, seal
from boxwright.runtime.translate import Axis, translate
from boxwright.runtime.winograd import with_winograd

TOLERANCE = 1e-4
"""Largest difference of an output, as a part of its largest value."""


@dataclass(frozen=True)
class Trace:
    """How a network becomes a graph.

    Attributes:
        examples: sets of inputs to compare on, of several sizes where axes are free; the first also traces the network.
        free: names of the inputs, in order, with their free axes by number.
        outputs: names of the outputs.
        winograd: wide 3x3 convolutions become `boxwright.runtime.winograd`'s, quicker in ONNX Runtime on a CPU. For
            graphs that stay with us: others' engines know the plain ones best.
    """

    examples: Sequence[tuple[Tensor, ...]]
    free: Mapping[str, Mapping[int, Axis]]
    outputs: tuple[str, ...]
    winograd: bool = False


class GraphError(RuntimeError):
    """The exported graph does not say what the network says; nothing was written."""


def export_net(net: nn.Module, card: Card, path: str | Path, trace: Trace) -> float:
    """Write a network as ONNX with its card inside.

    Args:
        net: tensors -> a tensor or a tuple of tensors; it stays as it is.
        card: travels in the file.
        path: the `.onnx` file.
        trace: what it is fed, and what is compared.

    Returns:
        the largest difference found, as a part of the output's largest value.

    Raises:
        GraphError: the outputs differ.
        InputError: onnx is not installed, or the file cannot be written.
    """
    content, difference = graph_of(net, card, trace)
    write_bytes(Path(path), content)
    return difference


def graph_of(net: nn.Module, card: Card, trace: Trace) -> tuple[bytes, float]:
    """The content that `export_net` writes, and the difference that it returns."""
    still = copy.deepcopy(net).cpu().float().eval()
    proto = translate(still, trace.examples[0], trace.free, trace.outputs)
    if trace.winograd:
        proto = with_winograd(proto)
    for key, text in ((KEY, card.to_json()), ("sha256", BLANK)):
        proto.metadata_props.add(key=key, value=text)
    content = seal(proto.SerializeToString(deterministic=True))
    graph = Graph(content, card.task)
    difference = max(_difference(still, graph, example) for example in trace.examples)
    if not difference <= TOLERANCE:
        raise GraphError(
            f"the exported graph differs from the network by {difference:.2g} of its largest output"
        )
    return content, difference


@torch.inference_mode()
def _difference(net: nn.Module, graph: Graph, example: tuple[Tensor, ...]) -> float:
    eager = net(*example)
    wanted = [eager] if isinstance(eager, Tensor) else list(eager)
    found = [torch.from_numpy(array) for array in graph.run(*(tensor.numpy() for tensor in example))]
    if [one.shape for one in wanted] != [one.shape for one in found]:
        return float("inf")
    parts = zip(wanted, found, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in parts)
