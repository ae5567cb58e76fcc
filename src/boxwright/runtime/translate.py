"""From a torch module to the ONNX protobuf, without what the exporter says of its own work."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from boxwright.runtime.onnx_ops import translations

OPSET = 18
"""Of 2022: read by every ONNX Runtime and OpenVINO of the last years."""

_LARGEST = 1 << 16


@dataclass(frozen=True)
class Axis:
    """An axis whose length is free.

    Attributes:
        name: the same name in two inputs means the same length.
        multiple: lengths are whole multiples of this.
        least: the shortest, in multiples.
    """

    name: str
    multiple: int = 1
    least: int = 1

    def dim(self) -> Any:
        """As torch.export wants it."""
        if self.multiple == 1:
            return torch.export.Dim(self.name, min=self.least, max=_LARGEST)
        return self.multiple * torch.export.Dim(
            f"_{self.name}", min=self.least, max=_LARGEST // self.multiple
        )


def translate(
    module: nn.Module,
    example: tuple[Tensor, ...],
    free: Mapping[str, Mapping[int, Axis]],
    outputs: Sequence[str],
) -> Any:
    """The ONNX protobuf of a module.

    Args:
        module: tensors -> a tensor or a tuple of tensors, in evaluation mode.
        example: one set of inputs; axes that are free should be 2 or more in it.
        free: names of the inputs, in order, with their free axes by number.
        outputs: names of the outputs.
    """
    axes = {axis.name: axis for some in free.values() for axis in some.values()}
    dims = {name: axis.dim() for name, axis in axes.items()}
    shapes = tuple({number: dims[axis.name] for number, axis in some.items()} for some in free.values())
    with _quiet(), torch.no_grad():
        # Captured here and not by torch.onnx.export, which falls back to a fixed batch without a word.
        captured = torch.export.export(module, example, dynamic_shapes=shapes)
        program = torch.onnx.export(
            captured,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(free),
            output_names=outputs,
            # Only for the names of the axes.
            dynamic_shapes=tuple({n: axis.name for n, axis in some.items()} for some in free.values()),
            custom_translation_table=translations(),
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    proto = program.model_proto
    proto.ClearField("metadata_props")
    proto.producer_name = "boxwright"
    graph = proto.graph
    graph.ClearField("metadata_props")
    # It names files of this machine.
    for entry in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    graph.ClearField("value_info")
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own internals from the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
