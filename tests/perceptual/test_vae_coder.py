from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.modelfile import write_model
from boxwright.perceptual.vae import Vae, VaeSettings
from boxwright.perceptual.vae_coder import CHUNK, DECODER, export_vae, open_coder, read_vae
from boxwright.perceptual.vae_latents import draw_latents
from boxwright.training.state import arrays

SETTINGS = VaeSettings(size=32, latent=5, width=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose norms have seen something: fresh ones would hide a mistake."""
    torch.manual_seed(0)
    net = Vae(SETTINGS)
    for _ in range(20):
        net(torch.rand(8, 3, 32, 32), torch.randn(8, 5))
    path = tmp_path_factory.mktemp("coder") / "best.safetensors"
    write_model(path, arrays(net), Card("vae", asdict(SETTINGS), {"psnr": 20.0}))
    return path


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    folder = model.parent / "onnx"
    assert export_vae(*read_vae(model), folder) < 1e-4
    return folder


@pytest.mark.parametrize("count", [1, CHUNK + 3])
def test_file_and_graphs_agree_for_any_number_of_pictures(model: Path, exported: Path, count: int) -> None:
    pictures = np.random.default_rng(1).random((count, 3, 32, 32), np.float32)
    one, two = open_coder(model), open_coder(exported)
    assert (one.size, one.latent) == (two.size, two.latent) == (32, 5)
    assert one.card == two.card
    latents = one.encode(pictures)
    assert latents.shape == (count, 5)
    np.testing.assert_allclose(two.encode(pictures), latents, atol=1e-4)
    np.testing.assert_allclose(two.encode_some(pictures[:2])[1], one.encode_some(pictures[:2])[1], atol=1e-4)
    np.testing.assert_allclose(two.decode(latents), one.decode(latents), atol=1e-4)


def test_it_is_the_network_that_was_written(model: Path) -> None:
    net, card = read_vae(model)
    assert not net.training
    latents = draw_latents(3, 5, 0)
    with torch.inference_mode():
        expected = net.decode(torch.from_numpy(latents)).numpy()
    np.testing.assert_array_equal(open_coder(model).decode(latents), expected)
    assert card.notes == {"psnr": 20.0}


def test_graphs_run_without_torch(exported: Path) -> None:
    script = (
        "import sys; import numpy as np; from boxwright.perceptual.vae_coder import open_coder; "
        f"coder = open_coder({str(exported)!r}); "
        "print(coder.decode(coder.encode(np.zeros((2, 3, 32, 32), np.float32))).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 3, 32, 32) False"


def test_what_is_no_auto_encoder_is_told(model: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no encoder\.onnx and decoder\.onnx in this folder"):
        open_coder(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        open_coder(tmp_path / "nothing.safetensors")
    other = tmp_path / "other.safetensors"
    write_model(other, {"x": np.zeros(2, np.float32)}, Card("upscale", {}))
    with pytest.raises(InputError, match="is a network for upscale, not for vae"):
        open_coder(other)
    content = (exported / DECODER).read_bytes()
    for name in ("encoder.onnx", DECODER):
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(
        InputError, match=r"encoder\.onnx: is no ONNX model made by boxwright, or a part of one"
    ):
        open_coder(tmp_path)
    whole = bytearray(model.read_bytes())
    whole[-3] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(whole)
    with pytest.raises(InputError, match="is damaged"):
        open_coder(tmp_path / "bad.safetensors")
