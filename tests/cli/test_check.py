from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from boxwright.cli import app
from boxwright.data.findings import CHECKS
from data.patients import HEALTHY, OBJECTS, voc, xml


def check(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)], catch_exceptions=False)


def ailing(root: Path) -> Path:
    """Five boxes of no area, and a warning."""
    voc(root)
    flat = [("cat", (10 + i, 10, 10 + i, 20)) for i in range(5)]
    xml(root / "Annotations" / "a.xml", [*OBJECTS, *flat])
    xml(root / "Annotations" / "b.xml", [*OBJECTS, ("[red]:smile:", (10, 10, 11, 20))])
    return root


@pytest.mark.parametrize("format", HEALTHY)
def test_a_healthy_data_set_exits_with_0(format: str, tmp_path: Path) -> None:
    result = check(HEALTHY[format](tmp_path / "data"))
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1]
    assert last == f"Nothing found. To train on it: boxwright train {tmp_path / 'data'} --out runs/first"


def test_errors_are_grouped_and_exit_with_1(tmp_path: Path) -> None:
    root = ailing(tmp_path / "data")
    result = check(root)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    start = lines.index(
        "error box-no-area (5) a box has no area; --fix: image left out, lest the object be taken for background"
    )
    assert lines[start + 1] == "  Annotations/a.xml, object 3 (cat): box [10, 10, 10, 20] has no area"
    assert lines[start + 4] == "  and 2 more; --json lists all"
    assert lines[-1].startswith("5 errors, 2 warnings")
    assert lines[-1].endswith(f"For a copy without the errors: boxwright check {root} --fix OUT")
    # Names are text, not markup.
    assert any("object 3 ([red]:smile:)" in line for line in lines)


def test_json_is_one_object_with_every_finding(tmp_path: Path) -> None:
    root = ailing(tmp_path / "data")
    result = check(root, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["data"] == str(root) and report["splits"] == ["train", "val"]
    flat = [finding for finding in report["findings"] if finding["check"] == "box-no-area"]
    assert [finding["where"] for finding in flat] == [f"object {i} (cat)" for i in range(3, 8)]
    assert set(flat[0]) == {"check", "severity", "file", "where", "message", "fix"}
    assert report["statistics"]["train"]["images"] == 4


def test_fix_writes_a_copy_that_passes(tmp_path: Path) -> None:
    root = ailing(tmp_path / "data")
    result = check(root, "--fix", tmp_path / "clean")
    assert result.exit_code == 1
    assert f"{tmp_path / 'clean'} has a clean copy: 6 images, 13 objects; 1 image left out" in result.stdout
    assert check(tmp_path / "clean", "--only", "box-no-area").exit_code == 0
    written = json.loads(check(root, "--fix", tmp_path / "again", "--json").stdout)["fixed"]
    assert written == {"path": str(tmp_path / "again"), "images": 6, "objects": 13} | {
        "images_left_out": 1,
        "objects_left_out": 2,
    }


def test_only_skip_and_fast(tmp_path: Path) -> None:
    root = ailing(tmp_path / "data")
    path = root / "JPEGImages" / "c.png"
    path.write_bytes(path.read_bytes()[:-400])

    def found(*arguments: str) -> set[str]:
        return {f["check"] for f in json.loads(check(root, "--json", *arguments).stdout)["findings"]}

    assert {"box-no-area", "box-tiny", "image-truncated"} < found()
    assert found("--only", "box-tiny", "--only", "box-no-area") == {"box-tiny", "box-no-area"}
    assert found() - found("--skip", "box-tiny") == {"box-tiny"}
    assert found() - found("--fast") == {"image-truncated"}


def test_list_checks_names_them_all() -> None:
    result = check("--list-checks")
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines()] == list(CHECKS)
    rows = json.loads(check("--list-checks", "--json").stdout)
    assert {row["check"]: row["severity"] for row in rows} == {k: c.severity for k, c in CHECKS.items()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "boxwright: none: does not exist"),
        ([], "boxwright: boxwright check needs a data set"),
        ([".", "--only", "box-tinny"], "boxwright: no check 'box-tinny'; did you mean box-tiny"),
        (["data", "--fix", "data/inside"], "boxwright: data/inside: lies inside the data set"),
    ],
)
def test_bad_use_is_one_line_and_exits_with_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    voc(tmp_path / "data")
    program = [sys.executable, "-c", "from boxwright.cli import main; main()", "check", *arguments]
    run = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr.startswith(message) and run.stderr.count("\n") == 1
    assert "Traceback" not in run.stderr and not run.stdout
