from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright import nets
from boxwright.cli.vae import interpolate, reconstruct, sample, train
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.perceptual.sheets import as_images
from boxwright.perceptual.squares import Squares, find_pictures, hold_back
from boxwright.perceptual.vae_coder import open_coder
from boxwright.perceptual.vae_latents import draw_latents, psnr

SMALL = [
    "vae.width=4",
    "vae.held=4",
    "train.iterations=6",
    "train.batch=4",
    "train.threads=1",
    "train.eval_every=1",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("images") / "squares", np.random.default_rng(0)
    folder.mkdir()
    for i in range(12):
        image = np.full((40, 48, 3), rng.integers(0, 255, 3), np.uint8)
        image[8:24, 10:30] = rng.integers(0, 255, 3)
        Image.fromarray(image).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(images: Path) -> Path:
    out = images.parent / "run"
    train(images, out, size=32, latent=6, judge="none", change=SMALL)
    return out


def test_training_says_what_came_of_it(images: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run.with_name("again")
    train(images, out, size=32, latent=6, judge_taps="stage1", change=SMALL, as_json=True)
    streams = capsys.readouterr()
    said = json.loads(streams.out.strip().splitlines()[-1])
    assert said["best"] == str(out / "best.safetensors")
    assert said["iterations"] == 6
    assert set(said["figures"]) == {"iteration", "loss", "kl", "pixels", "elbo", "psnr", "efficientnet-lite0"}
    assert "4 of 12 pictures are held out" in streams.err
    # The judge changes nothing of what is learnt.
    drawn = draw_latents(3, 6, 0)
    one, two = (open_coder(folder / "best.safetensors").decode(drawn) for folder in (run, out))
    np.testing.assert_array_equal(one, two)


def test_reconstructions_beside_their_pictures(
    images: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run / "best.safetensors"
    reconstruct(
        model,
        [images],
        tmp_path / "held.png",
        held=True,
        judge="efficientnet-lite0",
        judge_taps="stage1,stage2",
        as_json=True,
    )
    said = json.loads(capsys.readouterr().out)
    _, held = hold_back(find_pictures(images), 4, 0)
    assert [row["path"] for row in said["each"]] == [str(path) for path in held]
    coder, pictures = open_coder(model), Squares(held, 32).middles()
    decoded = coder.decode(coder.encode(pictures))
    assert said["psnr"] == pytest.approx(psnr(decoded, pictures).mean(), abs=1e-3)
    assert 0 < said["distance"] < 2
    shown = read_image(tmp_path / "held.png")
    assert shown.shape[0] == 2 * 64 + 2
    tile = shown[66::2, -(4 * 66 - 2) :: 2][:32, :32]
    np.testing.assert_array_equal(tile, as_images(decoded)[0])
    reconstruct(model, [images / "00.png", images], tmp_path / "all.png", count=3)
    assert "13 pictures" in capsys.readouterr().err
    with pytest.raises(InputError, match="--held is of one folder"):
        reconstruct(model, [images, images], tmp_path / "x.png", held=True)


def test_draws_are_those_of_the_seed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = run / "best.safetensors"
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample(model, tmp_path / f"{name}.png", count=5, columns=3, seed=seed, temperature=0.7, as_json=True)
    one, same, other = (read_image(tmp_path / f"{name}.png") for name in "abc")
    assert one.shape == (130, 196, 3)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    expected = as_images(open_coder(model).decode(draw_latents(5, 6, 1, 0.7)))[4]
    np.testing.assert_array_equal(one[66:130:2, 66:130:2], expected)
    said = json.loads(capsys.readouterr().out.splitlines()[0])
    assert said == {"sheet": str(tmp_path / "a.png"), "count": 5, "seed": 1, "temperature": 0.7}


def test_the_way_begins_and_ends_at_the_pictures(
    images: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interpolate(
        run / "best.safetensors", images / "03.png", images / "07.png", tmp_path / "strip.png", steps=4
    )
    assert "4 steps from 03.png to 07.png" in capsys.readouterr().err
    strip = read_image(tmp_path / "strip.png")
    assert strip.shape == (64, 6 * 66 - 2, 3)
    coder = open_coder(run / "best.safetensors")
    pictures = Squares([images / "03.png", images / "07.png"], 32).middles()
    decoded = as_images(coder.decode(coder.encode(pictures)))
    for column, expected in (
        (0, as_images(pictures)[0]),
        (1, decoded[0]),
        (4, decoded[1]),
        (5, as_images(pictures)[1]),
    ):
        tile = strip[::2, column * 66 : column * 66 + 64 : 2].astype(int)
        assert np.abs(tile - expected).max() <= 1


@pytest.mark.slow
def test_exported_it_is_used_by_the_same_commands(images: Path, run: Path, tmp_path: Path) -> None:
    folder, difference = nets.export(run / "best.safetensors", "vae", tmp_path / "onnx")
    assert folder == tmp_path / "onnx"
    assert difference < 1e-4
    for name, model in (("torch", run / "best.safetensors"), ("onnx", tmp_path / "onnx")):
        sample(model, tmp_path / f"{name}.png", count=2)
        interpolate(model, images / "00.png", images / "01.png", tmp_path / f"{name}-strip.png")
    for kind in ("", "-strip"):
        one, two = (read_image(tmp_path / f"{name}{kind}.png").astype(int) for name in ("torch", "onnx"))
        assert np.abs(one - two).max() <= 1


def test_what_cannot_be_asked_for(images: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no reconstruction by 'pixel'; did you mean pixels\?"):
        train(images, tmp_path / "run", reconstruction="pixel")
    with pytest.raises(InputError, match=r"vae\.size is 40; give a multiple of 16"):
        train(images, tmp_path / "run", size=40)
    with pytest.raises(InputError, match=r"vae has no setting 'lantent'; did you mean latent\?"):
        train(images, tmp_path / "run", change=["vae.lantent=3"])
    with pytest.raises(InputError, match="no images in this folder"):
        train(run / "tb", tmp_path / "run")
    with pytest.raises(InputError, match="vgg16 has no tap stage3, stage5, stage7; it has conv1"):
        train(images, tmp_path / "run", reconstruction="features", backbone="vgg16")
    with pytest.raises(InputError, match="--overwrite"):
        train(images, run, size=32, latent=6, judge="none", change=SMALL)
    with pytest.raises(InputError, match="the network to start with has a latent of 6, not 7"):
        train(images, tmp_path / "run", size=32, latent=7, change=SMALL, start=run / "best.safetensors")
    with pytest.raises(InputError, match=r"sheet\.xyz: this is no name for a picture"):
        sample(run / "best.safetensors", tmp_path / "sheet.xyz")
    assert not (tmp_path / "run").exists()


def test_as_a_program(images: Path, run: Path, tmp_path: Path) -> None:
    def boxwright(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "boxwright", "vae", *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    done = boxwright("sample", str(images / "00.png"), "-o", "new.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"boxwright: {images / '00.png'}: ")
    assert done.stderr.count("\n") == 1
    done = boxwright("train", "--help")
    assert done.returncode == 0
    assert "boxwright vae train flowers --out runs/flowers --minutes 15" in " ".join(done.stdout.split())
