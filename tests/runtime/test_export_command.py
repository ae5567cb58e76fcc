"""`boxwright export` as a person runs it, on the toy detector's checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import boxwright as bw
from boxwright.cli import main
from boxwright.data.scenes import load_material
from boxwright.recipes import RECIPES
from boxwright.runtime.export import export_onnx

from .toys import TOY, photograph, toy_model


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["boxwright", "export", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0), *capsys.readouterr()
    return 0, *capsys.readouterr()


def test_a_checkpoint_becomes_a_graph_with_half_precision_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "toy", TOY)
    model, saved = toy_model(), tmp_path / "best.safetensors"
    model.save(saved)
    photographs = [photograph(tmp_path / "photos", seed) for seed in range(2)]
    images = ("--images", str(tmp_path / "photos"))
    code, out, err = run(monkeypatch, capsys, str(saved), "--half", "--json", *images)
    assert code == 0, err
    said = json.loads(out)
    assert said["file"] == str(tmp_path / "best.onnx") and said["holds"] and said["images"] == 3
    assert said["faults"] == 0 < said["detections"] and "batches of 1 and 3" in err

    weights = [entry for entry in onnx.load(said["file"]).graph.initializer if len(entry.dims) == 4]
    assert {entry.data_type for entry in weights} == {onnx.TensorProto.FLOAT16}
    graph = bw.load(tmp_path / "best.onnx")
    assert graph.manifest == model.manifest
    for mine, theirs in zip(model.predict(photographs), graph.predict(photographs), strict=True):
        assert mine.names == theirs.names and len(mine) == 2
        np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssd320-efficientnet-lite0", "ssd300-vgg16"])
def test_a_real_recipe_exports_exactly(name: str, tmp_path: Path) -> None:
    model = bw.create(name, classes=["cat", "dog"])
    shots = list(load_material("test").photographs.values())
    parity = export_onnx(model, tmp_path / "m.onnx", images=shots)
    assert parity.faults == 0 and parity.box < 0.05 and parity.detections > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.safetensors"], "no.safetensors: cannot be read"),
        (["blod-cels"], "neither a file nor a packaged model"),
        (["no.safetensors", "--out", "x.txt"], "x.txt: the name of an exported model ends in .onnx"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "") and says in err


def test_a_graph_is_not_exported_again(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = exported.read_bytes()
    code, _, err = run(monkeypatch, capsys, str(exported))
    assert code == 2 and "is exported already" in err and exported.read_bytes() == before
