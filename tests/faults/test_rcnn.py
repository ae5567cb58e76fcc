"""R-CNN's training killed, out of disk or with damaged files in each of its stages: resumed, it ends as if undisturbed.

The stages are done by the program itself in processes of its own; `forks` says how a fault meets its moment.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.regions.proposals import Proposals, write

from .forks import Ended, Fault, Program

SETTINGS = {
    "train.iterations": 3,
    "train.eval_every": 2,
    "train.batch": 2,
    "train.threads": 1,
    "train.freeze": 5,
    "train.ema": 0,
    "train.save_minutes": 0,  # after every iteration
    "train.amp": "off",
    "model.size": 40,
    "model.longest": 48,
    "model.crop": 32,
    "model.context": 2,
    "model.regions_sampled": 8,
    "model.proposals": 40,
}
STAGES = ("proposals.npz", "finetune/stage.json", "features/*.npz", "svm.npz", "ridge.npz")


def pictures(root: Path, **splits: int) -> None:
    """Pictures with one white square each; `splits` says how many."""
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    for split, count in splits.items():
        images, objects = [], []
        for number in range(count):
            pixels = rng.integers(0, 99, (40, 48, 3), np.uint8)
            x, y = int(rng.integers(0, 28)), int(rng.integers(0, 20))
            pixels[y : y + 20, x : x + 20] = 255
            name = f"{split}{number}.png"
            Image.fromarray(pixels).save(root / name)
            images.append({"id": number, "file_name": name, "width": 48, "height": 40})
            box = {"bbox": [x, y, 20, 20], "area": 400, "iscrowd": 0}
            objects.append({"id": number, "image_id": number, "category_id": 7, **box})
        content = {"images": images, "annotations": objects, "categories": [{"id": 7, "name": "square"}]}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


@dataclass(frozen=True)
class Place:
    """A folder with a data set, and the program that trains on it there."""

    folder: Path
    program: Program

    def train(self, out: str, *more: str, fault: Fault | None = None, **changes: object) -> Ended:
        changed = {**SETTINGS, **{key.replace("__", "."): value for key, value in changes.items()}}
        settings = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
        named = ["--model", "rcnn-efficientnet-lite0", "--workers", "0", "--device", "cpu"]
        return self.program(self.folder, ["train", "data", "--out", out, *named, *settings, *more], fault)

    def finished(self, out: str) -> dict[str, tuple[int, int]]:
        """The files of the stages that are done, and which files they are."""
        root = self.folder / out
        files = [path for pattern in STAGES for path in root.glob(pattern)]
        if (root / "finetune/stage.json").exists():
            files.append(root / "finetune/best.safetensors")
        return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}

    def best(self, out: str) -> bytes:
        return (self.folder / out / "best.safetensors").read_bytes()

    def copy(self, out: str) -> Path:
        """The undisturbed run again, under another name; files are never written in place, so links do."""
        return Path(
            shutil.copytree(self.folder / "whole", self.folder / out, copy_function=os.link)  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("rcnn")
    pictures(folder / "data", train=4, val=1)
    with Program() as program:
        here = Place(folder, program)
        done = here.train("whole")
        assert done.code == 0, done.text
        yield here


def test_killed_in_every_stage_it_goes_on_to_the_bit(place: Place) -> None:
    kills = [
        Fault("KILL", ("renames proposals.npz",)),
        Fault("TERM", ("opens train2.png",)),
        Fault("TERM", ("renames finetune/last.safetensors", "opens train[0-9].png")),
        Fault("KILL", ("renames finetune/best.safetensors",)),
        Fault("KILL", ("writes features/.000001",)),
        Fault("TERM", ("writes features/.000002",)),
        Fault("TERM", ("opens features/000002.npz",)),
        Fault("KILL", ("writes /.ridge.npz",)),
        Fault("TERM", ("renames ridge.npz", "opens val0.png")),
        Fault("KILL", ("renames cut/best.safetensors",)),
    ]
    before: dict[str, tuple[int, int]] = {}
    counts = []
    for number, fault in enumerate(kills):
        stopped = place.train("cut", *["--resume"][:number], fault=fault)
        assert stopped.code == (-9 if fault.what == "KILL" else 3), (fault, stopped.text)
        if fault.what == "TERM":
            assert stopped.text.rstrip().endswith("--resume"), stopped.text
        now = place.finished("cut")
        assert now.items() >= before.items(), fault
        before = now
        counts.append(len(now))
    # Of 10 files of finished stages: proposals, the record and the weights, 4 of features, two judges.
    assert counts == [0, 0, 1, 1, 4, 6, 7, 8, 9, 9]
    ended = place.train("cut", "--resume")
    assert ended.code == 0
    for line in ("fine-tuning is done", "features, machines and ridges are done"):
        assert line in ended.text
    assert place.finished("cut") == before
    assert place.best("cut") == place.best("whole")
    assert not list((place.folder / "cut").rglob("*.part"))


def test_a_full_disk_in_every_stage(place: Place) -> None:
    moments = {
        "start.safetensors": ("writes full/.start.safetensors",),
        "proposals.npz": ("writes full/.proposals.npz",),
        "finetune/best.safetensors": ("writes finetune/.best.safetensors",),
        "features/000001.npz": ("writes features/.000001.npz",),
        "svm.npz": ("writes full/.svm.npz",),
        "ridge.npz": ("writes full/.ridge.npz",),
        "best.safetensors": ("writes full/.best.safetensors",),
    }
    before: dict[str, tuple[int, int]] = {}
    for number, (name, moment) in enumerate(moments.items()):
        ended = place.train("full", *["--resume"][: number - 1], fault=Fault("full", moment))
        assert ended.code == 2, ended.text
        assert "Traceback" not in ended.text
        (line,) = ended.errors
        assert line.startswith("boxwright: full/")
        assert "the disk is full" in line
        if "finetune" not in name:  # there the checkpoint before it is tried as well
            assert f"full/{name}: " in line
        assert not list((place.folder / "full").rglob("*.part"))
        now = place.finished("full")
        assert now.items() >= before.items()
        before = now
    assert place.train("full", "--resume").code == 0
    assert place.finished("full") == before
    assert place.best("full") == place.best("whole")


@dataclass(frozen=True)
class Damage:
    """A file of a finished run that is spoilt, what must be gone for it to be needed, and what is to be deleted."""

    name: str
    gone: tuple[str, ...] = ()
    remove: str = ""


DAMAGES = (
    Damage("proposals.npz"),
    Damage("features/000002.npz", ("svm.npz",)),
    Damage("svm.npz"),
    Damage("ridge.npz"),
    Damage("finetune/stage.json"),
    Damage("finetune/best.safetensors", remove="finetune"),
    Damage("start.safetensors"),
    Damage("seconds.txt"),
)
QUICK = {("features/000002.npz", "one bit"), ("svm.npz", "zeros"), ("finetune/stage.json", "cut short")}
# A bit of a plain text can change what it says and nothing else.
CASES = [
    pytest.param(damage, kind, marks=() if (damage.name, kind) in QUICK else pytest.mark.slow)
    for damage in DAMAGES
    for kind in ("zeros", "cut short", "one bit")
    if kind == "zeros" or not damage.name.endswith(".txt")
    if kind != "one bit" or not damage.name.endswith((".txt", ".json"))
]


@pytest.mark.parametrize(("damage", "kind"), CASES, ids=lambda value: getattr(value, "name", value))
def test_a_damaged_file_is_named_and_nothing_is_lost(place: Place, damage: Damage, kind: str) -> None:
    out = place.copy("damaged")
    try:
        for name in damage.gone:
            (out / name).unlink()
        spoil(out / damage.name, kind)
        before = place.finished("damaged")
        ended = place.train("damaged", "--resume")
        assert ended.code == 2, ended.text
        assert "Traceback" not in ended.text
        (line,) = ended.errors
        assert line.startswith(f"boxwright: damaged/{damage.name}: ")
        target = f"damaged/{damage.remove}" if damage.remove else "it"
        assert f"; delete {target} and " in line
        assert "--resume" in line
        assert place.finished("damaged") == before
        assert place.best("damaged") == place.best("whole")
        # The way out that it names.
        if damage.remove:
            shutil.rmtree(out / damage.remove)
        else:
            (out / damage.name).unlink()
        assert place.train("damaged", "--resume").code == 0
        assert place.best("damaged") == place.best("whole")
        # Beside what was gone only fine-tuning's own end is written again, to the same bytes.
        again = [str(out / name) for name in (*damage.gone, damage.name)]
        kept = {path: which for path, which in before.items() if "finetune" not in path and path not in again}
        assert place.finished("damaged").items() >= kept.items()
    finally:
        shutil.rmtree(out)


def spoil(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    if kind == "cut short":
        content = content[: len(content) // 2]
    elif kind == "zeros":
        content = bytearray(len(content))
    else:
        content[len(content) // 2] ^= 4
    path.unlink()  # it may be a link to another run's
    path.write_bytes(content)


def test_only_the_same_run_goes_on(place: Place) -> None:
    """Other settings, data or regions are refused in one line; where the regions lie does not matter."""
    out = place.copy("same")
    assert "same: holds a run already; --resume, --overwrite or another folder" in place.train("same").text
    told = place.train("same", "--resume", train__lr=0.5).errors
    assert "train.lr was 0.001 in this run and is 0.5 now" in told[0]
    told = place.train("same", "--resume", model__context=3).errors
    assert "model.context was 2 in this run and is 3 now" in told[0]
    annotations = place.folder / "data/annotations/instances_train.json"
    content = annotations.read_text()
    try:
        annotations.write_text(
            content.replace('"area": 400', '"area": 400', 1).replace("20, 20]", "19, 20]", 1)
        )
        told = place.train("same", "--resume").errors
    finally:
        annotations.write_text(content)
    assert "the training images have changed since the run began; begin a new run" in told[0]

    kept = place.finished("same")
    shutil.copy(out / "proposals.npz", place.folder / "elsewhere.npz")
    ended = place.train("same", "--resume", train__proposals="elsewhere.npz")
    assert ended.code == 0, ended.text
    assert place.finished("same") == kept

    # The same search, other boxes: what an older version or another program may have written.
    found = Proposals.open(out / "proposals.npz")
    names, boxes = list(found.images), [found.boxes(name) for name in found.images]
    write(
        place.folder / "others.npz",
        found.settings,
        names,
        [found.size(name) for name in names],
        [boxes[0] * 0.9, *boxes[1:]],
    )
    ended = place.train("same", "--resume", train__proposals="others.npz")
    assert ended.code == 2
    assert "finetune/stage.json: the regions have changed since the run began" in ended.errors[0]
    # Nor are features of other regions taken, or of other weights, where the fine-tuning is made anew.
    (out / "finetune/stage.json").unlink()
    (out / "finetune/last.safetensors").unlink()
    ended = place.train("same", "--resume", train__proposals="others.npz")
    assert ended.code == 2
    assert "same/svm.npz: was trained on features by other weights or of other regions" in ended.errors[0]
    (out / "svm.npz").unlink()
    ended = place.train("same", "--resume", train__proposals="others.npz")
    assert "same/features/000000.npz: was computed by other weights or for other regions" in ended.errors[0]
    assert "delete same/features and train with --resume" in ended.errors[0]


def test_the_judges_may_change(place: Place) -> None:
    place.copy("softmax")
    kept = place.finished("softmax")
    ended = place.train("softmax", "--resume", model__judge="softmax")
    assert ended.code == 0, ended.text
    assert place.finished("softmax") == kept
    assert place.best("softmax") != place.best("whole")
    assert place.train("softmax", "--resume").code == 0
    assert place.best("softmax") == place.best("whole")


@pytest.mark.slow
def test_an_unreadable_image_ends_the_run_or_is_left_out(place: Place) -> None:
    image = place.folder / "data/train1.png"
    content = image.read_bytes()
    image.write_bytes(content[:300])
    try:
        ended = place.train("broken")
        assert ended.code == 2
        assert "train1.png" in ended.errors[0]
        assert "train.bad_images=skip" in ended.errors[0]
        assert not (place.folder / "broken/finetune").exists()  # before hours are spent on the others
        ended = place.train("broken", "--resume", train__bad_images="skip")
        assert ended.code == 0, ended.text
        assert "left out: " in ended.text
        found = sorted(path.name for path in (place.folder / "broken/features").iterdir())
        assert found == ["000000.npz", "000002.npz", "000003.npz"]
    finally:
        image.write_bytes(content)


@pytest.mark.slow
def test_an_overwritten_run_leaves_nothing_behind_but_its_regions(place: Place) -> None:
    out = place.copy("over")
    regions = (out / "proposals.npz").stat()
    fault = Fault("TERM", ("renames finetune/last.safetensors", "opens train[0-9].png"))
    assert place.train("over", "--overwrite", fault=fault, train__seed=1).code == 3
    assert {path.name for path in out.iterdir()} >= {"start.safetensors", "proposals.npz", "finetune"}
    for name in ("best.safetensors", "features", "svm.npz", "ridge.npz", "finetune/stage.json"):
        assert not (out / name).exists(), name
    assert (out / "proposals.npz").stat().st_mtime_ns == regions.st_mtime_ns
    assert place.train("over", "--resume").code == 2  # the seed is another
