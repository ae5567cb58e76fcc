from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.segment.scenes import disc_scene, write_pairs

from boxwright.errors import InputError
from boxwright.segment.data import open_labelled, splits
from boxwright.segment.masks import IGNORED


def test_paired_folders(tmp_path: Path) -> None:
    data = open_labelled(write_pairs(tmp_path, 11))
    assert [entry.path.stem for entry in data.entries] == [str(n) for n in range(11)]  # 9 before 10
    assert data.classes.names == ("background", "class 255") and data.classes.values == (0, 255)
    picture, mask = disc_scene(10)
    labelled = data.read(10)
    np.testing.assert_array_equal(labelled.picture, picture)
    np.testing.assert_array_equal(labelled.labels, mask)


def test_folders_in_splits_and_names_from_a_file(tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", 3, value=1)
    write_pairs(tmp_path / "val", 2, value=1)
    (tmp_path / "classes.txt").write_text("0=ground\n1=disc\n")
    assert splits(tmp_path) == ("train", "val")
    assert len(open_labelled(tmp_path, "val")) == 2 and len(open_labelled(tmp_path)) == 5
    assert open_labelled(tmp_path, "train").classes.names == ("ground", "disc")
    assert open_labelled(tmp_path, "train", "1=a,0=b").classes.values == (1, 0)
    with pytest.raises(InputError, match="no split 'test'; there: train, val"):
        open_labelled(tmp_path, "test")


def test_255_beside_other_values_is_ignored(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2, value=1)
    mask = np.array(Image.open(tmp_path / "masks/0.png"))
    mask[:4] = 255
    Image.fromarray(mask).save(tmp_path / "masks/0.png")
    data = open_labelled(tmp_path)
    assert data.classes.values == (0, 1)
    assert (data.read(0).labels[:4] == IGNORED).all() and (data.read(0).labels[4:] != IGNORED).all()


def write(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "masks/1.png").unlink(), r"images/1\.png: has no mask 1\.\*"),
        (lambda f: (f / "images/1.png").unlink(), r"masks/1\.png: has no picture 1\.\*"),
        (
            lambda f: write(f / "masks/1.png", np.zeros((48, 63))),
            r"masks/1\.png: is 63 x 48, but its picture 1\.png 64 x 48",
        ),
        (lambda f: (f / "masks/1.png").write_bytes(b"x" * 99), r"masks/1\.png: not an image"),
        (lambda f: write(f / "images/1.bmp", np.zeros((48, 64))), r"is beside 1\.bmp, of the same name"),
        (
            lambda f: write(f / "masks/1.png", np.arange(48 * 64).reshape(48, 64) % 200),
            "masks have 200 different values",
        ),
        (lambda f: (f / "classes.txt").write_text("a\nb\nc"), "3 class names for masks with the values 0, 1"),
        (
            lambda f: (f / "classes.txt").write_text("0=a\n2=b"),
            r"masks/0\.png: has the value 1, which is of no class",
        ),
    ],
)
def test_what_is_wrong_is_found_before_training(spoil, message: str, tmp_path: Path) -> None:
    write_pairs(tmp_path, 3, value=1)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        open_labelled(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_mask_that_changes_its_size_later_is_found_too(tmp_path: Path) -> None:
    data = open_labelled(write_pairs(tmp_path, 2))
    write(tmp_path / "masks/1.png", np.zeros((20, 20)))
    with pytest.raises(InputError, match=r"1\.png: is 20 x 20"):
        data.read(1)


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_labelled(tmp_path / "none")
    with pytest.raises(InputError, match="is no data set for segmentation; it looks for images/"):
        open_labelled(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="has no pictures"):
        open_labelled(tmp_path)


def test_voc_s_lists_say_which_pictures_have_masks(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "SegmentationClass").mkdir()
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    for name in ("a", "b", "c"):
        write(tmp_path / f"JPEGImages/{name}.png", np.zeros((10, 12)))
    mask = np.zeros((10, 12), np.uint8)
    mask[2:4], mask[4] = 15, 255
    for name in ("a", "b"):
        image = Image.fromarray(mask, "P")
        image.putpalette([i % 256 for i in range(768)])
        image.save(tmp_path / f"SegmentationClass/{name}.png")
    for split, names in {"train": "a\n", "val": "b\n", "trainval": "a\nb\n"}.items():
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text(names)
    assert splits(tmp_path) == ("train", "val")
    data = open_labelled(tmp_path, "val")
    assert [entry.path.stem for entry in data.entries] == ["b"]
    assert len(data.classes.names) == 21 and data.classes.names[15] == "person"
    labels = data.read(0).labels
    assert (labels[2:4] == 15).all() and (labels[4] == IGNORED).all() and (labels[5:] == 0).all()
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("c\n")
    with pytest.raises(InputError, match=r"c\.png: has no mask c"):
        open_labelled(tmp_path, "val")


def coco(folder: Path, objects: list[dict]) -> Path:
    folder.mkdir(exist_ok=True)
    write(folder / "a.png", np.zeros((20, 30)))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "annotations": [
            {"id": n, "image_id": 1, "iscrowd": 0, "area": 1.0, "bbox": [0, 0, 5, 5], **one}
            for n, one in enumerate(objects, start=1)
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def test_coco_s_outlines_with_the_smaller_object_on_top(tmp_path: Path) -> None:
    from hotcoco import mask as coding

    crowd = np.zeros((20, 30), np.uint8)
    crowd[15:18, 20:25] = 1
    runs = coding.encode(np.asfortranarray(crowd))
    text = runs["counts"].decode() if isinstance(runs["counts"], bytes) else runs["counts"]
    folder = coco(
        tmp_path / "d",
        [
            {"category_id": 3, "area": 16.0, "segmentation": [[4, 4, 8, 4, 8, 8, 4, 8]]},
            {"category_id": 7, "area": 100.0, "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]},
            {
                "category_id": 7,
                "area": 15.0,
                "iscrowd": 1,
                "segmentation": {"size": [20, 30], "counts": text},
            },
        ],
    )
    data = open_labelled(folder)
    assert data.classes.names == ("background", "cat", "dog")
    labelled = data.read(0)
    wanted = np.zeros((20, 30), np.uint8)
    wanted[2:12, 2:12], wanted[4:8, 4:8], wanted[15:18, 20:25] = 1, 2, IGNORED
    np.testing.assert_array_equal(labelled.labels, wanted)
    assert labelled.objects is not None
    assert set(np.unique(labelled.objects)) == {0, 1, 2}
    np.testing.assert_array_equal(labelled.objects > 0, (wanted > 0) & (wanted != IGNORED))
    assert open_labelled(folder, classes=data.classes).classes == data.classes
    with pytest.raises(InputError, match="names its classes itself"):
        open_labelled(folder, classes="a,b")


def test_coco_without_outlines_or_with_spoilt_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no outlines"):
        open_labelled(coco(tmp_path / "a", [{"category_id": 3}]))
    bad = coco(tmp_path / "b", [{"category_id": 3, "segmentation": [["x", 2, 3, 4, 5, 6]]}])
    with pytest.raises(InputError, match=r"a\.png: has an outline that cannot be read"):
        open_labelled(bad).read(0)
    # A size that is merely claimed takes no memory.
    huge = {"size": [200_000, 200_000], "counts": "~~~~"}
    bad = coco(tmp_path / "c", [{"category_id": 3, "segmentation": huge}])
    with pytest.raises(
        InputError, match=r"a\.png: has (an outline for a picture of another size|run lengths)"
    ):
        open_labelled(bad).read(0)


def test_a_picture_with_an_object_of_no_outline_is_left_out(tmp_path: Path) -> None:
    folder = coco(tmp_path, [{"category_id": 3, "segmentation": [[4, 4, 8, 4, 8, 8, 4, 8]]}])
    content = json.loads((folder / "annotations.json").read_text())
    for number, name in ((2, "b.png"), (3, "c.png")):
        write(folder / name, np.zeros((20, 30)))
        content["images"].append({"id": number, "file_name": name, "width": 30, "height": 20})
    bare = {"id": 9, "image_id": 2, "iscrowd": 0, "area": 1.0, "bbox": [0, 0, 5, 5], "category_id": 3}
    content["annotations"].append(bare)
    (folder / "annotations.json").write_text(json.dumps(content))
    data = open_labelled(folder)
    assert [entry.path.name for entry in data.entries] == ["a.png", "c.png"]
    assert (data.read(1).labels == 0).all()


def test_coco_s_own_outlines_cover_what_their_areas_say(shared: Path) -> None:
    data = open_labelled(shared / "data/coco-mini", "val")
    assert len(data) < 284 and len(data.classes.names) == 81
    checked = 0
    for index in range(12):
        sample = data.entries[index].truth
        assert not isinstance(sample, Path)
        labelled = data.read(index)
        kept = labelled.labels != IGNORED
        # What lies in front takes pixels away; together no class can have more than its objects' areas.
        for label in np.unique(labelled.labels[kept & (labelled.labels > 0)]):
            areas = sample.areas[sample.labels == label - 1].sum()
            assert (labelled.labels == label).sum() <= 1.05 * areas + 20
        if len(sample.boxes) == 1 and not sample.ignore.any():
            assert (labelled.labels > 0).sum() == pytest.approx(sample.areas[0], rel=0.05)
            checked += 1
    assert checked >= 1


def test_parts_of_a_data_set(tmp_path: Path) -> None:
    data = open_labelled(write_pairs(tmp_path, 8))
    kept, held = data.held_out(0.25, seed=3)
    names = [{entry.path.stem for entry in part.entries} for part in (kept, held)]
    assert len(names[1]) == 2 and names[0] | names[1] == {str(n) for n in range(8)}
    assert not names[0] & names[1]
    assert data.held_out(0.25, seed=3)[1] == held
    assert [entry.path.stem for entry in data.only(["5", "2"]).entries] == ["5", "2"]
    for bad in (["9"], []):
        with pytest.raises(InputError, match="has no picture"):
            data.only(bad)
    for part in (0.0, 1.0):
        with pytest.raises(InputError, match="cannot hold out"):
            data.held_out(part, 0)


def test_the_fingerprint_is_of_what_is_there_not_where(tmp_path: Path) -> None:
    one, two = (open_labelled(write_pairs(tmp_path / name, 3)) for name in ("a", "b"))
    assert one.fingerprint() == two.fingerprint()
    assert one.only(["0", "1"]).fingerprint() != one.fingerprint()
    write(tmp_path / "b/masks/0.png", np.zeros((48, 64)))
    assert one.fingerprint() != two.fingerprint()
