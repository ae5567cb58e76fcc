"""From an image to its features: a backbone and its pooling as one sealed ONNX graph, and what runs it.

`build_graph` needs torch and runs once, where the job starts; `Extractor` needs none and runs wherever images are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from boxwright.preprocess import Preprocess
from boxwright.runtime.graph import Graph

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
    from boxwright.cluster.pooled import build_net
    from boxwright.runtime.export_net import Trace, graph_of
    from boxwright.runtime.translate import Axis

    net, card, examples = build_net(backbone, tap, pool, size, weights, say)
    trace = Trace(examples, {"images": {0: Axis("batch")}}, ("features",), winograd=True)
    content, _ = graph_of(net, card, trace)
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
