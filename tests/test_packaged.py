"""The models that come with the package: small, described, the same in both engines, and as good as their card says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import boxwright as bw
from boxwright.evaluate import coco_metrics
from boxwright.evaluate.run import evaluate_model
from boxwright.loading import PACKAGED, packaged_names
from boxwright.runtime.onnx import OnnxModel


def test_they_are_there() -> None:
    assert packaged_names() == ("blood-cells", "everyday")


@pytest.mark.parametrize("name", packaged_names())
def test_small_and_described(name: str) -> None:
    for kind in (".safetensors", ".onnx"):
        assert (PACKAGED / f"{name}{kind}").stat().st_size < 12e6
    card = (PACKAGED / f"{name}.md").read_text()
    for part in ("## Data", "## Measured", "## Licence", "## Limits"):
        assert part in card
    notes = bw.load(name, engine="onnx").manifest.notes
    assert {"data", "licence"} <= set(notes)


def test_blood_cells_reaches_what_its_card_says(shared: Path) -> None:
    """AP50 on the official test split, by the deployed engine."""
    model = bw.load("blood-cells", engine="onnx")
    assert isinstance(model, OnnxModel)
    test = bw.open_dataset(shared / "data/bccd", "test")
    by_name = {name: index for index, name in enumerate(test.classes)}
    assert model.classes == tuple(by_name)
    results = model.predict([sample.path for sample in test], score=0.0)
    found = coco_metrics(test, results).ap50
    (stated,) = re.findall(
        r"AP50 on the test split, shipped file: \*\*([0-9.]+)\*\*", (PACKAGED / "blood-cells.md").read_text()
    )
    assert found == pytest.approx(float(stated), abs=0.002)


def test_everyday_reaches_what_its_card_says(shared: Path) -> None:
    """VOC07's AP50 on photographs that neither training nor choosing saw, by the deployed engine."""
    photographs = bw.open_dataset(shared / "data/voc2012-mini")
    report = evaluate_model(bw.load("everyday", engine="onnx"), photographs)
    (stated,) = re.findall(r"of the shipped graph: \*\*([0-9.]+)\*\*", (PACKAGED / "everyday.md").read_text())
    assert report.voc.ap11 == pytest.approx(float(stated), abs=0.002)


def test_both_engines_say_the_same(shared: Path) -> None:
    """To what rounding weights to 16 bits costs: the graph rounds some that the checkpoint keeps whole."""
    picture = next(iter(bw.open_dataset(shared / "data/bccd", "test"))).path
    eager = bw.load("blood-cells", engine="torch").predict(picture)[0]
    graph = bw.load("blood-cells", engine="onnx").predict(picture)[0]
    assert len(eager) == len(graph) > 5
    np.testing.assert_allclose(eager.scores, graph.scores, atol=5e-3)
    np.testing.assert_allclose(eager.boxes, graph.boxes, atol=0.5)
