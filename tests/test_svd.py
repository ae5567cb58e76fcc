"""Truncated SVD of fc6 and fc7: the best of its rank, the same model at full rank, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import boxwright as bw
from boxwright.cli import app
from boxwright.errors import InputError
from boxwright.heads.region import TwoLayers
from boxwright.model import Model, create
from boxwright.svd import compressed, layer_parameters, truncated

NAME = "faster-rcnn-efficientnet-lite0-fpn"
SMALL = {"size": 64, "side": 3, "width": 32, "channels": 16, "candidates": [60, 60], "proposals": [40, 40]}


def fresh(name: str = NAME, **settings: object) -> Model:
    torch.manual_seed(0)
    model = create(name, classes=("a", "b"), weights=None, settings=SMALL | settings)
    for parameter in model.net.regions.parameters():  # else all regions look the same
        torch.nn.init.normal_(parameter, std=0.2)
    model.net.eval()
    return model


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31 - 1), st.data())
def test_nothing_of_that_rank_is_closer(rows: int, columns: int, seed: int, data: st.DataObject) -> None:
    """Eckart and Young 1936: the error is the root of the squares of the singular values that were left out."""
    matrix = np.random.default_rng(seed).normal(size=(rows, columns))
    rank = data.draw(st.integers(1, min(rows, columns)))
    first, second = truncated(torch.from_numpy(matrix), rank)
    assert first.shape == (rank, columns)
    assert second.shape == (rows, rank)
    product = (second @ first).numpy()
    assert np.linalg.matrix_rank(product) == rank
    left_out = np.linalg.svd(matrix, compute_uv=False)[rank:]
    assert np.linalg.norm(matrix - product) == pytest.approx(math.sqrt((left_out**2).sum()), abs=1e-9)


def test_full_rank_is_the_same_model() -> None:
    model = fresh()
    same = compressed(model, (32, 32))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sizes = torch.tensor([[64, 64], [64, 64]])
    with torch.no_grad():
        one, other = model.net(images, sizes), same.net(images, sizes)
    torch.testing.assert_close(other.regions.logits, one.regions.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other.regions.deltas, one.regions.deltas, atol=1e-4, rtol=1e-4)
    assert torch.equal(other.proposals.logits, one.proposals.logits)
    assert one.regions.logits.std() > 0.1


def test_a_lower_rank_leaves_the_bias_and_all_else() -> None:
    model = fresh()
    thin = compressed(model, (5, 0))
    old, new = model.net.state_dict(), thin.net.state_dict()
    product = new["regions.body.fc6.1.weight"] @ new["regions.body.fc6.0.weight"]
    u, s, vt = np.linalg.svd(old["regions.body.fc6.weight"].numpy(), full_matrices=False)
    np.testing.assert_allclose(product.numpy(), u[:, :5] * s[:5] @ vt[:5], atol=1e-4)
    assert torch.equal(new["regions.body.fc6.1.bias"], old["regions.body.fc6.bias"])
    assert "regions.body.fc6.0.bias" not in new
    for name, value in old.items():
        if "fc6" not in name:
            assert torch.equal(new[name], value), name
    # The whole model is as it was.
    assert "regions.body.fc6.weight" in model.net.state_dict()
    assert model.manifest.settings["svd"] == []
    assert thin.manifest == replace(model.manifest, settings={**model.manifest.settings, "svd": [5, 0]})


def test_how_many_weights_there_are() -> None:
    """Section 3.1: u v numbers become t (u + v); the bias stays. Worked for VGG-16 with the paper's ranks."""
    six, seven = 512 * 7 * 7, 4096
    with torch.device("meta"):
        whole, thin = TwoLayers(six, 4096), TwoLayers(six, 4096, ranks=(1024, 256))
    assert sum(p.numel() for p in whole.parameters()) == 119_545_856
    assert sum(p.numel() for p in thin.parameters()) == 1024 * (six + 4096) + 256 * (seven + 4096) + 2 * 4096
    assert sum(p.numel() for p in thin.parameters()) == 31_989_760
    model = fresh()
    inputs = 16 * 3 * 3
    assert layer_parameters(model) == inputs * 32 + 32 + 32 * 32 + 32
    assert layer_parameters(compressed(model, (8, 4))) == 8 * (inputs + 32) + 32 + 4 * (32 + 32) + 32


def test_what_cannot_be_compressed_says_so() -> None:
    with pytest.raises(
        InputError, match="fc6 of 144 x 32 numbers cannot have rank 33; choose one of 1 to 32"
    ):
        compressed(fresh(), (33, 4))
    with pytest.raises(InputError, match="cannot have rank -1"):
        compressed(fresh(), (4, -1))
    with pytest.raises(InputError, match=r"compressed already, to ranks \(8, 4\)"):
        compressed(compressed(fresh(), (8, 4)), (4, 2))
    one_stage = create("ssd320-efficientnet-lite0", classes=("a",), weights=None)
    with pytest.raises(InputError, match="ssd320-efficientnet-lite0 has no fc6 and fc7"):
        compressed(one_stage, (8, 4))
    with pytest.raises(InputError, match=r"model\.svd is of fc6 and fc7"):
        fresh(body="convolutions", svd=[8, 4])
    with pytest.raises(InputError, match="1 ranks for fc6 and fc7; give two"):
        fresh(svd=[8])


def command(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["compress", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return 2, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_the_command_writes_what_others_read(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.safetensors", tmp_path / "thin.safetensors"
    model = fresh()
    model.manifest = replace(model.manifest, score=0.2, thresholds=(0.2, 0.4), notes={"data": "cells"})
    model.save(whole)
    code, printed, said = command(whole, "-o", out, "--ranks", "8,4", "--json")
    assert code == 0
    values = json.loads(printed)
    assert values == {"file": str(out), "ranks": [8, 4], "before": 5696, "after": 1728}
    assert "30.3% of 5,696" in said
    again = bw.load(out)
    assert again.manifest.thresholds == (0.2, 0.4)
    assert again.manifest.notes == {"data": "cells"}
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)).save(picture)
    expected = compressed(model, (8, 4)).predict(picture, score=0.0)[0]
    np.testing.assert_array_equal(again.predict(picture, score=0.0)[0].boxes, expected.boxes)
    assert len(expected.boxes)


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.safetensors", tmp_path / "thin.safetensors"
    fresh().save(whole)
    for words, why in (
        (
            (whole, "-o", out, "--ranks", "8"),
            "--ranks 8 is not two whole numbers; give two, such as 1024,256",
        ),
        ((whole, "-o", out, "--ranks", "99,4"), f"{whole}: fc6 of 144 x 32 numbers cannot have rank 99"),
        ((whole, "-o", whole, "--ranks", "8,4"), f"{whole}: exists already"),
        ((whole, "-o", tmp_path / "thin.onnx", "--ranks", "8,4"), "ends in .safetensors"),
    ):
        code, _, said = command(*words)
        assert code == 2
        assert why in said
        assert len(said.strip().splitlines()) == 1
        assert not out.exists()
    assert command(whole, "-o", out, "--ranks", "32,32")[2].count("save nothing") == 1
    assert command(whole, "-o", out, "--ranks", "8,4", "--overwrite")[0] == 0
