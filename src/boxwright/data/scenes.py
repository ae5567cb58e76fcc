"""The embedded data set: handwritten digits in photographs, made on the spot, without a download.

The digits are the 1,797 that scikit-learn ships (UCI "Optical Recognition of Handwritten Digits"), of 8 x 8
pixels; the photographs are those inside the wheels of scikit-image and scikit-learn. A scene is a random part
of a photograph with one to six digits, 24 to 120 pixels long, turned by at most 15 degrees, coloured so that
they stand out, some partly covered. Held-out scenes use digits and photographs that no training scene uses.

Every scene depends on its seed, split and number alone: the first ten of a thousand are the ten of ten.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from boxwright.data.compose import Material, Scene, draw_scene
from boxwright.data.formats.writers import staged
from boxwright.draw import encode_picture
from boxwright.errors import InputError
from boxwright.images import read_image

Split = Literal["train", "val", "test"]

CLASSES = tuple("0123456789")

# The file is in the order of its writers; scikit-learn's course ("Sample grouping") has them begin at 0, 130,
# 256, ..., 1157, 1287, 1415, 1545, 1667. Nobody who wrote a training digit wrote a held-out one.
_DIGITS: dict[Split, slice] = {"train": slice(0, 1287), "val": slice(1287, 1545), "test": slice(1545, 1797)}
_SKIMAGE, _SKLEARN = ("skimage", "data"), ("sklearn", "datasets/images")
# Left out: what shows written or round things that could pass for digits (page, text, coins), and the right
# picture of the stereo pair, which is nearly the left one.
_PHOTOGRAPHS: dict[Split, tuple[tuple[tuple[str, str], str], ...]] = {
    "train": (
        (_SKIMAGE, "astronaut.png"),
        (_SKIMAGE, "brick.png"),
        (_SKIMAGE, "camera.png"),
        (_SKIMAGE, "coffee.png"),
        (_SKIMAGE, "grass.png"),
        (_SKIMAGE, "hubble_deep_field.jpg"),
        (_SKIMAGE, "motorcycle_left.png"),
        (_SKLEARN, "flower.jpg"),
    ),
    "val": ((_SKIMAGE, "gravel.png"), (_SKIMAGE, "rocket.jpg")),
    "test": ((_SKIMAGE, "chelsea.png"), (_SKLEARN, "china.jpg")),
}


def write_scenes(
    folder: str | Path,
    *,
    train: int = 800,
    val: int = 100,
    test: int = 200,
    size: tuple[int, int] = (320, 320),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write scenes as a COCO data set: `annotations/instances_train.json`, `train/000000.jpg` and so on.

    Everything is written beside `folder` first and takes its name when it is complete. The same arguments
    give the same bytes (with the same Pillow, scikit-image and scikit-learn).

    Args:
        folder: must not exist yet, or be empty.
        train, val, test: how many scenes of each split; a split of none is not written.
        size: (height, width) of the pictures, at least 160 each.
        seed: another seed, other scenes.
        progress: is told (scenes done, scenes in all) after each.

    Returns:
        The folder.

    Raises:
        InputError: the folder has content, cannot be written, or the disk is full; a photograph is missing.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("has content already", path=folder, hint="choose a new folder or delete this one")
    if min(size) < 160:
        raise InputError(f"scenes of {size[0]} x {size[1]} are too small", hint="use at least 160 x 160")
    counts: dict[Split, int] = {"train": train, "val": val, "test": test}
    total, done = sum(counts.values()), 0
    with staged(folder) as part:
        for number, (split, count) in enumerate(counts.items()):
            if count == 0:
                continue
            pictures, material, scenes = part / split, load_material(split), []
            pictures.mkdir()
            for i in range(count):
                scene = draw_scene(material, np.random.default_rng([seed, number, i]), size)
                (pictures / f"{i:06d}.jpg").write_bytes(encode_picture(scene.image, ".jpg"))
                scenes.append(scene)
                done += 1
                if progress:
                    progress(done, total)
            (part / "annotations").mkdir(exist_ok=True)
            text = json.dumps(_coco(scenes, split, seed))
            (part / "annotations" / f"instances_{split}.json").write_text(text)
    return folder


def load_material(split: Split) -> Material:
    """The digits and photographs of a split.

    Raises:
        InputError: scikit-image or scikit-learn is not installed, or a photograph is not in its wheel.
    """
    photographs = {name: read_image(_find(package, name)) for package, name in _PHOTOGRAPHS[split]}
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = _DIGITS[split]
    glyphs = digits.images[chosen].astype(np.float32) / 16
    return Material(photographs, glyphs, digits.target[chosen].astype(np.int64))


def _find(package: tuple[str, str], name: str) -> Path:
    module, folder = package
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the scenes need {module}", hint="pip install 'boxwright[train]'")
    path = Path(spec.submodule_search_locations[0]) / folder / name
    if not path.is_file():
        raise InputError("this photograph is missing", path=path, hint=f"reinstall {module} from its wheel")
    return path


def _coco(scenes: list[Scene], split: Split, seed: int) -> dict[str, Any]:
    images = []
    annotations: list[dict[str, Any]] = []
    for i, scene in enumerate(scenes):
        height, width = scene.owner.shape
        images.append({"id": i + 1, "file_name": f"{split}/{i:06d}.jpg", "height": height, "width": width})
        for k, (box, label) in enumerate(zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": label,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": int((scene.owner == k).sum()),
                    "iscrowd": 0,
                    "visible": round(float(scene.visible[k]), 3),
                }
            )
    return {
        "info": {"description": f"boxwright scenes, {split}, seed {seed}"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
    }
