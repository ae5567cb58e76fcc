"""`boxwright upscale`, as a person uses it: train a little, apply, export, compare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from skimage import data

from boxwright.cli.upscale import apply, evaluate, train
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.nets import export
from boxwright.perceptual.upscale_apply import Enlarger

QUICK = [
    "upscale.patch=12",
    "upscale.held=2",
    "train.iterations=2",
    "train.warmup=1",
    "train.batch=2",
    "train.amp=off",
    "train.threads=1",
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number, whole in enumerate([data.astronaut(), data.coffee(), data.chelsea()] * 2):
        part = whole[20 * number : 20 * number + 50, 40 : 40 + 60 + number]
        Image.fromarray(part).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps: as good as bicubic."""
    out = tmp_path_factory.mktemp("runs") / "x2"
    train(photographs, out, blocks=1, channels=4, change=QUICK)
    return out / "best.safetensors"


@pytest.fixture(scope="module")
def graph(run: Path) -> Path:
    return export(run, "upscale")[0]


def test_training_says_how_far_it_came(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (20, 90)).save(tmp_path / "narrow.png")
    (tmp_path / "more").symlink_to(photographs)
    for file in photographs.iterdir():
        (tmp_path / file.name).symlink_to(file)
    train(
        tmp_path, tmp_path / "x4", factor=4, val=photographs, blocks=1, channels=4, change=QUICK, as_json=True
    )
    streams = capsys.readouterr()
    told = json.loads(streams.out.splitlines()[-1])
    assert told["iterations"] == 2 and Path(told["best"]).is_file()
    assert abs(told["figures"]["gain"]) < 0.5
    assert "1 pictures of fewer than 48 pixels a side are left out, such as" in streams.err
    assert json.loads((tmp_path / "x4/run.json").read_text())["settings"]["factor"] == 4


def test_going_on_by_a_perceptual_loss(photographs: Path, run: Path, tmp_path: Path) -> None:
    options = {"blocks": 1, "channels": 4, "start": run, "loss": "perceptual", "taps": "conv1"}
    train(photographs, tmp_path / "a", weights="none", change=QUICK, **options)
    card = Enlarger.open(tmp_path / "a/best.safetensors").card
    assert card.settings["features"] == 1.0 and card.settings["taps"] == ["conv1"]
    assert card.notes["start"] == str(run) and "fresh weights" in str(card.notes["backbone"])
    with pytest.raises(InputError, match=r"its channels is 4, not 32; give --channels 4"):
        train(photographs, tmp_path / "b", blocks=1, start=run, change=QUICK)
    with pytest.raises(InputError, match="already holds a run"):
        train(photographs, tmp_path / "a", weights="none", change=QUICK, **options)


def test_what_cannot_be_trained(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean perceptual"):
        train(photographs, tmp_path / "a", loss="percptual")
    with pytest.raises(InputError, match="give 2 or 3 or 4"):
        train(photographs, tmp_path / "a", factor=8)
    with pytest.raises(InputError, match="none of its 5 pictures has 1000 pixels a side"):
        train(photographs, tmp_path / "a", change=["upscale.patch=500", "upscale.held=1"])
    with pytest.raises(InputError, match="no weights for vgg16 are installed"):
        train(photographs, tmp_path / "a", loss="perceptual", change=QUICK)
    assert not list(tmp_path.iterdir())


def test_a_picture_of_any_kind_by_either_file(run: Path, graph: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "alpha.png": Image.fromarray(rng.integers(0, 256, (37, 61, 4), dtype=np.uint8), "RGBA"),
        "deep.png": Image.fromarray(rng.integers(0, 65536, (37, 61), dtype=np.uint16)),
        "grey.jpg": Image.fromarray(rng.integers(0, 256, (37, 61), dtype=np.uint8)),
        "dot.gif": Image.new("L", (1, 1), 77),
    }
    folder = tmp_path / "in"
    folder.mkdir()
    for name, image in kinds.items():
        image.save(folder / name)
    apply(run, [str(folder)], tmp_path / "torch", tile=16)
    apply(graph, [str(folder)], tmp_path / "onnx", threads=1)
    for name in kinds:
        target = f"{name}.png" if name.endswith(".gif") else name
        one, two = (read_image(tmp_path / by / target) for by in ("torch", "onnx"))
        height, width = read_image(folder / name).shape[:2]
        assert one.shape == (2 * height, 2 * width, 3)
        # Parts, and another engine: a pixel may be rounded otherwise, no more.
        assert np.abs(one.astype(int) - two).max() <= (4 if name.endswith(".jpg") else 1)


def test_pictures_that_are_skipped(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 6), "teal").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(typer.Exit) as stop:
        apply(run, [str(tmp_path)], tmp_path / "out", as_json=True)
    assert stop.value.exit_code == 1
    streams = capsys.readouterr()
    bad, good = (json.loads(line) for line in streams.out.splitlines())
    assert "bad.png" in bad["error"] and good["size"] == [12, 16]
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["good.png"]
    assert "1 picture enlarged 2 times" in streams.err


