"""From torch to one ONNX file with everything inside, held against eager torch before it is written."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from boxwright.decode import Decoder
from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.manifest import KEY
from boxwright.model import Model
from boxwright.runtime.candidates import TorchCandidates
from boxwright.runtime.onnx import BLANK, INPUTS, OUTPUTS, OnnxEngine, seal
from boxwright.runtime.parity import Parity, Rule, Tolerance, compare
from boxwright.runtime.translate import Axis, translate

_HALF = Tolerance(box=2.0, score=0.02, iou=0.1, share=0.02)
_PROTOBUF_LIMIT = 2**31


class ParityError(RuntimeError):
    """The exported graph does not say what the model says; nothing was written."""

    def __init__(self, parity: Parity) -> None:
        self.parity = parity
        super().__init__(f"the exported graph differs from the model: {parity}")


def export_onnx(model: Model, path: str | Path, *, images: Sequence[Any], half: bool = False) -> Parity:
    """Write a model as ONNX with preprocessing settings, class names and NMS inside, for any batch.

    Before the file appears, its detections are held against eager torch's on `images` and on an empty picture,
    one by one and in batches of three: boxes to 0.05 px, scores to 1e-4. With `half`, the graph is compared
    twice: so before its weights are rounded, and to 2 px and 0.02 of score afterwards.

    Args:
        model: what to export; it stays as it is.
        path: the `.onnx` file.
        images: real pictures, of any kind that `predict` takes.
        half: store weights as 16-bit floats: half the size, the same speed (they are widened when loaded).

    Returns:
        what the comparison found, for the file as written.

    Raises:
        ParityError: the detections differ.
        InputError: onnx is not installed, an image cannot be read, the file cannot be written, the model
            takes inputs of any size or judges regions that are found beforehand.
    """
    preprocess = model.preprocess
    if preprocess.mode != "stretch":
        raise InputError(
            f"{model.manifest.recipe} takes inputs of any size", hint="export one of a fixed size"
        )
    if model.manifest.regions is not None:
        raise InputError(
            f"{model.manifest.recipe} judges regions that are found beforehand, which no graph does",
            hint="use its checkpoint, or export a detector that finds its own",
        )
    net = copy.deepcopy(model.net).cpu().float().eval()
    grey = np.full((48, 64, 3), 128, np.uint8)
    pictures = [preprocess(picture) for picture in (*_decoded(images), grey)]

    proto = _translate(net, model.decoder, preprocess.size)
    for key, text in ((KEY, model.manifest.to_json()), ("sha256", BLANK)):
        proto.metadata_props.add(key=key, value=text)
    for narrow, tolerance in ((False, Tolerance()), (True, _HALF))[: 1 + half]:
        if narrow:
            _narrow(proto)
        if proto.ByteSize() >= _PROTOBUF_LIMIT:
            raise InputError(
                "the model is larger than the 2 GB that one ONNX file holds", hint="use half=True"
            )
        content = seal(proto.SerializeToString(deterministic=True))
        engine = OnnxEngine(content)
        parity = _compare(net, model.decoder, engine, pictures, preprocess.pad_multiple, tolerance)
        if not parity.holds:
            raise ParityError(parity)
    write_bytes(Path(path), content)
    return parity


def _compare(
    net: nn.Module,
    decoder: Decoder,
    engine: OnnxEngine,
    pictures: Sequence[np.ndarray],
    multiple: int,
    tolerance: Tolerance,
) -> Parity:
    """Hold the graph against eager torch's candidates."""
    rule = Rule(decoder.floor, decoder.candidates, decoder.iou, decoder.detections)
    reference = TorchCandidates(net, decoder, tolerance.score)
    return compare(reference, engine, pictures, rule, multiple=multiple, tolerance=tolerance)


class _Graph(nn.Module):
    """Network and decoder as one function of plain tensors."""

    def __init__(self, net: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.net, self.decoder = net, decoder

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        found = self.decoder(self.net(images, sizes), sizes)
        return found.boxes, found.scores, found.labels, found.valid


def _translate(net: nn.Module, decoder: Decoder, size: tuple[int, int]) -> Any:
    """The ONNX protobuf of both."""
    example = (torch.zeros(2, 3, *size), torch.tensor([size, size]))
    batch = {0: Axis("batch")}
    return translate(_Graph(net, decoder), example, dict.fromkeys(INPUTS, batch), OUTPUTS)


def _narrow(proto: Any) -> None:
    """Store the large float32 weights as float16, each behind a Cast that runtimes fold when they load."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for entry in proto.graph.initializer:
        if entry.data_type != onnx.TensorProto.FLOAT or len(entry.dims) < 2:
            continue
        name, whole = entry.name, numpy_helper.to_array(entry)
        if np.abs(whole).max(initial=0) > np.finfo(np.float16).max:
            continue
        entry.CopyFrom(numpy_helper.from_array(whole.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)


def _decoded(images: Sequence[Any]) -> Iterator[np.ndarray]:
    from boxwright.inputs import to_pixels

    for image in images:
        yield to_pixels(image)
