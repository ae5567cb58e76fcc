"""The graph is the network: equal to torch by another way of pooling, sealed, and independent of its company."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce

from boxwright.cluster.extractor import Extractor, build_graph
from boxwright.cluster.pooled import EagerExtractor, Pooled, build_net
from boxwright.errors import InputError
from boxwright.weights.trunk import build_trunk
from cluster.conftest import SIDE

IMAGE = np.random.default_rng(0).integers(0, 256, (31, 40, 3), np.uint8)


def quiet(_: str) -> None:
    pass


def test_the_graph_gives_what_the_trunk_s_map_pools_to(graph: bytes, extractor: Extractor) -> None:
    net, card, _ = build_net("vgg11", "conv2", "mean", SIDE, "none", quiet)
    assert extractor.card == card
    batch = np.stack([extractor.prepare(IMAGE), extractor.prepare(IMAGE[::-1]), extractor.prepare(IMAGE[5:])])
    with torch.inference_mode():
        (maps,) = net.backbone(torch.from_numpy(batch))
    wanted = np.asarray(maps).astype(np.float64).mean((2, 3))
    found = extractor.run(batch)
    assert found.shape == (3, extractor.columns) == (3, 128)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(EagerExtractor(net, card).run(batch), wanted, rtol=1e-4, atol=1e-6)


def test_input_is_normalised_as_the_trunk_does_it(extractor: Extractor) -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)  # no resize
    trunk = build_trunk("vgg11", ("conv2",))
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255
    wanted = (pixels - trunk.mean) / trunk.std
    np.testing.assert_allclose(extractor.prepare(image), wanted.numpy(), atol=1e-5)


class AsItIs(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images]


@pytest.mark.parametrize("pool", ["mean", "max", "grid", "flatten"])
@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 3), (1, 1)])
def test_pooling(pool: str, height: int, width: int) -> None:
    maps = torch.randn(2, 3, height, width)
    found = Pooled(AsItIs(), pool)(maps).numpy()
    values = maps.numpy()
    if pool == "flatten":
        np.testing.assert_array_equal(found, values.reshape(2, -1))
    elif pool == "grid" and (height, width) == (4, 6):
        blocks = np.stack([[block_reduce(plane, (2, 3), np.mean) for plane in one] for one in values])
        np.testing.assert_allclose(found, blocks.reshape(2, -1), rtol=1e-5)
    elif pool == "grid":
        wanted = torch.nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    else:
        wanted = {"mean": np.mean, "max": np.max}[pool](values, axis=(2, 3))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_an_image_s_features_do_not_depend_on_its_company(
    extractor: Extractor, before: int, after: int, seed: int
) -> None:
    own = extractor.prepare(IMAGE)[None]
    rng = np.random.default_rng(seed)
    others = [rng.normal(size=(count, 3, SIDE, SIDE)).astype(np.float32) for count in (before, after)]
    found = extractor.run(np.concatenate([others[0], own, others[1]]))
    np.testing.assert_array_equal(found[before], extractor.run(own)[0])


def test_fresh_weights_are_always_the_same_and_leave_chance_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, card, _ = build_net("vgg11", "conv1", "max", SIDE, "none", quiet)
    assert torch.equal(torch.rand(3), expected)
    second, again, _ = build_net("vgg11", "conv1", "max", SIDE, "none", quiet)
    assert card == again
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    _, other, _ = build_net("vgg11", "conv1", "mean", SIDE, "none", quiet)
    assert other.settings["weights"] == card.settings["weights"]
    assert other != card


def test_what_there_is_not(graph: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pooling 'men'; did you mean mean"):
        build_graph("vgg11", "conv2", "men", SIDE, "none")
    with pytest.raises(InputError, match="vgg11 has no tap conv9; it has conv1"):
        build_graph("vgg11", "conv9", "mean", SIDE, "none")
    with pytest.raises(InputError, match="has no conv5 of an image of 8 pixels; give a larger --size"):
        build_graph("vgg11", "conv5", "mean", 8, "none")
    with pytest.raises(InputError, match="no weights for vgg11 are installed"):
        build_graph("vgg11", "conv2", "mean", SIDE, "auto")
    spoiled = bytearray(graph)
    spoiled[len(spoiled) // 2] ^= 1
    (tmp_path / "a.onnx").write_bytes(spoiled)
    with pytest.raises(InputError, match=r"a\.onnx: is damaged"):
        Extractor(tmp_path / "a.onnx")


def test_features_need_no_torch(graph: bytes, extractor: Extractor, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(graph)
    script = (
        "import sys; sys.modules['torch'] = None; import numpy as np\n"
        "from boxwright.cluster.extractor import Extractor\n"
        "image = np.random.default_rng(0).integers(0, 256, (31, 40, 3), np.uint8)\n"
        "found = Extractor('a.onnx', 1); sys.stdout.buffer.write(found.run(found.prepare(image)[None]).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == extractor.run(extractor.prepare(IMAGE)[None]).tobytes()
