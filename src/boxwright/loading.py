"""Opening a model by file or by name, with the engine its kind asks for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from boxwright.addresses import refuse_address
from boxwright.errors import InputError, near

if TYPE_CHECKING:
    from boxwright.model import Model
    from boxwright.runtime.onnx import OnnxModel

PACKAGED = Path(__file__).parent / "weights" / "packaged"


def packaged_names() -> tuple[str, ...]:
    """Models that come with the package."""
    return tuple(sorted({file.stem for file in PACKAGED.glob("*.onnx")}))


def load(path: str | Path, *, engine: Literal["auto", "torch", "onnx"] = "auto") -> Model | OnnxModel:
    """Open a trained model.

    Args:
        path: a `.safetensors` checkpoint, an exported `.onnx`, or the name of a packaged model ("blood-cells").
        engine: for a packaged name, whether to open its checkpoint ("torch") or its graph ("onnx"); "auto"
            takes torch where it is installed.

    Raises:
        InputError: no such file or name, a damaged file, or a checkpoint where torch is not installed.
    """
    refuse_address(path)
    file = Path(path)
    if not file.suffix and not file.exists():
        names = packaged_names()
        if str(path) not in names:
            raise InputError("neither a file nor a packaged model", path=path, hint=near(str(path), names))
        torch_wanted = engine == "torch" or (engine == "auto" and find_spec("torch") is not None)
        file = PACKAGED / f"{path}{'.safetensors' if torch_wanted else '.onnx'}"
    if file.suffix == ".onnx":
        from boxwright.runtime.onnx import load as load_onnx

        return load_onnx(file)
    from boxwright.modelfile import read_model

    content = read_model(file)
    if find_spec("torch") is None:
        raise InputError(
            "a checkpoint needs torch",
            path=file,
            hint='pip install "boxwright[train]", or use the model\'s exported .onnx',
        )
    from boxwright.model import rebuild

    return rebuild(content, file)
