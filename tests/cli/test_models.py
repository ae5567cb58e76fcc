from __future__ import annotations

import json
from pathlib import Path

import pytest

from boxwright.cli.models import command
from boxwright.errors import InputError


def test_one_model_as_json_and_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    command("ssd320-efficientnet-lite0", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "detector"
    assert found["weights"][0] == {"origin": "packaged model", "what": "blood-cells"}
    assert [level["stride"] for level in found["levels"]][:3] == [8, 16, 32]
    settings = {one["name"]: one["value"] for one in found["settings"]}
    assert settings["model.size"] == "320"
    command("cifar-plain20")
    assert capsys.readouterr().out.startswith("cifar-plain20\n")


def test_what_cannot_be_asked_for_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave the name out"):
        command("resnet18", kind="classifier")
    with pytest.raises(InputError, match=r"ends in \.png"):
        command(plot=tmp_path / "models.svg")
    with pytest.raises(InputError, match="no model 'resnet19'; did you mean"):
        command("resnet19")


@pytest.mark.slow
def test_the_list_and_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(kind="detector", plot=tmp_path / "models.png", as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} == {"detector"}
    assert {"ssd300-vgg16", "retinanet-efficientnet-lite0-fpn"} <= {row["name"] for row in rows}
    assert all(row["parameters"] > 1e6 and row["gflops"] > 0.1 for row in rows)
    assert (tmp_path / "models.png").stat().st_size > 10_000
