from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from boxwright.errors import InputError
from boxwright.runtime.onnx import OnnxEngine, load, seal

from .toys import photograph, pictures


def test_a_flipped_byte_anywhere_is_refused(exported: Path, tmp_path: Path) -> None:
    good = exported.read_bytes()
    for place in range(0, len(good), 29):
        damaged = bytearray(good)
        damaged[place] ^= (1, 32, 128, 255)[place % 4]
        (tmp_path / "x.onnx").write_bytes(damaged)
        with pytest.raises(InputError, match=r"x\.onnx: is (damaged|no ONNX model made by boxwright).*; "):
            load(tmp_path / "x.onnx")


@pytest.mark.parametrize("part", [0, 1, 100, 0.5, 0.999])
def test_a_cut_file_is_refused(exported: Path, tmp_path: Path, part: float) -> None:
    good = exported.read_bytes()
    (tmp_path / "x.onnx").write_bytes(good[: int(part if part >= 1 else part * len(good))])
    with pytest.raises(InputError, match=r"x\.onnx: is (empty|damaged|no ONNX)"):
        load(tmp_path / "x.onnx")


def test_another_s_graph_and_what_is_no_graph_are_refused(exported: Path, tmp_path: Path) -> None:
    foreign = onnx.load(exported)
    foreign.ClearField("metadata_props")
    onnx.save(foreign, tmp_path / "foreign.onnx")
    (tmp_path / "page.onnx").write_bytes(b"<!DOCTYPE html><html></html>")
    for name in ("foreign.onnx", "page.onnx"):
        with pytest.raises(InputError, match=f"{name}: is no ONNX model made by boxwright.*boxwright export"):
            load(tmp_path / name)
    for path, says in [(tmp_path, "is a folder"), (tmp_path / "no.onnx", "No such file")]:
        with pytest.raises(InputError, match=says):
            load(path)


def test_a_sealed_file_that_onnx_runtime_cannot_open_is_refused(exported: Path) -> None:
    proto = onnx.load(exported)
    for entry in proto.metadata_props:
        if entry.key == "sha256":
            entry.value = "0" * 64
    proto.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(InputError, match="ONNX Runtime cannot open it"):
        OnnxEngine(seal(proto.SerializeToString()))


def test_threads_can_be_limited_and_change_nothing(exported: Path) -> None:
    [one], [all_] = (load(exported, threads=n).predict(pictures()[0]) for n in (1, None))
    np.testing.assert_allclose(one.boxes, all_.boxes, atol=1e-4)


def test_nothing_of_torch_is_needed(exported: Path, tmp_path: Path) -> None:
    script = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numba", "onnx", "onnxscript", "sklearn", "skimage"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import numpy as np
import boxwright as bw

model = bw.load(sys.argv[1])
image = np.zeros((64, 64, 3), np.uint8)
image[:16, :16, 0] = 255
print(model.predict(image)[0].names, len(model.predict(0 * image)[0]), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script, str(exported)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "('red',) 0 False"


@pytest.mark.skipif("BOXWRIGHT_CORE" not in os.environ, reason="no environment without torch is at hand")
def test_detect_runs_where_torch_is_not_installed(exported: Path, tmp_path: Path) -> None:
    core = Path(os.environ["BOXWRIGHT_CORE"])
    bare = subprocess.run([core / "python", "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in bare.stderr
    command = [
        core / "boxwright",
        "detect",
        exported,
        photograph(tmp_path),
        "--json",
        "--out",
        tmp_path / "out",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {found["name"] for found in json.loads(done.stdout)["detections"]} == {"red", "green"}
    assert (tmp_path / "out/0.jpg").is_file()
