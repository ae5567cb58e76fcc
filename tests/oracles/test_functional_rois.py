"""RoIPool and RoIAlign of torchvision 0.28.0: RoIs that leave the image, that are empty, both conventions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from boxwright.regions import roi_host
from boxwright.regions.pool import roi_align, roi_pool

SCALE = 0.125


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, Tensor]:
    stored = np.load(shared / "reference/torchvision/functional.npz")
    return {name: torch.from_numpy(stored[name]) for name in stored if "roi" in name}


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(roi_host, "compiled", lambda: None)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("convention", ["legacy", "aligned"])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_roi_align(cases: dict[str, Tensor], size: int, convention: str, ratio: int) -> None:
    pooled = roi_align(
        cases["roi_features"], cases["rois"], size, SCALE,
        samples=max(ratio, 0), aligned=convention == "aligned",
    )  # fmt: skip
    expected = cases[f"roi_align_{size}_{convention}_sr{ratio}"]
    torch.testing.assert_close(pooled, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [1, 7])
def test_roi_pool(cases: dict[str, Tensor], size: int) -> None:
    pooled = roi_pool(cases["roi_features"], cases["rois"], size, SCALE)
    assert torch.equal(pooled, cases[f"roi_pool_{size}"])


def test_no_case_was_left_out(cases: dict[str, Tensor]) -> None:
    pooled = {name for name in cases if name.startswith(("roi_pool", "roi_align"))}
    assert len(pooled) == 2 + 2 * 2 * 2
