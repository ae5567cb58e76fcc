from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file

import boxwright
from boxwright.backbones.vgg import VGG
from boxwright.card import Card
from boxwright.cli import app
from boxwright.cli.style import apply, paint, train
from boxwright.draw import write_picture
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.modelfile import write_model
from boxwright.perceptual.style_net import build
from boxwright.perceptual.style_run import preview_of, state_of
from boxwright.training.state import arrays
from boxwright.weights import vgg as vgg_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A VGG-11's first convolutions by torchvision's names, drawn at random."""
    torch.manual_seed(3)
    net, path = VGG(11, ("conv2",)), tmp_path_factory.mktemp("weights") / "vgg11.safetensors"
    state = net.state_dict()
    save_file({theirs: state[ours].clone() for theirs, ours in vgg_weights.rename(net).items()}, path)
    return str(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures in a folder."""
    rng = np.random.default_rng(0)
    for name in ("content", "style"):
        write_picture(tmp_path / "in" / f"{name}.png", rng.integers(0, 256, (30, 40, 3), np.uint8))
    return tmp_path / "in"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    settings = {"width": 4, "blocks": 1}
    torch.manual_seed(0)
    write_model(tmp_path / "net.safetensors", arrays(build(settings)), Card("style", settings))
    return tmp_path / "net.safetensors"


def line(pictures: Path, out: Path, weights: str, *more: str) -> list[str]:
    given = [str(pictures / "content.png"), str(pictures / "style.png"), "-o", str(out), "--weights", weights]
    taps = ["--backbone", "vgg11", "--content-taps", "conv2", "--style-taps", "conv1,conv2"]
    return [*given, *taps, "--size", "32", "--scales", "1", "--device", "cpu", *more]


def test_a_picture_is_painted_by_the_verb_or_without(
    pictures: Path, tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ((), ("paint",)):
        out = tmp_path / f"{len(verb)}.png"
        app(
            ["style", *verb, *line(pictures, out, weights, "--iterations", "3", "--json")],
            standalone_mode=False,
        )
        streams = capsys.readouterr()
        told = json.loads(streams.out)
        assert told["out"] == str(out) and told["size"] == [24, 32] and told["iterations"] == 3
        assert told["first"].keys() == told["last"].keys() == {"loss", "content", "style", "variation"}
        assert "vgg11 from vgg11.safetensors" in told["judge"]
        assert "content: 0 at first" in streams.err and f"see {out}" in streams.err
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert read_image(out).shape == (24, 32, 3)


def test_what_cannot_be_painted(pictures: Path, tmp_path: Path, weights: str) -> None:
    content, style, out = pictures / "content.png", pictures / "style.png", tmp_path / "a.png"
    with pytest.raises(InputError, match=r"no weights for vgg16 are installed; .*--weights imagenet"):
        paint(content, style, out)
    with pytest.raises(InputError, match=r"missing\.png: no such file"):
        paint(tmp_path / "missing.png", style, out)
    with pytest.raises(InputError, match=r"style cannot be|style\.optimiser cannot be 'sgd'"):
        paint(content, style, out, optimiser="sgd", weights=weights)
    with pytest.raises(InputError, match="vgg11 has no tap conv9"):
        paint(content, style, out, backbone="vgg11", style_taps="conv9", weights=weights)
    with pytest.raises(InputError, match="the result would replace it"):
        paint(content, style, content)
    style.write_bytes(style.read_bytes()[:300])
    with pytest.raises(InputError, match=r"style\.png: the file is truncated"):
        paint(content, style, out)
    assert not list(tmp_path.glob("a.*"))


def test_stopped_by_a_signal_it_says_how_to_go_on(pictures: Path, tmp_path: Path, weights: str) -> None:
    """As a program; that it ends as if undisturbed `tests/perceptual/test_style_run.py` shows."""
    out = tmp_path / "a.png"
    options = ["--iterations", "100000", "--every", "10", "--optimiser", "adam"]
    running = subprocess.Popen(
        [sys.executable, "-m", "boxwright", "style", *line(pictures, out, weights, *options)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    waited = time.monotonic()
    while not state_of(out).exists():
        assert running.poll() is None and time.monotonic() - waited < 200
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=200)[1]
    assert running.returncode == 3, said
    last = said.splitlines()[-1]
    assert last.startswith("boxwright: stopped after iteration ")
    assert "; go on with: boxwright style " in last and last.endswith(" --resume")
    assert preview_of(out).is_file() and not out.exists()


def test_a_network_is_taught_and_exported_and_paints(
    pictures: Path, tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    taps = {"content_taps": "conv1", "style_taps": "conv1,conv2", "backbone": "vgg11", "weights": weights}
    small = ["style.width=4", "style.blocks=1", "style.crop=32", "style.style_side=32", "train.amp=off"]
    train(
        pictures / "style.png", pictures, tmp_path / "run", iterations=2, batch=1, device="cpu",
        change=small, as_json=True, **taps,
    )  # fmt: skip
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["iterations"] == 2 and {"loss", "content", "style"} <= told["figures"].keys()
    with pytest.raises(InputError, match="already holds a run"):
        train(pictures / "style.png", pictures, tmp_path / "run", device="cpu", change=small, **taps)
    apply(Path(told["best"]), [str(pictures / "content.png")], tmp_path / "painted.png", device="cpu")
    assert read_image(tmp_path / "painted.png").shape == (30, 40, 3)


def test_folders_are_painted_and_bad_files_skipped(
    pictures: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "bad.jpg").write_bytes(b"no picture")
    write_picture(pictures / "deep" / "other.png", np.zeros((20, 64, 3), np.uint8))
    out = tmp_path / "out"
    with pytest.raises(typer.Exit) as stop:
        apply(model, [str(pictures)], out, batch=3, size=32, device="cpu", as_json=True)
    assert stop.value.exit_code == 1
    streams = capsys.readouterr()
    told = [json.loads(row) for row in streams.out.splitlines()]
    assert {row["image"]: row.get("size") for row in told} == {
        str(pictures / "bad.jpg"): None,
        str(pictures / "content.png"): [24, 32],
        str(pictures / "style.png"): [24, 32],
        str(pictures / "deep" / "other.png"): [10, 32],
    }
    assert (
        f"skipped {pictures / 'bad.jpg'}: not an image" in streams.err and "3 pictures painted" in streams.err
    )
    for row in told:
        assert "error" in row or list(read_image(row["out"]).shape[:2]) == row["size"]
    # Painted one by one they are the same.
    apply(model, [str(pictures / "style.png")], tmp_path / "one.png", size=32, device="cpu")
    assert np.array_equal(read_image(tmp_path / "one.png"), read_image(out / "style.png"))


def test_what_cannot_be_applied(pictures: Path, tmp_path: Path, model: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: is one file, for several pictures; name a folder"):
        apply(model, [str(pictures)], tmp_path / "a.png")
    packaged = Path(boxwright.__file__).parent / "weights/packaged/everyday.onnx"
    with pytest.raises(InputError, match="is no network for style"):
        app(
            ["style", "apply", str(packaged), str(pictures), "-o", str(tmp_path / "o")], standalone_mode=False
        )
