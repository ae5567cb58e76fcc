"""How well priors cover boxes, and that fitting never makes it worse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from boxwright.coverage import fit_scales, layer, measure, report
from boxwright.data.scenes import write_scenes
from boxwright.errors import InputError
from boxwright.recipes import find

RECIPE = find("ssd320-efficientnet-lite0")


def test_priors_cover_themselves() -> None:
    priors = layer(RECIPE, RECIPE.settings)(RECIPE.settings)[::97]
    found = measure(priors, RECIPE, RECIPE.settings)
    assert found.best == pytest.approx(1.0, abs=1e-5)
    assert found.half == 1.0
    assert sum(band.objects for band in found.bands) == found.objects == len(priors)


def test_fitting_finds_the_scale_of_boxes_of_one_size() -> None:
    corner = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 280
    boxes = torch.cat((corner, corner + 10.0), 1)  # half the smallest default box
    before = measure(boxes, RECIPE, RECIPE.settings)
    after = measure(
        boxes, RECIPE, replace(RECIPE.settings, scales=fit_scales(boxes, RECIPE, RECIPE.settings))
    )
    assert after.best > before.best + 0.05


def test_report(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes", train=3, val=1, test=0)
    text = report(data, model=RECIPE.name, split=None, fit=False, changes=[], as_json=False)
    assert "8540 priors an image" in text
    halved = "model.scales=" + ",".join(str(scale / 2) for scale in RECIPE.settings.scales)
    values = json.loads(
        report(data, model=RECIPE.name, split="val", fit=False, changes=[halved], as_json=True)
    )
    assert values["fitted"] is None
    assert 0 < values["now"]["best"] <= 1
    with pytest.raises(InputError, match=r"not model\.KEY=VALUE"):
        report(data, model=RECIPE.name, split=None, fit=False, changes=["size=3"], as_json=False)
