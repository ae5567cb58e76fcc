"""Small data sets as common annotation tools write them: what each holds is known, and has to be read.

Each began as a situation from a public bug report; none of its bytes is anybody's.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.data import open_dataset
from boxwright.data.open import detect
from boxwright.errors import InputError

Expected = tuple[int | None, int | None, list[str] | None]
YOLO_LINES = "0 0.5 0.5 0.3 0.4\n1 0.2 0.2 0.1 0.1\n"


def img(path: Path, w: int = 64, h: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path.name))).integers(0, 255, (h, w, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def txt(path: Path, text: str, coding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(coding))


def js(path: Path, held: object, coding: str = "utf-8") -> None:
    txt(path, json.dumps(held, ensure_ascii=False), coding)


def voc(w=64, h=48, name="cat", fn="a.jpg", box=(5, 6, 30, 40), extra="", enc=""):
    return f"{enc}<annotation><folder>x</folder><filename>{fn}</filename><path>C:\\data\\{fn}</path><size><width>{w}</width><height>{h}</height><depth>3</depth></size><object><name>{name}</name>{extra}<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object></annotation>"


def coco(names, wh=(64, 48), boxes=True, cat="cat", pre="", **kw):
    return {
        "images": [
            {"id": i + 1, "file_name": pre + n, "width": wh[0], "height": wh[1]} for i, n in enumerate(names)
        ],
        "annotations": [
            {
                "id": i + 1,
                "image_id": i + 1,
                "category_id": 1,
                "bbox": [5, 6, 25, 30],
                "area": 750,
                "iscrowd": 0,
            }
            for i in range(len(names))
        ],
        "categories": [{"id": 1, "name": cat}],
    }


def cs(p, head, rows, sep=",", enc="utf-8"):
    txt(p, (sep.join(head) + "\n" if head else "") + "".join(sep.join(map(str, r)) + "\n" for r in rows), enc)


def build(root: Path) -> dict[str, Expected]:
    expected: dict[str, Expected] = {}

    def case(name: str, images: int | None, objects: int | None, classes: list[str] | None = None) -> Path:
        expected[name] = (images, objects, classes)
        return root / name

    # YOLO
    d = case("y_other_machine", 4, 8, ["cat", "dog"])
    for s in ("train", "val"):
        for i in range(2):
            img(d / f"images/{s}/{i}{s}.jpg")
            txt(d / f"labels/{s}/{i}{s}.txt", YOLO_LINES)
    txt(
        d / "data.yaml",
        "path: /content/datasets/pets\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n",
    )
    d = case("y_abs_list", 3, 6, ["cat", "dog"])
    for i in range(3):
        img(d / f"images/{i}.jpg")
        txt(d / f"labels/{i}.txt", YOLO_LINES)
    txt(d / "train.txt", "/home/u/pets/images/0.jpg\n/home/u/pets/images/1.jpg\n")
    txt(d / "val.txt", "./images/2.jpg\r\n")
    txt(d / "pets.yaml", "train: train.txt\nval: val.txt\nnc: 2\nnames: [cat, dog]\n")
    d = case("y_conf_column", None, None)
    for i in range(2):
        img(d / f"train/images/{i}.jpg")
        txt(d / f"train/labels/{i}.txt", "0 0.5 0.5 0.3 0.4 0.9\n1 0.2 0.2 0.1 0.1 0.3\n")
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat, dog]\n")
    d = case("y_float_ids_bom_crlf", 2, 4, ["cat", "dog"])
    for i in range(2):
        img(d / f"train/images/{i}.jpg")
        txt(d / f"train/labels/{i}.txt", "\ufeff0.0 0.5 0.5 0.3 0.4\r\n1.0 0.2 0.2 1e-1 0.1 \r\n\r\n")
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat, dog]\n")
    d = case("y_obb", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"train/images/{i}.jpg")
        txt(d / f"train/labels/{i}.txt", "0 0.3 0.3 0.5 0.3 0.5 0.5 0.3 0.5\n")
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat]\n")
    d = case("y_seg_pose_mix", 1, 2, ["cat"])
    img(d / "train/images/0.jpg")
    txt(d / "train/labels/0.txt", "0 0.3 0.3 0.5 0.3 0.5 0.5 0.3 0.5 .2 .4\n0 0.5 0.5 0.3 0.4\n")
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat]\n")
    d = case("y_darknet_objdata", 3, 6, ["cat", "dog"])
    for i in range(3):
        img(d / f"obj_train_data/{i}.jpg")
        txt(d / f"obj_train_data/{i}.txt", YOLO_LINES)
    txt(
        d / "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n",
    )
    txt(d / "obj.names", "cat\ndog\n")
    txt(d / "train.txt", "data/obj_train_data/0.jpg\ndata/obj_train_data/1.jpg\n")
    txt(d / "valid.txt", "data/obj_train_data/2.jpg\n")
    d = case("y_labelimg_same_folder", 2, 4, ["cat", "dog"])
    for i in range(2):
        img(d / f"{i}.jpg")
        txt(d / f"{i}.txt", YOLO_LINES)
    txt(d / "classes.txt", "cat\ndog\n")
    d = case("y_labels_root_splits", 4, 8, ["cat", "dog"])
    for s in ("Train", "Valid"):
        for i in range(2):
            img(d / f"{s}/Images/{i}{s}.JPG")
            txt(d / f"{s}/Labels/{i}{s}.txt", YOLO_LINES)
    txt(d / "classes.txt", "cat\ndog\n")
    d = case("y_two_yamls", 2, 4, None)
    for i in range(2):
        img(d / f"train/images/{i}.jpg")
        txt(d / f"train/labels/{i}.txt", YOLO_LINES)
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat, dog]\n")
    txt(d / "hyp.yaml", "lr0: 0.01\nmosaic: 1.0\n")
    d = case("y_pixels_boxes", None, None)
    img(d / "train/images/0.jpg")
    txt(d / "train/labels/0.txt", "0 20 20 10 10\n")
    txt(d / "data.yaml", "train: train/images\nval: train/images\nnames: [cat]\n")
    # VOC
    d = case("v_mixed_folders", 4, 4, ["cat"])
    for s in ("train", "valid"):
        for i in range(2):
            img(d / f"{s}/{s}{i}.jpg")
            txt(d / f"{s}/{s}{i}.xml", voc(fn=f"{s}{i}.jpg"))
    d = case("v_images_annotations", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"Images/{i}.jpg")
        txt(d / f"ANNOTATIONS/{i}.xml", voc(fn=f"{i}.jpg"))
    d = case("v_lower_lists", 3, 3, ["cat"])
    for i in range(3):
        img(d / f"images/{i}.jpg")
        txt(d / f"annotations/{i}.xml", voc(fn=f"{i}.jpg"))
    txt(d / "train.txt", "0\n1\n")
    txt(d / "test.txt", "2\n")
    d = case("v_wrong_filename", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"JPEGImages/img{i}.png")
        txt(d / f"Annotations/img{i}.xml", voc(fn=f"old{i}.jpg"))
    d = case("v_split_dirs_inside", 4, 4, ["cat"])
    for s in ("train", "val"):
        for i in range(2):
            img(d / f"images/{s}/{s}{i}.jpg")
            txt(d / f"annotations/{s}/{s}{i}.xml", voc(fn=f"{s}{i}.jpg"))
    d = case("v_zero_size", 1, 1, ["cat"])
    img(d / "JPEGImages/a.jpg")
    txt(d / "Annotations/a.xml", voc(w=0, h=0))
    d = case("v_float_box_bool_difficult", 1, 1, ["cat"])
    img(d / "JPEGImages/a.jpg")
    txt(
        d / "Annotations/a.xml",
        voc(box=(5.5, 6.2, 30.1, 40.9), extra="<difficult>0.0</difficult><truncated>Unspecified</truncated>"),
    )
    d = case("v_rotated_robndbox", None, None)
    img(d / "JPEGImages/a.jpg")
    txt(
        d / "Annotations/a.xml",
        "<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height><depth>3</depth></size><object><type>robndbox</type><name>cat</name><robndbox><cx>30</cx><cy>20</cy><w>20</w><h>10</h><angle>0.78</angle></robndbox></object></annotation>",
    )
    # COCO
    d = case("c_labelstudio", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/ab{i}-x.jpg")
    js(
        d / "result.json",
        coco(["ab0-x.jpg", "ab1-x.jpg"], pre="..\\..\\label-studio\\data\\media\\upload\\1\\"),
    )
    d = case("c_fiftyone", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"data/{i}.jpg")
    js(d / "labels.json", coco(["0.jpg", "1.jpg"]))
    d = case("c_std_2017", 4, 4, ["cat"])
    for s in ("train2017", "val2017"):
        for i in range(2):
            img(d / f"{s}/{s}{i}.jpg")
        js(d / f"annotations/instances_{s}.json", coco([f"{s}0.jpg", f"{s}1.jpg"]))
        js(
            d / f"annotations/captions_{s}.json",
            {"images": [], "annotations": [{"id": 1, "image_id": 1, "caption": "x"}]},
        )
    d = case("c_cvat", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/default/{i}.jpg")
    js(d / "annotations/instances_default.json", coco(["0.jpg", "1.jpg"]))
    d = case("c_cvat_named", 4, 4, ["cat"])
    for s in ("Train", "Validation"):
        for i in range(2):
            img(d / f"images/{s}/{s}{i}.jpg")
        js(d / f"annotations/instances_{s}.json", coco([f"{s}0.jpg", f"{s}1.jpg"]))
    d = case("c_roboflow", 4, 4, ["cat"])
    for s in ("train", "valid"):
        for i in range(2):
            img(d / f"{s}/{s}{i}.jpg")
        js(d / f"{s}/_annotations.coco.json", coco([f"{s}0.jpg", f"{s}1.jpg"]))
    d = case("c_results_json", None, None)
    img(d / "0.jpg")
    js(d / "detections.json", [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])
    d = case("c_string_everything", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"{i}.jpg")
    c = coco(["0.jpg", "1.jpg"])
    for a in c["annotations"]:
        a.update(image_id=str(a["image_id"]), category_id="1", iscrowd="0", bbox=[str(x) for x in a["bbox"]])
    for i in c["images"]:
        i.update(width="64", height=48.0)
    js(d / "a.json", c)
    d = case("c_utf16", 2, 2, ["cät"])
    for i in range(2):
        img(d / f"{i}.jpg")
    txt(d / "a.json", json.dumps(coco(["0.jpg", "1.jpg"], cat="cät"), ensure_ascii=False), "utf-16")
    d = case("c_xyxy", None, None)
    img(d / "0.jpg")
    c = coco(["0.jpg"])
    c["annotations"][0]["bbox"] = [35, 30, 60, 46]
    del c["annotations"][0]["area"]
    js(d / "a.json", c)
    d = case("c_abs_windows", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"pics/{i}.jpg")
    c = coco(["0.jpg", "1.jpg"], pre="C:\\Users\\me\\pics\\")
    js(d / "a.json", c)
    d = case("c_ambiguous", None, None)
    img(d / "a/0.jpg")
    img(d / "b/0.jpg")
    js(d / "x.json", coco(["0.jpg"]))
    d = case("c_polys_only", 1, 1, ["cat"])
    img(d / "0.jpg")
    c = coco(["0.jpg"])
    del c["annotations"][0]["bbox"]
    c["annotations"][0]["segmentation"] = [[5, 6, 30, 6, 30, 36, 5, 36]]
    js(d / "x.json", c)
    d = case("c_fractions", None, None)
    img(d / "0.jpg")
    c = coco(["0.jpg"])
    c["annotations"][0]["bbox"] = [0.1, 0.1, 0.4, 0.5]
    js(d / "x.json", c)
    # CSV
    d = case("t_openimages", 2, 2, ["/m/01yrx"])
    for i in range(2):
        img(d / f"images/00{i}.jpg")
    cs(
        d / "train-annotations-bbox.csv",
        [
            "ImageID",
            "Source",
            "LabelName",
            "Confidence",
            "XMin",
            "XMax",
            "YMin",
            "YMax",
            "IsOccluded",
            "IsTruncated",
            "IsGroupOf",
            "IsDepiction",
            "IsInside",
        ],
        [[f"00{i}", "x", "/m/01yrx", 1, 0.1, 0.5, 0.2, 0.6, 0, 0, 0, 0, 0] for i in range(2)],
    )
    d = case("t_wheat", 2, 2, None)
    for i in range(2):
        img(d / f"train/w{i}.jpg")
    cs(
        d / "train.csv",
        ["image_id", "width", "height", "bbox", "source"],
        [[f"w{i}", 64, 48, '"[5.0, 6.0, 25.0, 30.0]"', "usask"] for i in range(2)],
    )
    d = case("t_retinanet_nohead", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/{i}.jpg")
    cs(d / "annotations.csv", None, [[f"images/{i}.jpg", 5, 6, 30, 36, "cat"] for i in range(2)])
    cs(d / "classes.csv", None, [["cat", 0]])
    d = case("t_via", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"{i}.jpg")
    cs(
        d / "via_export_csv.csv",
        [
            "filename",
            "file_size",
            "file_attributes",
            "region_count",
            "region_id",
            "region_shape_attributes",
            "region_attributes",
        ],
        [
            [
                f"{i}.jpg",
                100,
                '"{}"',
                1,
                0,
                '"{""name"":""rect"",""x"":5,""y"":6,""width"":25,""height"":30}"',
                '"{""class"":""cat""}"',
            ]
            for i in range(2)
        ],
    )
    d = case("t_kaggle_xywh", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/{i}.jpg")
    cs(
        d / "labels.csv",
        ["file", "label", "x", "y", "w", "h"],
        [[f"{i}.jpg", "cat", 5, 6, 25, 30] for i in range(2)],
    )
    d = case("t_semicolon", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"{i}.jpg")
    cs(
        d / "labels.csv",
        ["filename", "class", "xmin", "ymin", "xmax", "ymax"],
        [[f"{i}.jpg", "cat", "5,5", "6,0", "30,5", "36,0"] for i in range(2)],
        sep=";",
    )
    d = case("t_automl", 3, 3, ["cat"])
    for i in range(3):
        img(d / f"{i}.jpg")
    cs(
        d / "automl.csv",
        None,
        [
            [
                ["TRAIN", "VALIDATION", "TEST"][i],
                f"gs://bucket/{i}.jpg",
                "cat",
                0.1,
                0.2,
                "",
                "",
                0.5,
                0.7,
                "",
                "",
            ]
            for i in range(3)
        ],
    )
    d = case("t_split_column", 3, 3, ["cat"])
    for i in range(3):
        img(d / f"{i}.jpg")
    cs(
        d / "labels.csv",
        ["filename", "class", "xmin", "ymin", "xmax", "ymax", "split"],
        [[f"{i}.jpg", "cat", 5, 6, 30, 36, ["train", "val", "test"][i]] for i in range(3)],
    )
    d = case("t_tf_two", 4, 4, ["cat"])
    for i in range(4):
        img(d / f"images/{i}.jpg")
    for s, k in (("train", (0, 1)), ("test", (2, 3))):
        cs(
            d / f"{s}_labels.csv",
            ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"],
            [[f"{i}.jpg", 64, 48, "cat", 5, 6, 30, 36] for i in k],
        )
    # JSON others
    d = case("j_via", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"{i}.jpg")
    js(
        d / "via_region_data.json",
        {
            f"{i}.jpg100": {
                "filename": f"{i}.jpg",
                "size": 100,
                "regions": [
                    {
                        "shape_attributes": {"name": "rect", "x": 5, "y": 6, "width": 25, "height": 30},
                        "region_attributes": {"class": "cat"},
                    }
                ],
                "file_attributes": {},
            }
            for i in range(2)
        },
    )
    d = case("j_labelstudio", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/{i}.jpg")
    js(
        d / "export.json",
        [
            {
                "id": i,
                "data": {"image": f"/data/upload/1/{i}.jpg"},
                "annotations": [
                    {
                        "result": [
                            {
                                "type": "rectanglelabels",
                                "from_name": "label",
                                "to_name": "image",
                                "original_width": 64,
                                "original_height": 48,
                                "value": {
                                    "x": 10,
                                    "y": 10,
                                    "width": 50,
                                    "height": 50,
                                    "rotation": 0,
                                    "rectanglelabels": ["cat"],
                                },
                            }
                        ]
                    }
                ],
            }
            for i in range(2)
        ],
    )
    d = case("j_createml", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"train/{i}.jpg")
    js(
        d / "train/_annotations.createml.json",
        [
            {
                "image": f"{i}.jpg",
                "annotations": [
                    {"label": "cat", "coordinates": {"x": 20, "y": 20, "width": 20, "height": 20}}
                ],
            }
            for i in range(2)
        ],
    )
    d = case("j_labelme", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"{i}.jpg")
        js(
            d / f"{i}.json",
            {
                "version": "5.0",
                "flags": {},
                "shapes": [
                    {"label": "cat", "points": [[5, 6], [30, 36]], "shape_type": "rectangle", "flags": {}}
                ],
                "imagePath": f"{i}.jpg",
                "imageData": None,
                "imageHeight": 48,
                "imageWidth": 64,
            },
        )
    d = case("x_cvat_images", 2, 2, ["cat"])
    for i in range(2):
        img(d / f"images/{i}.jpg")
    txt(
        d / "annotations.xml",
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
        + "".join(
            f'<image id="{i}" name="{i}.jpg" width="64" height="48"><box label="cat" occluded="0" xtl="5" ytl="6" xbr="30" ybr="36" z_order="0"/></image>'
            for i in range(2)
        )
        + "</annotations>",
    )
    # folders
    d = case("f_split_class", 4, 4, ["cat", "dog"])
    for s in ("train", "val"):
        for c in ("cat", "dog"):
            img(d / s / c / "0.jpg")
    d = case("f_only_splits", None, None)
    for s in ("train", "valid", "test"):
        img(d / s / f"{s}.jpg")
    return expected


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Expected]]:
    root = tmp_path_factory.mktemp("layouts")
    return root, build(root)


def test_each_layout_is_read_as_it_is_meant(built: tuple[Path, dict[str, Expected]]) -> None:
    """Exactly the images, objects and classes that are there; or, where that cannot be known, a reason."""
    root, expected = built
    assert len(expected) > 45
    wrong = {}
    for name, (images, objects, classes) in expected.items():
        try:
            dataset = open_dataset(root / name, policy="skip")
        except InputError as error:
            if images is not None:
                wrong[name] = str(error)
            continue
        found = (len(dataset), sum(len(sample.labels) for sample in dataset), list(dataset.classes))
        right = (images, objects, classes or found[2])
        if (images is None and not dataset.findings) or (images is not None and found != right):
            wrong[name] = (found, right)
    assert not wrong


def test_what_is_no_data_set_names_what_was_looked_at(built: tuple[Path, dict[str, Expected]]) -> None:
    root, _ = built
    with pytest.raises(InputError, match=r"detections\.json holds detections of a model, not annotations"):
        detect(root / "c_results_json")
    with pytest.raises(InputError, match="is an address, and nothing is fetched"):
        detect(Path("https://example.org/data"))


def test_an_ambiguous_name_is_settled_by_the_folder_that_a_person_names(
    built: tuple[Path, dict[str, Expected]],
) -> None:
    root, _ = built
    with pytest.raises(InputError, match=r"may be a/0\.jpg, b/0\.jpg; say by --images DIR"):
        open_dataset(root / "c_ambiguous")
    assert open_dataset(root / "c_ambiguous", images=root / "c_ambiguous/b")[0].path.parent.name == "b"
