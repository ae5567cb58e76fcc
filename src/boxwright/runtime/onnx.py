"""An exported graph in ONNX Runtime: detection in an environment without torch.

The file is one ONNX model whose metadata holds the manifest ("boxwright") and a digest ("sha256") of the
whole file with the digest itself read as 64 zeros, as in a `.safetensors` checkpoint. Its inputs are `images`
[batch, 3, height, width], normalised, and `sizes` [batch, 2]; its outputs `boxes`, `scores`, `labels` and
`valid`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.foreign import in_words, reading
from boxwright.manifest import KEY, Manifest
from boxwright.predict import Found, Predictor, Propose, Regions
from boxwright.preprocess import Preprocess
from boxwright.regular import read_regular
from boxwright.results import Result
from boxwright.runtime.external_data import has_external_data

if TYPE_CHECKING:
    from boxwright.data.records import Dataset
    from boxwright.evaluate import Report

INPUTS = ("images", "sizes")
OUTPUTS = ("boxes", "scores", "labels", "valid")
BLANK = "0" * 64
"""What stands in the place of the digest while it is taken."""

# The metadata entry as protobuf lays it out: field 1, six bytes; field 2, 64 bytes.
_SEAL = b"\x0a\x06sha256\x12\x40"
_DAMAGED = "copy or download it again"
_FATAL = 4
_EXPORT = "make it with boxwright export"


class OnnxEngine:
    """ONNX Runtime on the CPU.

    Args:
        source: the file, or its content.
        threads: how many it may use; None is all cores.

    Raises:
        InputError: not an ONNX file, a damaged one, or one that `boxwright export` did not write.
    """

    def __init__(self, source: str | Path | bytes, threads: int | None = None) -> None:
        path = None if isinstance(source, bytes) else Path(source)
        content = source if isinstance(source, bytes) else read_graph(Path(source))
        verify(content, path)
        self._session = session(content, threads, path)
        self._path = path
        with reading(path, "detector's graph", again=_EXPORT):
            metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
            if (card := Card.found(metadata[KEY])) is not None:
                raise InputError(
                    f"is a network for {card.task}, not a detector",
                    path=path,
                    hint=f"see boxwright {card.task} --help",
                )
            self.manifest = Manifest.from_json(metadata[KEY], path=path)
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def run(
        self,
        images: Float32[np.ndarray, "batch 3 height width"],
        sizes: Int64[np.ndarray, "batch 2"],
        regions: Regions | None = None,
    ) -> Found:
        """Detections of a normalised batch, in its own pixels, best score first; no graph takes `regions`."""
        fed = {
            name: value for name, value in zip(INPUTS, (images, sizes), strict=True) if name in self._inputs
        }
        boxes, scores, labels, valid = run(self._session, list(OUTPUTS), fed, self._path)
        with reading(self._path, "detector's graph", again=_EXPORT):
            _check_found(boxes, scores, labels, valid, len(images), len(self.manifest.classes))
        # ONNX Runtime says "long long", which is int64 by another name on this platform or that.
        return boxes, scores, labels.view(np.int64), valid


class OnnxModel:
    """A model whose network runs in ONNX Runtime; acts as `boxwright.model.Model` where it predicts.

    Args:
        engine: the graph.
    """

    def __init__(self, engine: OnnxEngine) -> None:
        self.engine = engine

    @property
    def manifest(self) -> Manifest:
        """What travels with the weights."""
        return self.engine.manifest

    @property
    def preprocess(self) -> Preprocess:
        """Image to network input."""
        return self.manifest.preprocess

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the network's columns."""
        return self.manifest.classes

    def predict(self, images: Any, score: float | None = None) -> list[Result]:
        """Detect on images; see `boxwright.predict.Predictor.predict`."""
        return self.predictor().predict(images, score)

    def predictor(self, propose: Propose | None = None) -> Predictor:
        """The front of this model that also streams a folder with flat memory.

        Args:
            propose: finds the regions of an image, or knows them, for a network that judges given ones.
        """
        return Predictor(self.engine, self.manifest, propose)

    def evaluate(self, dataset: Dataset, *, batch: int = 8) -> Report:
        """Measure on a data set; see `boxwright.model.Model.evaluate`."""
        from boxwright.evaluate import evaluate_model

        return evaluate_model(self, dataset, batch=batch)


