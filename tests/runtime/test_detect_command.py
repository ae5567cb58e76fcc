"""`boxwright detect` as a person runs it, on the toy detector as ONNX."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.runtime.onnx import load
from boxwright.runtime.video import VideoWriter

from .toys import photograph, pictures

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """The command in a folder of its own; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["boxwright", "detect", str(exported), *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    yield call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photographs with a red and a green cell each, in a folder with a name of the world."""
    photograph(tmp_path / "fotos größe 図", 0)
    photograph(tmp_path / "fotos größe 図" / "sub", 1)
    return tmp_path / "fotos größe 図"


def test_pictures_are_drawn_and_the_source_is_left_alone(run: Run, folder: Path) -> None:
    before = (folder / "0.jpg").read_bytes()
    code, out, err = run(str(folder))
    assert (code, out) == (0, "") and "4 detections on 2 images; see runs/detect" in err
    assert sorted(str(p.relative_to("runs/detect")) for p in Path("runs").rglob("*.jpg")) == [
        "0.jpg",
        "sub/1.jpg",
    ]
    drawn, source = (np.asarray(Image.open(p), np.int64) for p in ("runs/detect/0.jpg", folder / "0.jpg"))
    assert drawn.shape == source.shape and np.abs(drawn - source).max() > 100
    assert (folder / "0.jpg").read_bytes() == before


def test_json_lines_say_what_predict_says(run: Run, folder: Path, exported: Path) -> None:
    code, out, _ = run(str(folder), "--json", "--no-images")
    assert code == 0 and not Path("runs").exists()
    files = [folder / "0.jpg", folder / "sub/1.jpg"]
    expected = [result.to_dict() for result in load(exported).predict(files)]
    assert [json.loads(line) for line in out.splitlines()] == expected
    assert {found["label"] for line in expected for found in line["detections"]} == {7, 3}


def test_csv_and_coco_hold_the_same_detections(run: Run, folder: Path) -> None:
    (folder / "sub/1.jpg").rename(folder / "sub/000000000139.jpg")
    code, out, _ = run(str(folder), "--csv", "new/t.csv", "--coco", "r.json", "--json", "--no-images")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    found = [(line["path"], d) for line in lines for d in line["detections"]]
    with Path("new/t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    results = json.loads(Path("r.json").read_text())
    assert len(found) == len(rows) == len(results) == 4
    for (path, detection), row, result in zip(found, rows, results, strict=True):
        x1, y1, x2, y2 = detection["box"]
        assert [float(row[k]) for k in ("x1", "y1", "x2", "y2")] == detection["box"]
        assert (row["path"], row["name"], int(row["label"])) == (path, detection["name"], detection["label"])
        assert float(row["score"]) == result["score"] == detection["score"] and row["frame"] == ""
        np.testing.assert_allclose(result["bbox"], [x1, y1, x2 - x1, y2 - y1], atol=1e-3)
        assert result["category_id"] == detection["label"] and result["file_name"] == path
    assert [result["image_id"] for result in results] == [0, 0, 139, 139]


def test_bad_files_are_named_skipped_and_counted(run: Run, folder: Path) -> None:
    (folder / "a.png").write_bytes(b"no image")
    (folder / "z.jpg").write_bytes((folder / "0.jpg").read_bytes()[:700])
    code, out, err = run(str(folder), "nowhere.jpg", "--json", "--csv", "t.csv")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["0.jpg", "a.png", "z.jpg", "1.jpg", "nowhere.jpg"]
    assert [("error" in line) for line in lines] == [False, True, True, False, True]
    for name in ("a.png", "z.jpg", "nowhere.jpg"):
        assert f"{name}: " in err
    assert "3 of 5 could not be read" in err and "Traceback" not in err
    assert len(Path("t.csv").read_text().splitlines()) == 1 + 4


def test_nothing_readable_is_exit_2(run: Run, tmp_path: Path) -> None:
    assert run("nowhere.jpg", "no.png")[0] == 2
    code, _, err = run("-", stdin="\n")
    assert code == 2 and "nothing to detect on" in err
    (tmp_path / "empty").mkdir()
    code, _, err = run("empty")
    assert code == 2 and "empty: no images in this folder" in err


def test_a_list_comes_by_standard_input(run: Run, folder: Path) -> None:
    code, out, _ = run("-", "--json", "--no-images", stdin=f"{folder / 'sub/1.jpg'}\n{folder / '0.jpg'}\n")
    assert code == 0
    assert [Path(json.loads(line)["path"]).name for line in out.splitlines()] == ["1.jpg", "0.jpg"]


def test_the_threshold_is_the_person_s(run: Run, folder: Path) -> None:
    counts = []
    for score in ("0.05", "0.9", "1"):
        code, out, _ = run(str(folder / "0.jpg"), "--json", "--no-images", "--score", score)
        counts.append(len(json.loads(out)["detections"]))
        assert code == 0
    assert counts[0] >= counts[1] > counts[2] == 0
    code, _, err = run(str(folder), "--score", "1.5")
    assert code == 2 and "[0, 1]" in err


def test_a_picture_never_replaces_its_source(run: Run, folder: Path) -> None:
    before = (folder / "0.jpg").read_bytes()
    code, _, err = run(str(folder / "0.jpg"), "--out", str(folder))
    assert code == 2 and "would replace it; choose another --out" in err
    assert (folder / "0.jpg").read_bytes() == before


def test_results_among_the_sources_are_not_detected_on_again(run: Run, folder: Path) -> None:
    for _ in range(2):
        code, out, _ = run(".", "--json", "--out", "fotos größe 図/out")
        assert code == 0 and len(out.splitlines()) == 2


def test_a_table_appears_whole_or_not_at_all(run: Run, folder: Path) -> None:
    Path("t.csv").write_text("before")
    code, _, _ = run(str(folder), "--csv", "t.csv", "--out", str(folder / "0.jpg"))
    assert code == 2 and Path("t.csv").read_text() == "before"
    assert not [name for name in os.listdir() if name.endswith(".part")]  # noqa: PTH208


def test_odd_kinds_of_files_are_drawn_as_png(run: Run, tmp_path: Path) -> None:
    Image.fromarray(pictures()[0]).save(tmp_path / "a.gif")
    assert run("a.gif")[0] == 0
    assert Image.open("runs/detect/a.gif.png").size == (64, 64)


def test_a_video_becomes_a_video_and_lines_with_frames(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "film.mp4").open("wb") as file:
        writer = VideoWriter(file, 10, (64, 64))
        for image in (pictures()[0], pictures()[2], pictures()[0]):
            writer.write(image)
        writer.close()
    (tmp_path / "bad.mkv").write_bytes(b"no video")
    code, out, err = run("film.mp4", "bad.mkv", "--json", "--csv", "t.csv", "--batch", "2")
    assert code == 1 and "bad.mkv: the video cannot be decoded" in err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["path"], line.get("frame")) for line in lines[:3]] == [("film.mp4", i) for i in range(3)]
    assert [len(line["detections"]) for line in lines[:3]] == [2, 0, 2]
    with av.open("runs/detect/film.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 3


@pytest.mark.parametrize(
    ("model", "says"),
    [("no.onnx", "no.onnx: cannot be read"), ("blod-cels", "neither a file nor a packaged model")],
)
def test_a_wrong_model_is_named(
    model: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["boxwright", "detect", model, "a.jpg"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and says in capsys.readouterr().err


def test_the_first_word_is_a_model_or_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxwright.cli.detect import DEFAULT, model_and_sources

    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    for arguments in (["a.jpg"], ["pictures"], ["-"], ["*.png"], ["more/pictures"]):
        assert model_and_sources(arguments) == (DEFAULT, arguments)
    for model in ("x.onnx", "run/best.safetensors", "everyday", "misspelt", "other.pt"):
        assert model_and_sources([model, "a.jpg", "b.jpg"]) == (model, ["a.jpg", "b.jpg"])


def test_memory_is_flat(exported: Path, tmp_path: Path) -> None:
    """A list of one large picture, short and long: the peak of memory is the same."""
    import subprocess

    Image.fromarray(np.zeros((1000, 1200, 3), np.uint8)).save(tmp_path / "a.png", compress_level=1)
    script = (
        "import sys, resource\n"
        "from boxwright.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    peaks = []
    for count in (10, 60):
        command = [
            sys.executable,
            "-c",
            script,
            "detect",
            str(exported),
            "-",
            "--no-images",
            "--csv",
            "t.csv",
        ]
        listed = f"{tmp_path / 'a.png'}\n" * count
        done = subprocess.run(command, input=listed, capture_output=True, text=True, cwd=tmp_path, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 25  # MB; fifty pictures more would be 180


@pytest.mark.parametrize(("option", "name"), [("--csv", "d.csv"), ("--coco", "annotations.json")])
def test_a_table_of_somebody_else_is_not_replaced(option, name, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    (tmp_path / name).write_text('{"images": []}')
    words = [
        "boxwright",
        "detect",
        "everyday",
        str(tmp_path / "a.jpg"),
        "--no-images",
        option,
        str(tmp_path / name),
    ]

    def ended() -> int:
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    assert ended() == 2
    assert "boxwright did not write it" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == '{"images": []}'
    words.append("--overwrite")
    assert ended() == 0
    words.remove("--overwrite")
    assert ended() == 0  # its own is replaced
