from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from test_train import coco

from boxwright.cli.compare import command
from boxwright.errors import InputError

SMALL = "retinanet-efficientnet-lite0-fpn"
TINY = ["train.iterations=2", "train.batch=2", "train.workers=0", "train.threads=1", "train.log_every=1"]
TINY += ["model.size=32", "model.channels=16", "model.depth=1"]


def test_only_a_report_needs_runs_and_a_comparison_needs_variants(tmp_path: Path) -> None:
    data = coco(tmp_path / "data", train=3, val=1)
    with pytest.raises(InputError, match="nothing to compare; name recipes by --models"):
        command(data, tmp_path / "out")
    with pytest.raises(InputError, match="holds no comparison"):
        command(data, tmp_path / "out", report_only=True)
    with pytest.raises(InputError, match="no split 'dev'"):
        command(data, tmp_path / "out", models=[SMALL], val_split="dev")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_from_data_to_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = coco(tmp_path / "data", train=5, val=2, test=2), tmp_path / "out"
    options = {"seeds": 2, "change": TINY, "weights": "none", "device": "cpu", "epochs": 1}
    models = [f"a={SMALL},b={SMALL}:model.classification=cross-entropy"]
    command(data, out, models=models, **options)  # type: ignore[arg-type]
    told = capsys.readouterr().out
    assert "[4/4] b, seed 1: begins" in told
    assert "every setting but model.classification" in told
    values = json.loads((out / "compare.json").read_text())
    assert [(row["label"], len(row["runs"])) for row in values["rows"]] == [("a", 2), ("b", 2)]
    for row in values["rows"]:
        assert row["speed"]["engine"] == "ONNX Runtime, CPU", row["speed"]["note"]
        assert 0 < row["speed"]["low"] <= row["speed"]["ms"] <= row["speed"]["high"]
    # A third variant joins; the report alone says the same again; one that fails is told by the exit.
    with pytest.raises(typer.Exit) as failed:
        command(data, out, models=[f"bad={SMALL}:train.lr=1e30"], **{**options, "seeds": 1})  # type: ignore[arg-type]
    assert failed.value.exit_code == 1
    page = (out / "compare.html").read_text()
    assert "bad, seed 0 failed: the loss of iteration 2 is not finite" in page
    command(data, out, report_only=True)
    assert (out / "compare.html").read_text() == page


@pytest.mark.slow
def test_ctrl_c_names_the_command_that_goes_on(tmp_path: Path) -> None:
    data = coco(tmp_path / "data", train=5, val=2)
    words = ["compare", str(data), "--out", str(tmp_path / "out"), "--models", SMALL, "--seeds", "1"]
    words += ["--weights", "none"]
    for one in ["train.iterations=6", *TINY[1:]]:
        words += ["--set", one]
    # As `boxwright.cli.main` runs it, whether or not the verb is wired already.
    script = (
        "from boxwright.cli import app, compare, main\n"
        "if all(one.name != 'compare' for one in app.registered_commands):\n"
        "    app.command('compare')(compare.command)\n"
        "main()\n"
    )
    told = []
    with subprocess.Popen(
        [sys.executable, "-c", script, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if line.split()[:1] == ["1/6"]:
                process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        *_, stopped = process.stderr.read().splitlines()
    assert process.returncode == 3
    assert stopped.startswith("boxwright: stopped after iteration ")
    assert shlex.split(stopped.split("; go on with: ")[1])[1:] == words
