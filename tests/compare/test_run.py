from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boxwright.compare import page, record, summary, table
from boxwright.compare.run import Order, execute, prepare
from boxwright.compare.variants import chosen
from boxwright.data.records import Dataset
from boxwright.errors import InputError
from boxwright.modelfile import read_model
from boxwright.training.stop import Interrupted
from training.toys import toy_data

SMALL = "retinanet-efficientnet-lite0-fpn"
TINY = ["train.iterations=4", "train.batch=2", "train.workers=0", "train.threads=1"]
# Two iterations are an epoch, so that there are two validations. As small as the net goes: a picture of 32
# pixels, 16 channels, one convolution in each tower.
TINY += ["model.size=32", "model.channels=16", "model.depth=1"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toy_data(tmp_path_factory.mktemp("images"), images=8)


def order(images: Dataset, out: Path, models: str) -> Order:
    train, val, test = (
        replace(images.subset(range(low, high)), split=split)
        for low, high, split in ((0, 4, "train"), (4, 6, "val"), (6, 8, "test"))
    )
    variants = chosen([models], None, TINY)
    return Order(out, variants, (0,), train, val, test, "none", "cpu")


def interrupt_when_there(file: Path) -> Callable[[str], None]:
    """Takes what is said; Ctrl-C once a run has written `file`: it saves after the step at hand and stops."""

    def watch() -> None:
        while not file.exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
    return lambda line: None


@pytest.fixture(scope="module")
def done(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Order, list[str]]:
    """One variant whose loss explodes, and one that is well."""
    models = f"bad={SMALL}:train.lr=1e30,well={SMALL}"
    todo = order(images, tmp_path_factory.mktemp("done"), models)
    said: list[str] = []
    assert execute(todo, prepare(todo), said.append) == 1
    return todo, said


def test_one_failing_run_is_listed_and_the_others_go_on(done: tuple[Order, list[str]]) -> None:
    todo, said = done
    bad, well = record.gather(todo.out)
    assert (bad.started.label, well.started.label, well.started.seed) == ("bad", "well", 0)
    assert bad.result is None
    assert bad.failure == "the loss of iteration 2 is not finite"
    assert "picture" in (bad.folder / "failed.txt").read_text()
    assert well.result is not None
    assert (well.result.split, well.result.images, well.result.iterations) == ("test", 2, 4)
    assert {"AP", "AP50", "VOC AP50"} == set(well.result.figures)
    assert [epoch for epoch, _ in well.curve] == [1, 2]
    assert (well.folder / "test/report.html").is_file()
    assert (
        "[1/2] bad, seed 0: failed: the loss of iteration 2 is not finite (failed.txt there has all of it)"
        in said
    )


def test_a_finished_run_is_not_repeated(done: tuple[Order, list[str]]) -> None:
    todo, _ = done
    best = todo.out / "runs/well-0/best.safetensors"
    before = best.stat().st_mtime_ns
    alone = replace(todo, variants=todo.variants[1:])
    said: list[str] = []
    assert execute(alone, prepare(alone), said.append) == 0
    assert said == ["[1/1] well, seed 0: is done"]
    assert best.stat().st_mtime_ns == before


def test_a_run_of_other_settings_or_images_is_refused(done: tuple[Order, list[str]]) -> None:
    todo, _ = done
    changed = replace(todo, variants=chosen([f"well={SMALL}:train.lr=0.5"], None, TINY))
    with pytest.raises(InputError, match=r"well-0: holds a run in which train.lr was 0.001, and it is 0.5"):
        prepare(changed)
    with pytest.raises(InputError, match="holds a run with others than the test images of now"):
        prepare(replace(todo, test=todo.val))


def test_an_interrupted_run_goes_on_to_the_same_end(
    done: tuple[Order, list[str]], images: Dataset, tmp_path: Path
) -> None:
    halved = order(images, tmp_path, f"well={SMALL}")
    with pytest.raises(Interrupted):
        execute(halved, prepare(halved), interrupt_when_there(tmp_path / "runs/well-0/metrics.csv"))
    (run,) = record.gather(tmp_path)
    assert run.result is None
    assert run.failure == ""
    said: list[str] = []
    assert execute(halved, prepare(halved), said.append) == 0
    assert said[0].startswith("[1/1] well, seed 0: goes on in")
    whole = read_model(done[0].out / "runs/well-0/best.safetensors")
    parts = read_model(run.folder / "best.safetensors")
    for name, value in whole.tensors.items():
        np.testing.assert_array_equal(value, parts.tensors[name], err_msg=name)


def test_tables_and_page_hold_the_runs(done: tuple[Order, list[str]]) -> None:
    todo, _ = done
    speeds = {"well": record.Speed(12.5, 12.0, 13.0, "ONNX Runtime, CPU", "")}
    record.write(todo.out / record.SPEED, speeds)
    found = summary.compare(
        record.gather(todo.out),
        record.read_by_label(todo.out / record.SPEED, record.Speed),
        data="toys",
        voc=True,
    )
    assert found.metrics == ("AP50", "AP", "VOC AP50")
    assert found.held == (
        "Held the same: images (4 to train, 2 to choose, 2 to test); seed 0; starting weights (none); "
        "every setting but train.lr."
    )
    table.save(found, todo.out)
    values = json.loads((todo.out / "compare.json").read_text())
    assert [row["label"] for row in values["rows"]] == ["bad", "well"]
    assert values["rows"][0]["figures"]["AP50"] == {"mean": None, "sd": None}
    lines = (todo.out / "compare.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"well,{SMALL},0,")
    assert "| bad | – | – | – | – |" in (todo.out / "compare.md").read_text()
    text = page.save(found, todo.out).read_text()
    for part in ("runs/well-0/test/report.html", "failed: the loss of iteration 2", found.held, 'id="cost"'):
        assert part in text
    assert " style=" not in text.partition("</style>")[2]
    assert "<script" not in text
