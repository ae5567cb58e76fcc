from __future__ import annotations

from pathlib import Path

import pytest

from boxwright.data import open_dataset, splits
from boxwright.data.open import read_split
from boxwright.data.records import Finding
from boxwright.errors import InputError

from ..patients import save

HEAD = "path,xmin,ymin,xmax,ymax,class\n"


def folder(root: Path, text: str, name: str = "annotations.csv") -> Path:
    for stem in "ab":
        save(root / f"{stem}.png")
    (root / name).write_bytes(text.encode())
    return root


def checks(source: Path, split: str = "") -> list[str]:
    found: list[Finding] = []
    read_split(source, split, found.append)
    return [finding.check for finding in found]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "a.png,1,2,30.5,40,cat\nb.png,,,,,\na.png,5,6,7,8,dog\n",
        "a.png,1,2,30.5,40,cat\nb.png,,,,,\na.png,5,6,7,8,dog\n",
        "\ufeffFilename,X1,Y1,X2,Y2,Label\r\na.png,1,2,30.5,40,cat\r\nb.png,,,,,\r\na.png,5,6,7,8,dog\r\n",
        "filename;width;height;class;xmin;ymin;xmax;ymax\na.png;64;48;cat;1;2;30.5;40\nb.png;;;;;;;\na.png;;;dog;5;6;7;8\n",
        "image_path\tx_min\ty_min\tx_max\ty_max\tname\na.png\t1\t2\t30.5\t40\tcat\nb.png\na.png\t5\t6\t7\t8\tdog\n",
    ],
)
def test_headers_and_separators(text: str, tmp_path: Path) -> None:
    source = folder(tmp_path, text)
    dataset = open_dataset(source)
    assert splits(source) == () and dataset.findings == ()
    assert [s.path.name for s in dataset] == ["a.png", "b.png"]
    assert dataset[0].boxes.tolist() == [[1, 2, 30.5, 40], [5, 6, 7, 8]]
    assert (dataset.classes, dataset.ids) == (("cat", "dog"), (0, 1))
    assert [len(s.labels) for s in dataset] == [2, 0]
    assert len(open_dataset(source / "annotations.csv")) == 2


def test_all_columns(tmp_path: Path) -> None:
    head = HEAD.strip() + ",split,difficult,crowd,width,height,note\n"
    rows = (
        "a.png,1,2,3,4,cat,train,1,0,64,48,x\n"
        "a.png,1,2,3,4,cat,train,0,true,64,48,\n"
        "b.png,1,2,3,4,dog,validation,,,,,\n"
    )
    source = folder(tmp_path, head + rows)
    assert splits(source) == ("train", "val")
    sample = open_dataset(source, "train")[0]
    assert sample.size == (48, 64)
    assert (sample.difficult.tolist(), sample.crowd.tolist()) == ([True, False], [False, True])
    assert sample.attributes == ({"note": "x"}, {})
    assert open_dataset(source, "val").classes == ("cat", "dog")


def test_classes_csv_gives_order_and_ids(tmp_path: Path) -> None:
    source = folder(tmp_path, "a.png,1,2,3,4,cat\na.png,1,2,3,4,dog\n")
    for text in ("dog,7\ncat,3\nowl,90\n", "class_name,id\ndog,7\ncat,3\nowl,90\n"):
        (source / "classes.csv").write_text(text)
        dataset = open_dataset(source)
        assert (dataset.classes, dataset.ids) == (("dog", "cat", "owl"), (7, 3, 90))
        assert dataset[0].labels.tolist() == [1, 0]
    (source / "classes.csv").write_text("dog\n")
    assert checks(source) == ["class-unknown"]
    (source / "classes.csv").write_text("dog,1\ncat,1\n")
    assert checks(source) == ["id-duplicate", "class-unknown"]
    (source / "classes.csv").write_text("dog,1\ncat,x\n")
    assert checks(source) == ["record-shape", "class-unknown"]


def test_a_table_for_each_split(tmp_path: Path) -> None:
    source = folder(tmp_path, "a.png,1,2,3,4,cat\n", "train.csv")
    folder(source, "b.png,1,2,3,4,dog\n", "test.csv")
    (source / "classes.csv").write_text("dog,0\ncat,1\n")
    assert splits(source) == ("train", "test")
    assert [s.path.name for s in open_dataset(source, "test")] == ["b.png"]
    assert splits(source / "train.csv") == ("train",)


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ("a.png,1,2,x,4,cat", "box-shape"),
        ("a.png,1,2,,4,cat", "box-shape"),
        ("a.png,,,,,cat", "box-shape"),
        ("a.png,1,2,3,4,", "class-unknown"),
        ("a.png,3,2,1,4,cat", "box-swapped"),
        ("a.png,1,2,1,4,cat", "box-no-area"),
        ("a.png,nan,2,3,4,cat", "box-nan"),
        ("a.png,1,2,1e999,4,cat", "box-nan"),
        ("zz.png,1,2,3,4,cat", "image-missing"),
        ("../../etc/passwd,1,2,3,4,cat", "path-escape"),
        ("/etc/passwd,1,2,3,4,cat", "path-escape"),
        ("C:\\x.png,1,2,3,4,cat", "path-escape"),
        (",1,2,3,4,cat", "path-escape"),
        ('"' + "x" * 200_000 + '",1,2,3,4,cat', "csv-syntax"),
    ],
)
def test_each_bad_row_is_one_finding(row: str, check: str, tmp_path: Path) -> None:
    source = folder(tmp_path, f"{HEAD}b.png,1,2,3,4,cat\n{row}\n")
    found: list[Finding] = []
    read_split(source, "", found.append)
    assert [(f.check, f.where) for f in found] == [(check, "line 3")]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "path,xmin,ymin,xmax,class\n"])
def test_tables_that_are_no_data_set(text: str, tmp_path: Path) -> None:
    source = folder(tmp_path, text, "boxes.csv")
    with pytest.raises(InputError, match="no data set"):
        open_dataset(source)
    with pytest.raises(InputError, match=r"csv-shape|has no images"):
        open_dataset(source / "boxes.csv")


def test_a_row_without_a_split_among_rows_that_have_one(tmp_path: Path) -> None:
    source = folder(tmp_path, HEAD.strip() + ",split\na.png,1,2,3,4,cat,train\nb.png,1,2,3,4,cat,\n")
    assert splits(source) == ("train",) and checks(source, "train") == ["record-shape"]


def test_a_symbolic_link_out_of_the_folder_is_followed_unless_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", "a.png,1,2,3,4,cat\n")
    save(tmp_path / "secret.png", seed=1)
    (source / "a.png").unlink()
    (source / "a.png").symlink_to(tmp_path / "secret.png")
    assert open_dataset(source)[0].path.name == "a.png"
    with pytest.raises(InputError, match=r"symbolic link|no image|none of"):
        open_dataset(source, follow_links=False)
