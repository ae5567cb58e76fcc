"""EfficientNet-Lite0's ImageNet weights give their published logits, which only TensorFlow's padding does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import torch

from boxwright.weights import efficientnet_lite
from boxwright.weights.read import read_state_dict


@pytest.mark.parametrize("size", [224, 320])
def test_logits(shared: Path, size: int) -> None:
    file = efficientnet_lite.packaged(0)
    assert file is not None, "the package with the weights is one of the training dependencies"
    net = efficientnet_lite.classifier(read_state_dict(file), 0, file)
    image = torch.from_numpy(reference.picture(size, size, 31))
    with torch.no_grad():
        ours = net(((image * 255 - 127) / 128)[None])[0].numpy()
    theirs = np.load(shared / "reference/efficientnet_lite/logits.npz")[f"lite0_{size}x{size}_logits"]
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()
