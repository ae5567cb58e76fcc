from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from boxwright.data import open_dataset
from boxwright.data.records import Dataset
from boxwright.data.scenes import write_scenes
from boxwright.errors import InputError
from boxwright.images import read_image
from boxwright.regions import dataset as module
from boxwright.regions.dataset import Found, propose
from boxwright.regions.proposals import Proposals
from boxwright.regions.source import SelectiveSearch, Windows, from_dict, to_dict

COARSE = Windows(sides=(0.5,), ratios=(1.0,), stride=0.5)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "data", train=7, val=2, test=0, size=(160, 180))


@pytest.fixture
def train(scenes: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(module, "PART", 2)
    return open_dataset(scenes, "train")


class Seen:
    """Notes which images are searched, and fails after some if told to."""

    def __init__(self, until: int | None = None) -> None:
        self.images: list[str] = []
        self.until = until

    def __call__(self, items: Iterable[Found], what: str, total: int) -> Iterator[Found]:
        for item in items:
            if self.until is not None and len(self.images) == self.until:
                raise KeyboardInterrupt
            self.images.append(item.image)
            yield item


def test_every_image_has_its_regions(train: Dataset, tmp_path: Path) -> None:
    search = SelectiveSearch("single", count=20, side=80)
    found, troubles = propose(train, search, tmp_path / "p.npz", jobs=2)
    assert troubles == ()
    assert len(found) == len(train) == 7
    assert found.settings == to_dict(search)
    for sample in train:
        image = read_image(sample.path)
        np.testing.assert_array_equal(found.boxes(sample.path, image.shape[:2]), search(image))
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_stopped_it_goes_on_and_ends_the_same(train: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    with pytest.raises(KeyboardInterrupt):
        propose(train, COARSE, out, jobs=1, watch=Seen(until=5))
    assert not out.exists()
    seen = Seen()
    propose(train, COARSE, out, watch=seen)
    assert len(seen.images) == 2  # the fifth, of a part that was not full, is kept too
    propose(train, COARSE, tmp_path / "whole.npz", jobs=1)
    assert out.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    again = Seen()
    propose(train, COARSE, out, watch=again)
    assert not again.images


def test_killed_it_goes_on(scenes: Path, tmp_path: Path) -> None:
    script = """if True:
        import os, signal, sys
        from pathlib import Path
        from boxwright.data import open_dataset
        from boxwright.regions import dataset
        from boxwright.regions.source import Windows
        dataset.PART = 2
        def watch(items, what, total):
            for i, item in enumerate(items):
                if i == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield item
        source = Windows(sides=(0.5,), ratios=(1.0,), stride=0.5)
        dataset.propose(open_dataset(sys.argv[1], "train"), source, Path(sys.argv[2]), jobs=1, watch=watch)
    """
    done = subprocess.run([sys.executable, "-c", script, str(scenes), str(tmp_path / "p.npz")])
    assert done.returncode == -signal.SIGKILL
    seen = Seen()
    found, _ = propose(open_dataset(scenes, "train"), COARSE, tmp_path / "p.npz", watch=seen)
    assert len(seen.images) == 3
    assert len(found) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_a_second_split_is_added(train: Dataset, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    propose(train, COARSE, out)
    found, _ = propose(open_dataset(scenes, "val"), COARSE, out)
    assert len(found) == 9
    seen = Seen()
    propose(train, COARSE, out, watch=seen)
    assert not seen.images
    assert len(Proposals.open(out)) == 9


def test_other_settings_are_refused_and_nothing_is_lost(train: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    propose(train, COARSE, out)
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"p\.npz: was found in another way \(kind Windows.*--overwrite"):
        propose(train, Windows(), out)
    assert out.read_bytes() == before
    found, _ = propose(train, Windows(), out, overwrite=True)
    assert from_dict(found.settings) == Windows()


def test_a_damaged_part_is_named_and_the_others_stay(train: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    with pytest.raises(KeyboardInterrupt):
        propose(train, COARSE, out, jobs=1, watch=Seen(until=6))
    first, *others = sorted((tmp_path / "p.npz.parts").glob("*.npz"))
    assert len(others) == 2
    first.write_bytes(first.read_bytes()[:300])
    with pytest.raises(InputError, match=rf"{first.name}: is damaged or no file of proposals.*; delete it"):
        propose(train, COARSE, out)
    first.unlink()
    seen = Seen()
    found, _ = propose(train, COARSE, out, watch=seen)
    assert (len(seen.images), len(found)) == (3, 7)


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_is_named_and_nothing_is_lost(train: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "p.npz"
    part = tmp_path / "size.npz"
    propose(train.subset([0, 1]), Windows(), part)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (2 * part.stat().st_size, hard)
    )  # parts fit, the whole does not
    try:
        with pytest.raises(InputError, match=r"p\.npz: the disk is full; free some space"):
            propose(train, Windows(), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not out.exists()
    seen = Seen()
    found, _ = propose(train, Windows(), out, watch=seen)
    assert (len(seen.images), len(found)) == (1, 7)


def test_unreadable_images_are_left_out_and_named(scenes: Path, tmp_path: Path) -> None:
    data = open_dataset(scenes, "train")
    content = data[1].path.read_bytes()
    try:
        data[1].path.write_bytes(content[:100])
        found, troubles = propose(data, COARSE, tmp_path / "p.npz")
    finally:
        data[1].path.write_bytes(content)
    assert len(found) == 6
    assert data[1].path not in found
    assert len(troubles) == 1
    assert troubles[0].startswith(str(data[1].path))
    # Mended, it is added.
    found, troubles = propose(data, COARSE, tmp_path / "p.npz")
    assert (len(found), troubles) == (7, ())
