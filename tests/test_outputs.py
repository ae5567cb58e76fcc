"""Files of others stay, one process at a time writes, what a kill left goes, and one bad output ends no batch."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.cli.test_signals import run
from tests.cli.test_train import coco

from boxwright.data.formats.writers import staged
from boxwright.errors import InputError
from boxwright.files import FullDiskError, write_text
from boxwright.lock import LOCK
from boxwright.outputs import RECORD, Outputs, Record, Unwritten


def test_a_file_of_another_is_refused_stays_and_is_replaced_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    with Outputs(tmp_path) as outputs:
        with pytest.raises(
            InputError, match=r"a\.png: exists, and boxwright did not write it; .*--overwrite"
        ):
            outputs.claim(tmp_path / "a.png")
        with pytest.raises(InputError, match=r"holds a\.png, which no run of boxwright wrote"):
            outputs.claim_all("b.txt", "a.png")
        write_text(outputs.claim(tmp_path / "sub/c.txt"), "ours")
    assert (tmp_path / "a.png").read_text() == "mine"
    assert Record(tmp_path).names == {"sub/c.txt"}
    with Outputs(tmp_path) as outputs:
        assert outputs.claim(tmp_path / "sub/c.txt") == tmp_path / "sub/c.txt"
        assert outputs.files() == [tmp_path / "sub/c.txt"]
    with Outputs(tmp_path, overwrite=True) as outputs:
        outputs.claim(tmp_path / "a.png")
    assert Record(tmp_path).names == {"sub/c.txt", "a.png"}


def test_links_that_lead_nowhere_are_somebody_s_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("gone")
    with Outputs(tmp_path) as outputs, pytest.raises(InputError, match="exists"):
        outputs.claim(tmp_path / "a.txt")


def test_only_what_was_recorded_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    with Outputs(folder) as outputs:
        write_text(outputs.claim(folder / "1.npz"), "ours")
        (folder / "2.npz").write_text("mine")
        outputs.remove()
    assert [path.name for path in folder.iterdir()] == ["2.npz"]
    (folder / "2.npz").unlink()
    with Outputs(folder) as outputs:
        write_text(outputs.claim(folder / "1.npz"), "ours")
        outputs.remove()
    assert not folder.exists()


def test_nothing_is_left_of_a_command_that_wrote_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no"), Outputs(tmp_path / "a/b") as outputs:
        outputs.claim_all("x.txt")
        raise InputError("no")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"[]\n", b'{"made by": "me"}\n"a.txt"\n', b"[" * 100_000, b'"a.txt"\n'],
)
def test_what_is_no_record_of_ours_names_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(content)
    assert Record(tmp_path).names == set()


def test_a_record_names_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    Record(tmp_path).add("a.txt", "b\n\x1b.txt", "\udcff.txt")
    with (tmp_path / RECORD).open("ab") as file:
        file.write(b'"/etc/passwd"\n"../x"\n"a/../../x"\n3\n"cut')
    assert Record(tmp_path).names == {"a.txt", "b\n\x1b.txt", "\udcff.txt"}


def test_what_a_kill_left_of_ours_is_swept_and_nothing_else(tmp_path: Path) -> None:
    Record(tmp_path).add("a.png", "sub/b.png")
    (tmp_path / "sub").mkdir()
    left = [tmp_path / ".a.png.abcd1234.part", tmp_path / "sub/.b.png.abcd_234.part"]
    others = [tmp_path / ".mine.png.abcd1234.part", tmp_path / ".a.png.part", tmp_path / "a.png"]
    for path in (*left, *others):
        path.write_text("x")
    with Outputs(tmp_path):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in others)


def test_a_full_disk_ends_a_batch_and_another_error_does_not() -> None:
    unwritten, said = Unwritten(), []
    with unwritten.noted():
        raise InputError("cannot be written", path="a.png")
    with pytest.raises(FullDiskError), unwritten.noted():
        raise FullDiskError("the disk is full")
    assert unwritten.tell(said.append) and said == ["boxwright: not written: a.png: cannot be written"]


HOLD = """
import sys, time
from pathlib import Path
from boxwright.outputs import Outputs
from boxwright.data.formats.writers import staged
with (staged if sys.argv[2] == "staged" else Outputs)(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("how", ["outputs", "staged"])
def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(how: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    enter = staged if how == "staged" else Outputs
    with subprocess.Popen([sys.executable, "-c", HOLD, str(out), how], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"in\n"
        with (
            pytest.raises(InputError, match=rf"out: process {first.pid} on \S+ is writing into it"),
            enter(out),
        ):
            pass
        first.send_signal(signal.SIGKILL)
    with enter(out) as _:
        pass
    # The empty folder of the one that was killed may stay.
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_a_folder_that_only_looks_like_a_leftover_stays(tmp_path: Path) -> None:
    mine = tmp_path / ".out.01234567.part"
    mine.mkdir()
    with staged(tmp_path / "out") as folder:
        (folder / "a").touch()
    assert mine.is_dir() and [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco(tmp_path_factory.mktemp("data") / "squares", train=4)


def test_detect_replaces_its_own_pictures_and_goes_on_where_one_cannot_be_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "train1.png").mkdir(parents=True)
    (out / "train2.png").write_text("mine")
    words = ["detect", "blood-cells", data, "--out", out, "--csv", tmp_path / "t.csv"]
    assert run(monkeypatch, words) == 1
    said = capsys.readouterr().err
    assert f"not written: {out}/train1.png: " in said and f"not written: {out}/train2.png: exists" in said
    assert (out / "train2.png").read_text() == "mine"
    assert {path.name for path in out.iterdir()} == {RECORD, *(f"train{i}.png" for i in range(4))}
    assert (tmp_path / "t.csv").read_text().count("\n") >= 1
    assert run(monkeypatch, [*words, "--overwrite"]) == 1  # the folder in the way
    Image.open(out / "train2.png").close()
    (out / "train1.png").rmdir()
    assert run(monkeypatch, words) == 0


# A command with --out OUT, and a file in OUT that it would write.
IN_THE_WAY = {
    "eval": (
        "eval blood-cells DATA --split train --classes shared --map square=RBC --out OUT",
        "report.html",
    ),
    "cluster": ("cluster DATA --weights none --engine torch -o OUT", "sheet.html"),
    "probe": ("probe DATA --weights none --size 64 --taps stage1 --pool mean -o OUT", "probe.csv"),
    "train": ("train DATA --weights none --workers 0 --out OUT", "report.html"),
    "train --find-lr": ("train DATA --weights none --workers 0 --find-lr --out OUT", "lr_finder.png"),
    "compare": ("compare DATA --weights none --models ssd320-efficientnet-lite0 --out OUT", "compare.md"),
    "demo": ("demo --quick --out OUT", "report.json"),
    "export": ("export blood-cells --out OUT/x.onnx", "x.onnx"),
    "features": ("features DATA --weights none --engine torch -o OUT/f.parquet", "f.skipped.csv"),
    "propose": ("propose DATA -o OUT/p.npz", "p.npz"),
    "convert": ("convert DATA OUT --to voc", "notes.txt"),
}


@pytest.mark.parametrize("verb", IN_THE_WAY)
def test_a_command_refuses_what_is_not_its_own(
    verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, name = IN_THE_WAY[verb]
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    assert run(monkeypatch, words.replace("DATA", str(data)).replace("OUT", str(out)).split()) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"boxwright: {out}")
    assert (out / name).read_text() == "mine"
    left = {path.name for path in out.iterdir()} - {name}
    assert not left - {"scenes-32-0"}


def test_a_second_features_names_the_first(data: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    parts = tmp_path / "f.parquet.parts"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parts), "outputs"], stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None and first.stdout.readline() == b"in\n"
        words = ["features", data, "--weights", "none", "--engine", "torch", "-o", tmp_path / "f.parquet"]
        assert run(monkeypatch, words) == 2
        first.kill()
    assert f"process {first.pid} on " in capsys.readouterr().err
    assert json.loads((parts / LOCK).read_text())["pid"] == first.pid
