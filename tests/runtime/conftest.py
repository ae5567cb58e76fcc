from __future__ import annotations

from pathlib import Path

import pytest

from boxwright.runtime.export import export_onnx

from .toys import pictures, toy_model


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy detector as ONNX."""
    path = tmp_path_factory.mktemp("exported") / "toy.onnx"
    export_onnx(toy_model(), path, images=pictures())
    return path
