"""A table of features is the same however the work was cut, stopped, killed or taken up again."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from boxwright.cluster import features
from boxwright.cluster.extractor import Extractor, build_graph
from boxwright.cluster.features import Pace, Seen, extract
from boxwright.cluster.pictures import list_pictures
from boxwright.cluster.table import read_table
from boxwright.errors import InputError
from boxwright.images import read_image
from cluster.conftest import SIDE, picture

Watch = Callable[[Iterable[Seen], str, int], Iterator[Seen]]


def stopping(after: int) -> Watch:
    """Somebody who presses Ctrl-C when so many images are done."""

    def watch(items: Iterable[Seen], what: str, total: int) -> Iterator[Seen]:
        for number, item in enumerate(items):
            if number == after:
                raise KeyboardInterrupt
            yield item

    return watch


@pytest.fixture
def undisturbed(folder: Path, extractor: Extractor, tmp_path: Path) -> Path:
    extract(list_pictures(folder), extractor, tmp_path / "undisturbed.parquet")
    return tmp_path / "undisturbed.parquet"


def test_every_image_has_its_features(folder: Path, extractor: Extractor, undisturbed: Path) -> None:
    table = read_table(undisturbed)
    assert table.paths == tuple(sorted(f"kind{number % 3}/{number}.png" for number in range(9)))
    for path, found in zip(table.paths, table.features, strict=True):
        own = extractor.run(extractor.prepare(read_image(folder / path))[None])[0]
        np.testing.assert_array_equal(found, own)
    assert len(np.unique(table.features, axis=0)) == 9


@pytest.mark.parametrize(("batch", "jobs"), [(1, 1), (2, 3), (100, 1)])
def test_neither_batch_nor_jobs_matter(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path, batch: int, jobs: int
) -> None:
    extract(list_pictures(folder), extractor, tmp_path / "a.parquet", Pace(batch, jobs))
    assert (tmp_path / "a.parquet").read_bytes() == undisturbed.read_bytes()


@pytest.mark.parametrize("stops", [[0], [4], [2, 3, 1], [8, 0]])
@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_stopped_and_taken_up_it_ends_as_if_undisturbed(
    folder: Path,
    extractor: Extractor,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stops: list[int],
    seconds: float,
) -> None:
    monkeypatch.setattr(features, "SECONDS", seconds)
    out, pictures = tmp_path / "a.parquet", list_pictures(folder)
    for after in stops:
        with pytest.raises(KeyboardInterrupt):
            extract(pictures, extractor, out, Pace(batch=2), watch=stopping(after))
        assert not out.exists()
    done = extract(pictures, extractor, out, Pace(batch=2))
    assert done.computed == 9 - sum(stops)
    assert out.read_bytes() == undisturbed.read_bytes()
    assert not list(tmp_path.glob("a.parquet.parts"))
    again = extract(pictures, extractor, out)
    assert (again.computed, again.images) == (0, 9)


def test_killed_in_mid_job(
    folder: Path, graph: bytes, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "graph.onnx").write_bytes(graph)
    script = (
        "import sys, time; from pathlib import Path; from boxwright.cluster import features as f\n"
        "from boxwright.cluster.extractor import Extractor\n"
        "from boxwright.cluster.pictures import list_pictures\n"
        "f.SECONDS = 0.0\n"
        "def watch(items, what, total):\n"
        "    for item in items:\n"
        "        yield item\n"
        "        print(item.path, flush=True); time.sleep(.2)\n"
        "f.extract(list_pictures(Path(sys.argv[1])), Extractor('graph.onnx', 1), Path('a.parquet'), watch=watch)"
    )
    line = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        seen = [job.stdout.readline() for _ in range(4)]
        job.send_signal(signal.SIGKILL)
    assert all(seen)
    assert job.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.parquet").exists()
    done = extract(list_pictures(folder), extractor, tmp_path / "a.parquet")
    assert 0 < done.computed <= 5
    assert (tmp_path / "a.parquet").read_bytes() == undisturbed.read_bytes()


def test_a_full_disk_loses_nothing(
    folder: Path, graph: bytes, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "graph.onnx").write_bytes(graph)
    script = (
        "import resource, sys; from pathlib import Path; from boxwright.cluster import features as f\n"
        "from boxwright.cluster.extractor import Extractor\n"
        "from boxwright.cluster.pictures import list_pictures\n"
        "f.SECONDS = 0.0\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "f.extract(list_pictures(Path(sys.argv[1])), Extractor('graph.onnx', 1), Path('a.parquet'))"
    )
    # Enough for a part of one image, too little for the whole table: the kernel's EFBIG is as good as a full disk.
    part = 4000
    assert undisturbed.stat().st_size > part
    line = [sys.executable, "-c", script, str(folder), str(part)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert "FullDiskError: a.parquet: the disk is full" in done.stderr
    assert not (tmp_path / "a.parquet").exists()
    assert not list(tmp_path.rglob("*.part"))
    assert len(list((tmp_path / "a.parquet.parts").glob("*.parquet"))) == 9
    after = extract(list_pictures(folder), extractor, tmp_path / "a.parquet")
    assert after.computed == 0
    assert (tmp_path / "a.parquet").read_bytes() == undisturbed.read_bytes()


def test_adding_images_changes_no_other(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    before = read_table(undisturbed)
    for number in (20, 21, 22):
        picture(folder / "kind0" / f"{number}.png", number)
    done = extract(list_pictures(folder), extractor, undisturbed)
    assert (done.computed, done.images) == (3, 12)
    after = read_table(undisturbed)
    places = [after.paths.index(path) for path in before.paths]
    np.testing.assert_array_equal(after.features[places], before.features)
    extract(list_pictures(folder), extractor, tmp_path / "at once.parquet")
    assert undisturbed.read_bytes() == (tmp_path / "at once.parquet").read_bytes()


def test_what_changed_is_done_anew_and_what_is_gone_leaves(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    before = read_table(undisturbed)
    changed = picture(folder / "kind1/4.png", 99, (30, 30))
    os.utime(changed, ns=(10**18, 10**18))
    (folder / "kind2/8.png").unlink()
    done = extract(list_pictures(folder), extractor, undisturbed)
    assert (done.computed, done.images) == (1, 8)
    after = read_table(undisturbed)
    assert set(before.paths) - set(after.paths) == {"kind2/8.png"}
    unlike = [
        path
        for path, feature in zip(after.paths, after.features, strict=True)
        if (feature != before.features[before.paths.index(path)]).any()
    ]
    assert unlike == ["kind1/4.png"]


def test_a_folder_that_was_moved_is_not_done_anew(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    done = extract(list_pictures(tmp_path / "elsewhere"), extractor, undisturbed)
    assert done.computed == 0
    assert read_table(undisturbed).described.root == str(tmp_path / "elsewhere")


def huge_header() -> bytes:
    """A PNG that says it has 10^10 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def test_images_that_cannot_be_read_are_listed(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    whole = (folder / "kind0/0.png").read_bytes()
    bad = {
        "empty.png": b"",
        "truncated.png": whole[: len(whole) // 2],
        "text.jpg": b"not a picture",
        "huge.png": huge_header(),
        "random.jpg": b"\xff\xd8\xff\xe0" + np.random.default_rng(0).bytes(200),
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "nowhere.png").symlink_to(folder / "missing.png")
    out = tmp_path / "a.parquet"
    for _ in range(2):  # again: none of them is taken for done
        done = extract(list_pictures(folder), extractor, out, Pace(batch=2))
        assert {one.path for one in done.skipped} == {*bad, "nowhere.png"}
        assert done.images == 9
    assert read_table(out).paths == read_table(undisturbed).paths
    np.testing.assert_array_equal(read_table(out).features, read_table(undisturbed).features)
    with (tmp_path / "a.skipped.csv").open() as file:
        lines = {line["path"]: line["reason"] for line in csv.DictReader(file)}
    assert set(lines) == {*bad, "nowhere.png"}
    assert "empty" in lines["empty.png"]
    assert "truncated" in lines["truncated.png"]
    assert "too large" in lines["huge.png"]
    assert "no such file" in lines["nowhere.png"]
    for name in lines:
        (folder / name).unlink()
    assert not extract(list_pictures(folder), extractor, out).skipped
    assert not (tmp_path / "a.skipped.csv").exists()


def test_a_name_that_is_no_text(folder: Path, extractor: Extractor, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"\xff.png")).write_bytes((folder / "kind0/0.png").read_bytes())
    done = extract(list_pictures(folder), extractor, tmp_path / "a.parquet")
    assert [one.reason for one in done.skipped] == ["its name is not UTF-8; rename it"]
    assert done.images == 9


def test_another_table_is_never_mixed_in(
    folder: Path, extractor: Extractor, undisturbed: Path, tmp_path: Path
) -> None:
    content = undisturbed.read_bytes()
    other = Extractor(build_graph("vgg11", "conv1", "max", SIDE, "none"), 1)
    with pytest.raises(
        InputError, match=r"undisturbed\.parquet: was made with other settings \(pool mean, tap conv2\)"
    ):
        extract(list_pictures(folder), other, undisturbed)
    picture(tmp_path / "others/a.png", 1)
    with pytest.raises(InputError, match="holds features of other images"):
        extract(list_pictures(tmp_path / "others"), extractor, undisturbed)
    assert undisturbed.read_bytes() == content
    extract(list_pictures(folder), other, undisturbed, overwrite=True)
    assert read_table(undisturbed).features.shape == (9, 64)


def test_a_stopped_job_is_not_taken_up_with_other_settings(
    folder: Path, extractor: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(list_pictures(folder), extractor, tmp_path / "a.parquet", watch=stopping(3))
    other = Extractor(build_graph("vgg11", "conv1", "mean", SIDE, "none"), 1)
    with pytest.raises(InputError, match=r"was made with other settings \(tap conv2\)"):
        extract(list_pictures(folder), other, tmp_path / "a.parquet")