def test_one_picture_into_one_file(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 6), "teal").save(picture)
    apply(run, [str(picture)], tmp_path / "b.jpg", quality=80)
    assert read_image(tmp_path / "b.jpg").shape == (12, 16, 3)
    before = picture.read_bytes()
    with pytest.raises(typer.Exit):
        apply(run, [str(picture)], picture)
    assert picture.read_bytes() == before
    with pytest.raises(InputError, match="is one file, for several pictures"):
        apply(run, [str(picture), str(picture)], tmp_path / "c.png")


def test_a_file_that_is_no_such_network(run: Path, graph: Path, tmp_path: Path) -> None:
    packaged = Path(__file__).parents[2] / "src/boxwright/weights/packaged/everyday.onnx"
    with pytest.raises(InputError, match="is no network for upscale; make one by boxwright upscale train"):
        apply(packaged, ["a.png"], tmp_path / "out")
    content = bytearray(run.read_bytes())
    content[-3] ^= 1
    (tmp_path / "c.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        apply(tmp_path / "c.safetensors", ["a.png"], tmp_path / "out")


def test_networks_are_held_against_bicubic(
    run: Path, graph: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    evaluate([run, graph], photographs, count=3, as_json=True, device="cpu")
    told = json.loads(capsys.readouterr().out)
    assert told["pictures"] == 3 and told["features"] is None
    rows = told["scores"]
    assert list(rows) == ["bicubic", str(run), str(graph)]
    for name in ("psnr", "psnr_y", "ssim"):
        assert rows[str(run)][name] == pytest.approx(rows[str(graph)][name], abs=1e-3)
        assert rows[str(run)][name] == pytest.approx(rows["bicubic"][name], abs=0.2)
    evaluate(
        [run],
        photographs,
        count=2,
        reduce=1,
        out=tmp_path / "sheet.png",
        backbone="vgg16",
        taps="conv1",
        weights="none",
    )
    text = capsys.readouterr().out
    assert "2 pictures of" in text and "distance by vgg16 with fresh weights, taps conv1" in text
    assert not (
        tmp_path / "sheet.png"
    ).exists()  # parts of 64 x 64 are shown, and these pictures have 25 x 30


def test_networks_of_two_factors_are_not_compared(run: Path, photographs: Path, tmp_path: Path) -> None:
    train(photographs, tmp_path / "x3", factor=3, blocks=1, channels=2, change=QUICK)
    with pytest.raises(InputError, match=r"enlarges 3 times, .* 2 times; compare networks of one factor"):
        evaluate([run, tmp_path / "x3/best.safetensors"], photographs)


def test_it_runs_without_torch(graph: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), "teal").save(tmp_path / "a.png")
    code = (
        "import sys; sys.modules['torch'] = None; from boxwright.cli import main;"
        f"sys.argv = ['boxwright', 'upscale', 'apply', {str(graph)!r}, 'a.png', '-o', 'b.png']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "b.png").shape == (12, 16, 3)
