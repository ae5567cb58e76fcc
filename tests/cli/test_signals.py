"""Every verb that is stopped ends with one line on standard error, which is true, and exit code 3."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_train import coco

from boxwright import stopping
from boxwright.cli import main

IMAGES = 6
AFTER = 2
"""Images that are done when the signal comes."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco(tmp_path_factory.mktemp("data") / "squares", train=IMAGES)


@pytest.fixture(autouse=True)
def as_a_terminal_starts_it() -> Iterator[None]:
    """What runs in the background, as CI may, was started with SIGINT ignored, and then commands ignore it too."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


def kill(number: int) -> None:
    os.kill(os.getpid(), number)


def run(monkeypatch: pytest.MonkeyPatch, words: Iterable[Any]) -> object:
    monkeypatch.setattr(sys, "argv", ["boxwright", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def in_the_middle(number: int) -> Callable[..., Iterator[Any]]:
    """`stopping.counted`, with a signal after some images."""

    def counted(items: Iterable[Any], doing: str, total: int | None = None) -> Iterator[Any]:
        for place, item in enumerate(stopping.counted(items, doing, total)):
            if place == AFTER:
                kill(number)
            yield item

    return counted


BEGINS_ANEW = "the same command begins anew"
NOTHING = f"nothing is written; {BEGINS_ANEW}"
BY_IMAGES = {
    "features": (
        "features DATA -o OUT/f.parquet --weights none --engine torch --batch 2",
        r"are in OUT/f\.parquet\.parts; go on with: boxwright features DATA",
    ),
    "cluster": (
        "cluster DATA -o OUT/c --weights none --engine torch --batch 2",
        r"are in OUT/c/features\.parquet\.parts; go on with: boxwright cluster",
    ),
    "propose": (
        "propose DATA -o OUT/p.npz --jobs 1",
        r"are in OUT/p\.npz\.parts; go on with: boxwright propose DATA",
    ),
    "check": ("check DATA", NOTHING),
    "convert": ("convert DATA OUT/voc --to voc", NOTHING),
    "detect": (
        "detect blood-cells DATA --out OUT/d --csv OUT/t.csv",
        rf"pictures of 2 are in OUT/d; OUT/t\.csv is not written; {BEGINS_ANEW}",
    ),
    "eval": (
        "eval blood-cells DATA --split train --classes shared --map square=RBC --out OUT/e --batch 1",
        NOTHING,
    ),
    "probe": ("probe DATA --weights none --size 64 --taps stage1 --pool mean --batch 4 -o OUT/p", NOTHING),
    "models": ("models --kind classifier", NOTHING),
}  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", BY_IMAGES)
def test_a_verb_that_goes_through_images(
    verb: str,
    number: int,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C and SIGTERM between two of them."""
    words, said = BY_IMAGES[verb]
    words = words.replace("DATA", str(data)).replace("OUT", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("boxwright.cli.console.counted", in_the_middle(number))
        assert run(patch, words.split()) == 3
    told = capsys.readouterr().err.splitlines()
    (line,) = (one for one in told if "stopped" in one)
    assert line == told[-1] and "Traceback" not in "".join(told)
    pattern = said.replace("DATA", re.escape(str(data))).replace("OUT", re.escape(str(tmp_path)))
    assert re.search(rf"^boxwright: stopped [\w ]+ after {AFTER}( of \d+)? images; .*{pattern}", line)
    assert not list(tmp_path.rglob("*.part"))
    if "go on with" not in line:
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "d"]
    # Nothing is left in the way: it goes on, or begins anew.
    if verb in ("features", "propose", "convert", "detect"):
        assert run(monkeypatch, words.split()) == 0


def test_what_is_done_is_not_done_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "features",
        data,
        "-o",
        tmp_path / "f.parquet",
        "--weights",
        "none",
        "--engine",
        "torch",
        "--batch",
        "2",
        "--overwrite",
    ]
    with monkeypatch.context() as patch:
        patch.setattr("boxwright.cli.console.counted", in_the_middle(signal.SIGINT))
        assert run(patch, words) == 3
    way = capsys.readouterr().err.strip().split("go on with: boxwright ")[1]
    assert "--overwrite" not in way
    assert run(monkeypatch, way.split()) == 0
    assert f"features of {IMAGES} images" in (said := capsys.readouterr().err)
    assert f"{IMAGES - AFTER} of them new" in said


