"""An exported network that is no detector, in ONNX Runtime: arrays in, arrays out. Torch-free.

Its metadata holds the network's `Card` ("boxwright") and a digest ("sha256"), as a detector's graph holds its manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from boxwright.card import Card
from boxwright.foreign import reading
from boxwright.manifest import KEY
from boxwright.runtime.onnx import read_graph, run, session, verify


class Graph:
    """ONNX Runtime on the CPU.

    Args:
        source: the file, or its content.
        task: what the network must be for, such as "style".
        threads: how many it may use; None is all cores.

    Attributes:
        card: what the network is.

    Raises:
        InputError: not an ONNX file, a damaged one, or a network for something else.
    """

    def __init__(self, source: str | Path | bytes, task: str, threads: int | None = None) -> None:
        path = None if isinstance(source, bytes) else Path(source)
        content = source if isinstance(source, bytes) else read_graph(Path(source))
        verify(content, path)
        self._session = session(content, threads, path)
        self._path = path
        with reading(path, f"network for {task}", again="make it with boxwright export"):
            metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
            self.card = Card.expected(metadata[KEY], task, path)
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, in the graph's order.

        Args:
            arrays: its inputs, in the graph's order.
        """
        fed: dict[str, Any] = dict(zip(self._inputs, arrays, strict=True))
        return run(self._session, None, fed, self._path)
