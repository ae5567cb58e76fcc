"""From paired folders to masks, by the command line alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.segment.scenes import disc_scene, write_pairs

from boxwright.cli import main
from boxwright.images import read_image
from boxwright.modelfile import read_file, read_net
from boxwright.segment.reading import read_mask

TINY = [
    "--model",
    "unet",
    "--set",
    "net.width=4",
    "--set",
    "net.depth=2",
    "--set",
    "net.padded=yes",
    "--set",
    "net.norm=yes",
    "--set",
    "net.tile=32",
    "--set",
    "net.dropout=0.1",
    "--set",
    "loss.balance=none",
    "--set",
    "loss.border=2",
    "--set",
    "vary.elastic=2",
    "--batch",
    "4",
    "--lr",
    "0.01",
    "--epochs",
    "10",
    "--set",
    "train.eval_every=5",
    "--set",
    "train.warmup=5",
    "--set",
    "train.ema=0",
    "--set",
    "train.threads=1",
    "--set",
    "train.amp=off",
    "--device",
    "cpu",
]


def run(*words: object, code: int = 0) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["boxwright", *map(str, words)])
        main()
    assert (ended.value.code or 0) == code


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("segment") / "data", 16)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("segment") / "run"
    run("segment", "train", data, "--out", out, "--val", "0.25", "--classes", "0=rest,255=disc", *TINY)
    return out


def test_it_learns_discs(trained: Path) -> None:
    _, card = read_net(trained / "best.safetensors", "segment")
    assert float(card.notes["miou"]) > 0.85 and float(card.notes["pixel_error"]) < 0.08
    assert card.settings["classes"] == ["rest", "disc"] and card.settings["values"] == [0, 255]
    assert card.notes["pictures"] == 12 and card.notes["validated on"] == 4
    preview = read_image(trained / "preview.png")
    assert preview.shape == (48, 4 * 64 + 3 * 4, 3)


def test_it_is_measured(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "some.txt").write_text("3\n7\n")
    model = trained / "best.safetensors"
    options = ["--only", tmp_path / "some.txt", "--device", "cpu"]
    run("segment", "eval", model, data, *options, "--scan", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["pictures"]] == ["3", "7"]
    assert found["pixel_error"] < 0.08 and found["mean over pictures"]["rand"] > 0.8
    assert found["classes"][1]["name"] == "disc" and found["classes"][1]["dice"] > 0.85
    assert len(found["scan on these pictures"]) == 19
    errors = [one["pixel_error"] for one in found["scan on these pictures"]]
    assert min(errors) <= found["pixel_error"]
    run("segment", "eval", model, data, *options, "-o", tmp_path / "looks", "--threshold", "0.5")
    text = capsys.readouterr().out
    assert f"pixel error {found['pixel_error']:.4f}" in text and "thresholds" not in text
    assert {file.name for file in (tmp_path / "looks").glob("[!.]*")} == {"3.png", "7.png"}


def test_masks_of_a_folder(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, mask = disc_scene(50, (90, 75))  # larger than a tile, and never seen
    (tmp_path / "in").mkdir()
    Image.fromarray(picture).save(tmp_path / "in/a.png")
    words = ["segment", "apply", trained / "best.safetensors", tmp_path / "in", "-o", tmp_path / "out"]
    run(*words, "--device", "cpu", "--overlay", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said == {"masks": [str(tmp_path / "out/a.png")], "classes": ["rest", "disc"], "skipped": []}
    assert (read_mask(tmp_path / "out/a.png") == mask).mean() > 0.9
    (tmp_path / "in/b.png").write_bytes(b"spoilt")
    run(*words, "--device", "cpu", code=1)
    streams = capsys.readouterr()
    assert "skipped" in streams.err and "b.png" in streams.err and "1 masks in" in streams.err


def test_an_exported_one_needs_no_torch(trained: Path, data: Path, tmp_path: Path) -> None:
    graph = tmp_path / "m.onnx"
    run("export", trained / "best.safetensors", "--out", graph)
    words = [
        "segment",
        "apply",
        str(graph),
        str(data / "images"),
        "-o",
        str(tmp_path / "out"),
        "--probabilities",
    ]
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['scipy'] = None\n"
        f"sys.argv = ['boxwright', *{words!r}]\n"
        "from boxwright.cli import main; main()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert len(list((tmp_path / "out").glob("*.png"))) == 2 * 16
    _, mask = disc_scene(3)
    assert (read_mask(tmp_path / "out/3.png") == mask).mean() > 0.9


def test_stopped_and_resumed_it_ends_as_if_undisturbed(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "segment",
        "train",
        data,
        "--out",
        tmp_path / "r",
        "--val",
        "0.25",
        "--classes",
        "0=rest,255=disc",
    ]
    from boxwright.segment.task import SegmentTask

    whole, seen = SegmentTask.losses, []

    def losses(self, net, *batch):
        seen.append(1)
        if len(seen) == 40:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self, net, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentTask, "losses", losses)
        run(*words, *TINY, code=3)
    assert "--resume" in capsys.readouterr().err
    run(*words, *TINY, "--resume")
    one, two = (read_file(folder / "last.safetensors").tensors for folder in (trained, tmp_path / "r"))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "deeplab"], "no network 'deeplab'"),
        (["--val", "test"], "nothing called test to validate with"),
        (["--set", "net.depht=2"], "net has no setting 'depht'; did you mean depth?"),
        (["--classes", "a,b,c"], "3 class names for masks with the values 0, 255"),
        (["--classes", "1=a,255=b"], "has the value 0, which is of no class"),
        (["--model", "unet", "--set", "net.width=2", "--set", "net.tile=101"], "net.tile is 101"),
        (["--only", "none.txt"], "none.txt: does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", "train", data, "--out", tmp_path / "r", "--weights", "none", *words, code=2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and said.startswith("boxwright: ")
    assert not (tmp_path / "r").exists()


def test_a_mask_of_another_size_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "d", 3)
    Image.new("L", (5, 5)).save(tmp_path / "d/masks/2.png")
    run("segment", "train", tmp_path / "d", "--out", tmp_path / "r", *TINY, code=2)
    assert "2.png: is 5 x 5, but its picture 2.png 64 x 48" in capsys.readouterr().err


def test_nothing_held_out_says_so(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("segment", "train", data, "--out", tmp_path / "r", *TINY, "--val", "none", "--epochs", "1")
    assert "nothing is held out: figures are of training pictures" in capsys.readouterr().err
    _, card = read_net(tmp_path / "r/best.safetensors", "segment")
    assert {"train_miou", "train_pixel_error"} <= card.notes.keys() and "miou" not in card.notes


def test_a_class_that_validation_lacks_is_one_all_the_same(tmp_path: Path) -> None:
    """Its pictures show nothing but ground: their masks have one value."""
    for split, count in (("train", 6), ("val", 2)):
        write_pairs(tmp_path / "d" / split, count)
    for mask in (tmp_path / "d/val/masks").iterdir():
        Image.new("L", (64, 48)).save(mask)
    run("segment", "train", tmp_path / "d", "--out", tmp_path / "r", *TINY, "--epochs", "1")
    _, card = read_net(tmp_path / "r/best.safetensors", "segment")
    assert card.notes["validated on"] == 2
    assert "pixel_error" in card.notes