AT_WORK = {
    "train, before its first step": ("train DATA --out OUT/r --freeze 8 --workers 0", "training.run.train"),
    "train --find-lr": ("train DATA --out OUT/r --find-lr --workers 0", "training.lr_finder.find_lr"),
    "check --fix": ("check DATA --fix OUT/fixed", "data.doctor.repair.write"),
    "anchors": ("anchors DATA", "coverage.report"),
    "compress": ("compress DATA/x.safetensors -o OUT/y.safetensors --ranks 4,4", "loading.load"),
    "export": ("export blood-cells --out OUT/x.onnx", "runtime.export.export_onnx"),
    "demo": ("demo --quick --out OUT/demo", "demo.write_scenes"),
    "propose an image": ("propose DATA/train0.png -o OUT/b.png", "images.read_image"),
    "cluster a table": ("cluster OUT/t.parquet -o OUT/c", "cluster.table.read_table"),
    "weights import": ("weights import DATA/x.pth --out OUT/x.safetensors", "weights.importing.import_checkpoint"),
    "weights fetch": ("weights fetch resnet18", "weights.download.fetch"),
    "compare": ("compare DATA --models ssd320-efficientnet-lite0 --out OUT/c", "compare.run.execute"),
    "segment train": ("segment train DATA --out OUT/r", "segment.data.splits"),
    "segment eval": ("segment eval DATA/x.onnx DATA", "segment.model.load_segmenter"),
    "segment apply": ("segment apply DATA/x.onnx DATA -o OUT/m", "segment.model.load_segmenter"),
    "style": ("style DATA/train0.png DATA/train1.png -o OUT/s.png", "images.read_image"),
    "style train": ("style train DATA/train0.png DATA --out OUT/r", "perceptual.squares.find_pictures"),
    "style apply": ("style apply DATA/x.onnx DATA -o OUT/s", "perceptual.style_apply.open_net"),
    "upscale train": ("upscale train DATA --out OUT/r", "perceptual.squares.find_pictures"),
    "upscale apply": ("upscale apply DATA/x.onnx DATA -o OUT/s", "perceptual.upscale_apply.open_net"),
    "upscale eval": ("upscale eval DATA/x.onnx --on DATA", "perceptual.upscale_apply.open_net"),
    "vae train": ("vae train DATA --out OUT/r", "perceptual.squares.find_pictures"),
    "vae reconstruct": ("vae reconstruct X DATA -o OUT/s.png", "perceptual.vae_coder.open_coder"),
    "vae sample": ("vae sample X -o OUT/s.png", "perceptual.vae_coder.open_coder"),
    "vae interpolate": ("vae interpolate X A B -o OUT/s.png", "perceptual.vae_coder.open_coder"),
    "detect on Spark": ("detect blood-cells DATA --spark local[1] --out OUT/d", "spark.session.spark_session"),
    "cluster on Spark": ("cluster DATA --spark local[1] --weights none -o OUT/c", "cluster.extractor.build_graph"),
}  # fmt: skip


@pytest.mark.parametrize("verb", AT_WORK)
def test_a_verb_at_work(
    verb: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, at = AT_WORK[verb]
    module, name = f"boxwright.{at}".rsplit(".", 1)
    if ".spark." in module:
        pytest.importorskip("pyspark")

    def stopped(*_: Any, **__: Any) -> None:
        kill(signal.SIGTERM)
        raise AssertionError("the signal did not end it")

    monkeypatch.setattr(importlib.import_module(module), name, stopped)
    assert run(monkeypatch, words.replace("DATA", str(data)).replace("OUT", str(tmp_path)).split()) == 3
    told = capsys.readouterr().err.splitlines()
    assert re.match(rf"boxwright: stopped[^;]*; .*({BEGINS_ANEW}$|go on with: boxwright \w+ )", told[-1])
    assert not [line for line in told[:-1] if "stopped" in line or "Traceback" in line]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_that_a_signal_causes_in_a_library_is_no_defect(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(*_: Any, **__: Any) -> None:
        try:
            kill(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("numpy.core.multiarray failed to import") from None

    monkeypatch.setattr("boxwright.coverage.report", report)
    assert run(monkeypatch, ["anchors", data]) == 3
    assert capsys.readouterr().err == f"boxwright: {'stopped'}; nothing is written; {BEGINS_ANEW}\n"


def test_a_signal_that_a_destructor_swallows_comes_again(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Swallows:
        def __del__(self) -> None:
            kill(signal.SIGINT)

    def report(*_: Any, **__: Any) -> None:
        Swallows()
        time.sleep(20)

    monkeypatch.setattr("boxwright.coverage.report", report)
    assert run(monkeypatch, ["anchors", data]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_handlers_of_before_are_back_and_what_nohup_ignores_stays_ignored(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr("boxwright.coverage.report", lambda *_, **__: kill(signal.SIGINT) or "done")
        assert run(monkeypatch, ["anchors", data]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)
    assert signal.getsignal(signal.SIGTERM) is before
