"""Every folder of ../shared/cases: situations that went wrong, and what is right.

What needs signals or Spark is tested where these are (tests/cli/test_signals.py, tests/spark), as is what needs no
files of the folder; the last test sees that none is forgotten.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.cli import main
from boxwright.data import open_dataset
from boxwright.data.open import detect
from boxwright.errors import InputError
from boxwright.segment.data import open_labelled

Run = Callable[..., tuple[int, str]]
"""A command's words -> exit code, and all that it printed."""


@pytest.fixture
def case(shared: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a case's folder, which may be written into."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(shared / "cases" / name, tmp_path / "case"))

    return copied


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def one(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["boxwright", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(stopped.value.code or 0), said.out + said.err

    return one


def held(folder: Path, split: str | None = None) -> tuple[int, list[list[float]], tuple[str, ...]]:
    """Images, the first image's boxes, and classes."""
    dataset = open_dataset(folder, split)
    return len(dataset), dataset[0].boxes.round(2).tolist(), dataset.classes


def labelled_folder(root: Path) -> Path:
    """Two classes of pictures, for training that takes a second."""
    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(4):
                picture = noise.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(picture).save(root / split / name / f"{number}.png")
    return root


QUICK = ("--model", "cifar-resnet20", "--epochs", "1", "--batch", "4", "--workers", "0")


def test_00_a_batch_of_one(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    folder = case("00-batch-1-crashes")
    quick = ("--workers", "0", "--weights", "none")
    code, said = run(
        "train",
        folder / "data",
        "--out",
        tmp_path / "o",
        "--set",
        "train.iterations=2",
        "--batch",
        "1",
        *quick,
    )
    assert code == 0 and "best:" in said
    skip = ("--set", "train.bad_images=skip", "--set", "train.iterations=4", "--batch", "2")
    code, said = run("train", folder / "bad", "--out", tmp_path / "p", *skip, *quick)
    assert code == 0 and "could not be read" in said


def test_01_splits_are_no_classes(case: Callable[[str], Path]) -> None:
    folder = case("01-splits-become-classes")
    middle, corner = [[25.6, 19.2, 38.4, 28.8]], [[5.0, 6.0, 30.0, 40.0]]
    for name, boxes, classes in (
        ("csv", corner, ("cat", "dog")),
        ("createml", [[15.0, 14.0, 25.0, 26.0]], ("cat",)),
        ("darknet", middle, ("cat", "dog")),
        ("v4txt", corner, ("cat",)),
    ):
        assert detect(folder / name).splits == ("train", "val", "test")
        for split in ("train", "val", "test"):
            assert held(folder / name, split) == (3, boxes, classes), name


def test_02_keypoints_are_no_outline(case: Callable[[str], Path], run: Run) -> None:
    folder = case("02-pose-labels-as-polygons")
    for name in ("kpt2", "kpt3"):
        # .3 x .4 of 64 x 48 around the middle.
        assert held(folder / name, "train")[1] == [[22.4, 14.4, 41.6, 33.6]]
        code, said = run("check", folder / name, "--fast")
        assert code == 0 and "keypoints" in said


def test_05_a_video_s_rotation(case: Callable[[str], Path]) -> None:
    from boxwright.runtime.video import read_video

    folder = case("05-video-rotation-ignored")
    upright, turned = (next(iter(read_video(folder / name)))[0] for name in ("upright.mp4", "rot90.mp4"))
    assert turned.shape == upright.shape == (640, 480, 3)


def test_06_fractions_are_no_pixels(case: Callable[[str], Path], run: Run) -> None:
    folder = case("06-normalised-boxes-as-pixels")
    for name in ("coco", "csv"):
        code, said = run("check", folder / name, "--fast")
        assert code == 1 and "box-fractions" in said and "To train on it" not in said


def test_07_nothing_to_learn(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    folder = case("07-trains-without-any-object")
    sets = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    assert sets
    for data in sets:
        out = tmp_path / f"out-{data.name}"
        code, said = run("train", data, "--out", out, "--set", "train.iterations=1", "--workers", "0")
        trains = code == 0 and "cfg" not in data.name and "best:" in said
        assert trains or (code == 2 and not out.exists()), said
        if trains:
            dataset = open_dataset(data, "train")
            assert sum(len(sample.labels) for sample in dataset)


def test_08_a_clean_copy_keeps_objects(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    folder = case("08-fix-turns-objects-into-background")
    for name, box in (("strbbox", [5.0, 6.0, 25.5, 36.0]), ("floatann", [5.0, 6.0, 25.0, 36.0])):
        assert held(folder / name, "train") == (3, [box], ("cat",))
        clean = tmp_path / f"clean-{name}"
        run("check", folder / name, "--fast", "--fix", clean)
        if clean.exists():
            (split,) = detect(clean).splits or (None,)
            assert all(len(sample.labels) for sample in open_dataset(clean, split))


def test_09_lossy_masks(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    folder = case("09-jpeg-masks-many-classes")
    code, said = run(
        "segment", "train", folder / "data", "--out", tmp_path / "o", "--set", "train.iterations=2"
    )
    assert code == 2 and ".jpg" in said and not (tmp_path / "o").exists()


def test_11_images_are_found_where_tools_put_them(case: Callable[[str], Path]) -> None:
    folder = case("11-images-folder-not-found")
    for name in ("cvat", "fiftyone", "img"):
        images, boxes, _ = held(folder / name)
        assert images == 4 and boxes


def test_13_names_beside_yolo_labels(case: Callable[[str], Path]) -> None:
    folder = case("13-yolo-without-yaml")
    middle = [[25.6, 19.2, 38.4, 28.8]]
    for name, split, classes in (
        ("labelimg", None, ("cat", "dog")),
        ("labelstudio", None, ("cat", "dog")),
        ("cvat_yolo11", "train", ("cat", "dog")),
        ("images_labels", "train", ("cat",)),
    ):
        images, boxes, names = held(folder / name, split)
        assert (images, names) == (3, classes) and boxes == middle, name


def test_14_a_split_that_was_not_exported(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    data = case("14-roboflow-yaml-missing-test") / "data"
    code, said = run("check", data, "--fast")
    assert code == 0 and "split-missing" in said and "leads out" not in said
    assert run("convert", data, tmp_path / "c", "--to", "coco")[0] == 0
    assert detect(tmp_path / "c").splits == ("train", "val")


def test_15_folders_of_voc(case: Callable[[str], Path]) -> None:
    folder = case("15-voc-folder-names")
    for name, split in (
        ("annotations_lower", None),
        ("annotations_xmls", None),
        ("train_Annotations", "train"),
    ):
        assert held(folder / name, split) == (3, [[4.0, 5.0, 30.0, 40.0]], ("cat",))


def test_19_a_box_from_an_outline(case: Callable[[str], Path], run: Run) -> None:
    data = case("19-bbox-missing-with-outline") / "data"
    assert [sample.boxes.tolist() for sample in open_dataset(data, "train")] == [[[5.0, 6.0, 25.0, 36.0]]] * 3


def test_20_tables_and_names_of_splits(case: Callable[[str], Path]) -> None:
    folder = case("20-found-but-not-named")
    for name, split, images, boxes in (
        ("two_json", "val", 3, [[5.0, 6.0, 25.0, 36.0]]),
        ("openimages", "val", 3, [[160.0, 144.0, 320.0, 336.0]]),
        ("wheat", "train", 3, [[34.0, 22.0, 90.0, 58.0]]),
        ("xywh", "train", 1, [[5.0, 6.0, 25.0, 26.0]]),
        ("tf_csv", "train", 1, [[5.0, 6.0, 30.0, 40.0]]),
        ("tf_csv", "test", 1, [[5.0, 6.0, 30.0, 40.0]]),
    ):
        assert held(folder / name, split)[:2] == (images, boxes), name


def test_22_outlines_are_checked(case: Callable[[str], Path], run: Run) -> None:
    folder = case("22-check-does-not-list-outlines")
    # A flat list is one polygon.
    open_labelled(folder / "flat").read(0)
    assert run("check", folder / "flat", "--fast")[0] == 0
    # Of a turned picture: both name it.
    with pytest.raises(InputError, match="has an outline for a picture of another size"):
        open_labelled(folder / "rle_size").read(0)
    code, said = run("check", folder / "rle_size", "--fast")
    assert code == 0 and "outline-unreadable" in said and "48 x 64" in said, said


def test_25_encodings(case: Callable[[str], Path], run: Run) -> None:
    folder = case("25-encodings")
    for name, split, classes in (
        ("gb2312_xml", None, "行人"),
        ("excel_utf16", None, "cat"),
        ("spaces", "train", "cat"),
    ):
        assert held(folder / name, split)[2] == (classes,), name
    for name in ("cp1252_xml", "excel_csv"):
        code, said = run("check", folder / name, "--fast")
        assert code == 1 and "UTF-8" in said, name
    assert "comma" in run("check", folder / "semicolon_decimal_comma", "--fast")[1]


def test_26_another_case_or_unicode_form(case: Callable[[str], Path], run: Run) -> None:
    folder = case("26-case-and-unicode-form-of-names")
    for name in ("case", "nfc"):
        assert held(folder / name)[0] == 1
        code, said = run("check", folder / name, "--fast")
        assert code == 0 and "image-inexact" in said


def test_29_classes_that_the_model_lacks(case: Callable[[str], Path], run: Run) -> None:
    folder = case("29-eval-with-classes-the-model-lacks")
    data = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    code, said = run("eval", "everyday", data, "--json")
    assert code == 2 and "--map" in said
    code, said = run("eval", "everyday", data, "--json", "--map", "a=cat")
    assert code == 0, said


def test_30_small_messages(case: Callable[[str], Path], run: Run) -> None:
    folder = case("30-small-messages")
    code, said = run("detect", "everyday", "https://example.org/a.jpg", "--no-images")
    assert code == 2 and "https://example.org/a.jpg" in said and "no such file" not in said
    _, said = run("detect", "everyday", folder / "pics", "--no-images")
    assert "heic" in said.lower()


def test_rel_01_what_is_no_run_of_ours_stays(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "tb").mkdir(parents=True)
    (out / "tb/mine.txt").write_text("mine")
    (out / "metrics.csv").write_text("mine")
    data = labelled_folder(tmp_path / "fold")
    code, said = run("train", data, "--out", out, *QUICK)
    assert code == 2 and "--overwrite" in said
    assert [(out / name).read_text() for name in ("tb/mine.txt", "metrics.csv")] == ["mine", "mine"]
    assert sorted(path.name for path in out.rglob("*")) == ["metrics.csv", "mine.txt", "tb"]


def test_rel_02_a_number_of_400_digits(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Image.new("RGB", (64, 48)).save(data / "a.png")
    box = '{"id":1,"image_id":1,"category_id":7,"bbox":[1,1,5,5]}'
    image = '{"id":1,"file_name":"a.png","width":' + "9" * 400 + ',"height":9}'
    content = f'{{"images":[{image}],"annotations":[{box}],"categories":[{{"id":7,"name":"cat"}}]}}'
    (data / "a.json").write_text(content)
    for words in (("check", data), ("anchors", data), ("convert", data, tmp_path / "out", "--to", "voc")):
        code, said = run(*words)
        assert code in (0, 1, 2), said
        assert max(map(len, said.splitlines())) < 3000


def test_rel_03_damaged_pth_files(case: Callable[[str], Path], run: Run, tmp_path: Path) -> None:
    files = sorted(case("rel-03-pth-damaged").glob("*.pth"))
    assert len(files) == 7
    for file in files:
        code, said = run("weights", "import", file, "--out", tmp_path / "x.safetensors")
        assert code == 2 and file.name in said and not (tmp_path / "x.safetensors").exists()
        assert len(said.strip().splitlines()) == 1, said


def test_rel_05_no_hard_links(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    data = labelled_folder(tmp_path / "fold")
    code, said = run("train", data, "--out", tmp_path / "out", *QUICK, "--epochs", "2")
    assert code == 0, said
    assert (tmp_path / "out/last.previous.safetensors").exists()


def test_rel_06_control_characters(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a\x1b]0;PWNED\x07\x1b[31m.jpg").write_text("x")
    code, said = run("detect", "everyday", tmp_path, "--no-images")
    assert code == 2 and "\x1b" not in said and "\x07" not in said and r"\x1b" in said


def test_rel_07_a_long_name(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.jpg", "n" * 248 + ".jpg", "z.jpg"):
        Image.new("RGB", (64, 48)).save(folder / name)
    code, _ = run("detect", "everyday", folder, "--out", out)
    made = sorted(path.name for path in out.iterdir())
    assert code in (0, 2) and any(name.startswith("z") for name in made)


def test_rel_09_two_writers(tmp_path: Path) -> None:
    data, out = labelled_folder(tmp_path / "fold"), tmp_path / "out"
    command = [sys.executable, "-m", "boxwright", "train", str(data), "--out", str(out), *QUICK]
    command += ["--epochs", "60"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in "12"
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    refused = said[codes.index(2)]
    assert f"process {both[codes.index(0)].pid} on" in refused and "Traceback" not in refused


def test_rel_11_a_long_path(run: Run, tmp_path: Path) -> None:
    for folder in ("images/train", "labels/train"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(tmp_path / "images/train/a.jpg")
    (tmp_path / "labels/train/a.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "data.yaml").write_text(f"train: images/train\nval: {'y' * 5000}\nnames: [cat]\n")
    code, said = run("check", tmp_path)
    assert code in (0, 1) and max(map(len, said.splitlines())) < 2100


ELSEWHERE = {
    "23-spark-underscore-names": "spark",
    "rel-04-telemetry": "cases/test_rel_04_telemetry.py",
    "rel-08-ctrl-c-130": "cli/test_signals.py",
}


def test_none_is_forgotten(shared: Path) -> None:
    tests = Path(__file__).parents[1]
    names = [path.name for path in sorted((shared / "cases").iterdir()) if path.is_dir()]
    assert len(names) == 30
    for name in names:
        if name in ELSEWHERE:
            assert (tests / ELSEWHERE[name]).exists()
            continue
        number = "_".join(name.split("-")[: 2 if name.startswith("rel") else 1])
        assert any(test.startswith(f"test_{number}_") for test in globals()), name
