"""From an image to its features: a backbone and its pooling as one sealed ONNX graph, and what runs it.

`build_graph` needs torch and runs once, where the job starts; `Extractor` needs none and runs wherever images are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.card import Card
from boxwright.errors import InputError, near
from boxwright.preprocess import Preprocess
from boxwright.runtime.graph import Graph

if TYPE_CHECKING:
    from torch import nn

TASK = "features"


def build_graph(
    backbone: str,
    tap: str,
    pool: str = "mean",
    size: int | None = None,
    weights: str | Path = "auto",
    say: Callable[[str], None] = print,
) -> bytes:
    """A backbone up to one tap, and its pooling, as an ONNX graph: normalised images -> features.

    The number of images is free. Its card says all that decides the features: backbone, tap, pooling, input and a
    digest of the weights; two graphs with equal settings give equal features.

    Args:
        backbone: such as "vgg16"; `boxwright models` lists them.
        tap: such as "conv4".
        pool: "mean", "max", "grid" or "flatten", see `boxwright.cluster.pooled.Pooled`.
        size: side of the square that images are stretched to; None is the classifier's own.
        weights: as of `boxwright.weights.trunk.pretrained_trunk`; "none" are fresh ones, always the same.
        say: receives the progress of a download.

    Raises:
        InputError: no such backbone, tap or pooling, no weights, or images too small for the backbone.
    """
    import torch

    from boxwright.cluster.pooled import POOLS, Pooled
    from boxwright.runtime.export_net import Trace, graph_of
    from boxwright.runtime.translate import Axis
    from boxwright.weights.trunk import pretrained_trunk

    if pool not in POOLS:
        raise InputError(f"no pooling {pool!r}", hint=near(pool, POOLS))
    if size is not None and size < 1:
        raise InputError(f"images of {size} pixels", hint="give --size at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk, origin = pretrained_trunk(backbone, (tap,), weights, say=say)
        net = Pooled(trunk.backbone, pool).eval()  # type: ignore[arg-type]
        side = size or origin.size
        examples = [(torch.randn(count, 3, side, side),) for count in (2, 1, 3)]
    try:
        with torch.inference_mode():
            columns = net(*examples[0]).shape[1]
    except RuntimeError as error:
        raise InputError(
            f"{backbone} has no {tap} of an image of {side} pixels", hint="give a larger --size"
        ) from error
    mean, std = (values.flatten().tolist() for values in (trunk.mean, trunk.std))
    preprocess = Preprocess((side, side), filter=origin.filter, mean=tuple(mean), std=tuple(std))
    settings = {
        "backbone": backbone,
        "tap": tap,
        "pool": pool,
        "columns": columns,
        "preprocess": preprocess.to_dict(),
        "weights": _digest(net),
    }
    trace = Trace(examples, {"images": {0: Axis("batch")}}, ("features",))
    content, _ = graph_of(net, Card(TASK, settings, {"weights": origin.said}), trace)
    return content


class Extractor:
    """Features in ONNX Runtime on the CPU; torch-free.

    Args:
        graph: what `build_graph` returned, or a file of it.
        threads: how many it may use; None is all cores.

    Attributes:
        card: what the graph is.
        columns: features of an image.
        preprocess: from an image to the input.

    Raises:
        InputError: damaged, or a network for something else.
    """

    def __init__(self, graph: bytes | str | Path, threads: int | None = None) -> None:
        self._graph = Graph(graph, TASK, threads)
        self.card = self._graph.card
        self.columns = int(self.card.settings["columns"])
        self.preprocess = Preprocess.from_dict(self.card.settings["preprocess"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the features."""
        return self.card.settings

    def prepare(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "3 size size"]:
        """One image, as `boxwright.images.read_image` gives it, resized and normalised."""
        return self.preprocess(image)

    def run(self, images: Float32[np.ndarray, "batch 3 size size"]) -> Float32[np.ndarray, "batch feature"]:
        """The features of prepared images; each depends on its own image alone."""
        (features,) = self._graph.run(images)
        return features


def _digest(net: nn.Module) -> str:
    """Of all weights and buffers by name, so that equal settings mean equal features."""
    sha = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        sha.update(f"{name} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().contiguous().numpy().tobytes())
    return sha.hexdigest()