def load(path: str | Path, *, threads: int | None = None) -> OnnxModel:
    """Open a graph that `boxwright export` wrote.

    Args:
        path: the `.onnx` file.
        threads: how many ONNX Runtime may use; None is all cores.

    Raises:
        InputError: missing, damaged, or not ours.
    """
    return OnnxModel(OnnxEngine(path, threads))


def seal(content: bytes) -> bytes:
    """Put the digest in the place of the zeros under "sha256"."""
    blank = _SEAL + BLANK.encode()
    if blank not in content:
        raise ValueError(f"the metadata has no sha256 of {BLANK}")
    before, _, after = content.rpartition(blank)
    return before + _SEAL + hashlib.sha256(content).hexdigest().encode() + after


def verify(content: bytes, path: Path | None) -> None:
    """Raise unless `content` is, to the byte, what `seal` returned.

    Raises:
        InputError: it is not.
    """
    if not content:
        raise InputError("is empty", path=path, hint=_DAMAGED)
    at = content.rfind(_SEAL) + len(_SEAL)
    if at < len(_SEAL):
        raise InputError(
            "is no ONNX model made by boxwright, or a part of one",
            path=path,
            hint=_EXPORT,
        )
    digest = hashlib.sha256(memoryview(content)[:at])
    digest.update(BLANK.encode())
    digest.update(memoryview(content)[at + len(BLANK) :])
    if digest.hexdigest().encode() != content[at : at + len(BLANK)]:
        raise InputError("is damaged: its contents do not match its sha256", path=path, hint=_DAMAGED)


def is_exported(path: Path) -> bool:
    """Whether a file is a whole one that `boxwright export` wrote."""
    try:
        verify(read_graph(path), path)
    except InputError:
        return False
    return True


def _check_found(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, valid: np.ndarray, images: int, classes: int
) -> None:
    """What a graph of others answers has the form of detections."""
    rows = scores.shape[:2]
    if boxes.shape != (*rows, 4) or labels.shape != rows or valid.shape != rows or rows[:1] != (images,):
        raise ValueError("its outputs have other shapes than a detector's")
    if [array.dtype.str.lstrip("<=|") for array in (boxes, scores, labels, valid)] != [
        "f4",
        "f4",
        "i8",
        "b1",
    ]:
        raise ValueError("its outputs have other types than a detector's")
    if ((labels < 0) | (labels >= classes))[valid].any():
        raise ValueError("it answers with classes that it does not have")


def read_graph(path: Path) -> bytes:
    """The file's content.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", path=path, hint="check the path of the model file"
        ) from error


def session(content: bytes, threads: int | None, path: Path | None) -> Any:
    """ONNX Runtime's session of a graph.

    Args:
        content: the graph.
        threads: how many it may use; None is all cores.
        path: its file, for the error's text.

    Raises:
        InputError: it names other files, or ONNX Runtime cannot open it.
    """
    with reading(path, "ONNX model", again=_DAMAGED):
        if has_external_data(content):
            raise InputError(
                "keeps its weights in other files, which are never opened",
                path=path,
                hint="save it as one file: onnx.save(onnx.load(FILE), OUT)",
            )
    from boxwright.quiet import silence

    silence()
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    # What it has to say comes as an exception, and becomes our one line.
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    # Else it would take the bytes for a format of its own where they look so.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise InputError(
            f"ONNX Runtime cannot open it ({in_words(error)})",
            path=path,
            hint="update onnxruntime, or export it again",
        ) from error


def run(
    session: Any, outputs: list[str] | None, fed: Mapping[str, np.ndarray], path: Path | None
) -> list[Any]:
    """The outputs of a graph; all of them where `outputs` is None.

    Raises:
        InputError: ONNX Runtime cannot run it on these arrays, or has not the memory for it.
    """
    try:
        found: list[Any] = session.run(outputs, fed)
    except Exception as error:
        raise InputError(
            f"ONNX Runtime cannot run it ({in_words(error)})",
            path=path,
            hint="update onnxruntime, or export it again",
        ) from error
    return found
