from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.data.doctor import diagnosis as doctor
from boxwright.data.doctor import examine
from boxwright.data.doctor.examined import Examined, unions
from boxwright.data.findings import CHECKS
from boxwright.errors import InputError

from ..patients import HEALTHY, HEIGHT, WIDTH, coco, save, voc, xml
from .ailments import AILMENTS, Ailment


@pytest.mark.parametrize("format", HEALTHY)
def test_nothing_is_found_in_a_healthy_data_set(format: str, tmp_path: Path) -> None:
    diagnosis = examine(HEALTHY[format](tmp_path / "data"))
    assert diagnosis.findings == ()
    assert (diagnosis.format, diagnosis.splits) == (format, ("train", "val"))


@pytest.mark.parametrize("ailment", AILMENTS, ids=lambda ailment: f"{ailment.check}-{ailment.format}")
def test_each_check_finds_what_it_is_for_and_nothing_else(ailment: Ailment, tmp_path: Path) -> None:
    root = HEALTHY[ailment.format](tmp_path / "data")
    ailment.harm(root)
    diagnosis = examine(root)
    found = diagnosis.findings
    assert {finding.check for finding in found} == {ailment.check} | ailment.consequences
    for finding in found:
        assert finding.severity == CHECKS[finding.check].severity
        assert finding.message and "\n" not in finding.message
        assert finding.file.startswith(str(root))
    report = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert set(report) == {"data", "format", "splits", "findings", "statistics"}
    assert list(report["statistics"]) == report["splits"]


def test_every_check_has_an_ailment() -> None:
    assert {ailment.check for ailment in AILMENTS} == set(CHECKS) - {"check-crashed"}


def test_a_failing_check_is_reported_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = voc(tmp_path / "data")
    xml(root / "Annotations" / "a.xml", ())

    def defective(data: Examined) -> list:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(doctor, "CHECKERS", ((defective, frozenset({"box-tiny"})), *doctor.CHECKERS))
    found = examine(root).findings
    assert {finding.check for finding in found} == {"check-crashed", "image-without-objects"}
    assert "ZeroDivisionError: a defect" in found[0].message


def test_only_and_skip_choose_checks(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    xml(root / "Annotations" / "a.xml", ())
    (root / "JPEGImages" / "b.png").write_bytes(b"")
    assert [f.check for f in examine(root).findings] == ["image-empty", "image-without-objects"]
    assert [f.check for f in examine(root, only=["image-empty"]).findings] == ["image-empty"]
    assert [f.check for f in examine(root, skip=["image-empty"]).findings] == ["image-without-objects"]
    with pytest.raises(InputError, match="no check 'image-emty'; did you mean image-empty"):
        examine(root, only=["image-emty"])


def test_fast_reads_headers_only(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    path = root / "JPEGImages" / "a.png"
    path.write_bytes(path.read_bytes()[:-400])
    (root / "JPEGImages" / "b.png").write_bytes(b"")
    assert {f.check for f in examine(root, fast=True).findings} == {"image-empty"}
    assert {f.check for f in examine(root).findings} == {"image-empty", "image-truncated"}


def test_one_json_file_and_a_loose_folder_of_xml(tmp_path: Path) -> None:
    root = coco(tmp_path / "coco")
    (root / "train" / "a.png").write_bytes(b"")
    diagnosis = examine(root / "annotations" / "instances_train.json")
    assert diagnosis.splits == ("train",)
    assert [finding.check for finding in diagnosis.findings] == ["image-empty"]

    loose = tmp_path / "loose"
    for name in "ab":
        save(loose / f"{name}.png")
        xml(loose / f"{name}.xml")
    assert examine(loose).findings == ()
    (loose / "a.png").unlink()
    assert [(f.check, f.file) for f in examine(loose).findings] == [("image-missing", str(loose / "a.xml"))]


def test_no_data_set_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=path.name):
            examine(path)


def test_a_defect_that_two_splits_meet_is_said_once(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (root / "labels.txt").write_text("cat\n")
    assert [finding.check for finding in examine(root).findings] == ["class-list"]


def test_a_split_that_is_others_together_is_no_leak(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    (root / "ImageSets/Main/all.txt").write_text("a\nb\nc\nd\ne\nf\ng\n")
    diagnosis = examine(root)
    assert diagnosis.findings == ()
    assert set(diagnosis.splits) == {"train", "val", "all"}
    (root / "ImageSets/Main/all.txt").write_text("a\nb\n")
    assert {finding.check for finding in examine(root).findings} == {"split-overlap"}


def test_equal_splits_are_a_leak_not_a_union() -> None:
    a, b = Path("a"), Path("b")
    assert unions({"train": {a, b}, "val": {a, b}}) == set()
    assert unions({"train": {a, b}, "val": {b}}) == set()


def test_the_same_report_whatever_the_number_of_threads(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    for name in "abc":
        (root / "JPEGImages" / f"{name}.png").write_bytes(b"")
    assert examine(root, jobs=1) == examine(root, jobs=4)


def test_examining_changes_nothing(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")

    def state() -> dict[str, tuple[str, int]]:
        files = [path for path in root.rglob("*") if path.is_file()]
        return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}

    before = state()
    examine(root)
    assert state() == before


def test_watch_sees_every_image_once(tmp_path: Path) -> None:
    seen = []

    def watch(items, what, total):
        for item in items:
            seen.append((item.path.name, what, total))
            yield item

    examine(voc(tmp_path / "data"), watch=watch)
    assert [name for name, _, _ in seen] == [f"{c}.png" for c in "abcdefg"]
    assert {total for _, _, total in seen} == {7}


def test_statistics_by_hand(tmp_path: Path) -> None:
    numbers = examine(voc(tmp_path / "data")).statistics["train"]
    # Each image has a cat of 26 x 20 and a dog of 40 x 30 pixels on 64 x 48.
    assert (numbers.images, numbers.empty_images, numbers.objects, numbers.ignored) == (4, 0, 8, 0)
    assert numbers.classes == {"cat": 4, "dog": 4} == numbers.images_of_class
    assert (numbers.small, numbers.medium, numbers.large) == (4, 4, 0)  # 520 < 32 * 32 <= 1200 < 96 * 96
    assert numbers.box_width == pytest.approx((26 / 64, 33 / 64, 40 / 64), abs=1e-5)
    assert numbers.box_height == pytest.approx((20 / 48, 25 / 48, 30 / 48), abs=1e-5)
    assert numbers.image_height == (HEIGHT,) * 3 and numbers.image_width == (WIDTH,) * 3
    assert numbers.objects_per_image == (2.0, 2)


def test_known_defects_of_the_blood_cells(shared: Path) -> None:
    found = examine(shared / "data" / "bccd").findings
    tiny = {Path(f.file).stem for f in found if f.check == "box-tiny"}
    assert tiny == {"BloodImage_00338", "BloodImage_00343"}
    alike = [f for f in found if f.check in ("image-near", "leak-near")]
    assert len(alike) == 1
    assert {"00037" in alike[0].file + alike[0].message, "00038" in alike[0].file + alike[0].message} == {
        True
    }
    assert {f.check for f in found} == {"box-tiny", "leak-near"}


def test_images_of_one_colour_are_not_all_alike(tmp_path: Path) -> None:
    root = voc(tmp_path / "data")
    for grey, name in enumerate("abcdefg"):
        pixels = np.full((HEIGHT, WIDTH, 3), 30 * grey, np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
    assert examine(root).findings == ()
