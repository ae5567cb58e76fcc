"""Features on Spark equal those of one machine, and survive what jobs meet."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark import cloudpickle
from pyspark.sql import SparkSession

from boxwright.cluster.extractor import Extractor
from boxwright.cluster.features import extract
from boxwright.cluster.pictures import list_pictures
from boxwright.cluster.table import read_table
from boxwright.errors import InputError
from boxwright.spark import features
from boxwright.spark.features import extract_features
from boxwright.spark.work import Done, Network, Pace

from .pictures import ODD, photograph, photographs

SMALL = Pace(task=3, tasks=2)

# Spark's workers cannot import tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(
    spark: SparkSession, graph: bytes, images: Path, out: Path, pace: Pace = SMALL
) -> tuple[pd.DataFrame, Done]:
    table, done = extract_features(
        spark, graph, str(images), str(out), batch=4, pace=pace, watch=lambda *_: None
    )
    return table.rows().toPandas().sort_values("path", ignore_index=True), done


def matrix(rows: pd.DataFrame) -> np.ndarray:
    return np.stack(list(rows.feature)).astype(np.float32)


def test_it_is_what_one_machine_makes(spark: SparkSession, graph: bytes, tmp_path: Path) -> None:
    images = photographs(tmp_path / "images", 9)
    for seed, name in enumerate(ODD, 100):
        photograph(images / name, seed)
    (images / "bad.jpg").write_bytes(b"no image")
    (images / "empty.png").write_bytes(b"")
    whole = photograph(images / "cut.jpg", 200).read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "_cut.jpg").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(images / "pipe.jpg")
    photograph(images / "a.jpg", 9).rename(os.fsdecode(os.fsencode(images) + b"/\xff.jpg"))

    rows, done = run(spark, graph, images, tmp_path / "out")
    alone = extract(list_pictures(images), Extractor(graph, threads=1), tmp_path / "alone.parquet")

    table = read_table(alone.table)
    assert list(rows.path) == list(table.paths)
    np.testing.assert_array_equal(matrix(rows), table.features)
    one = pd.read_parquet(alone.table)
    columns = ["path", "length", "modified", "height", "width"]
    pd.testing.assert_frame_equal(rows[columns], one[columns], check_dtype=False)
    assert [path for path, _ in done.unreadable] == sorted(one.path for one in alone.skipped)
    assert dict(done.unreadable) == {one.path: one.reason for one in alone.skipped}
    assert done.images == len(rows) + 6
    # Any reader of Parquet finds the rows, without knowing of waves.
    assert set(pd.read_parquet(tmp_path / "out/features").path) == set(rows.path)
    assert set(pd.read_parquet(tmp_path / "out/unreadable").path) == {path for path, _ in done.unreadable}
    again, then = run(spark, graph, images, tmp_path / "out")
    assert (then.before, len(again), then.unreadable) == (done.images, len(rows), done.unreadable)


def test_what_cannot_be_opened_is_told_and_tried_again(
    spark: SparkSession, graph: bytes, tmp_path: Path
) -> None:
    images = photographs(tmp_path / "images", 3)
    (images / "nowhere.jpg").symlink_to("not-there")
    for _ in range(2):
        rows, done = run(spark, graph, images, tmp_path / "out")
        assert len(rows) == 3
        assert done.unreadable == (("nowhere.jpg", "no such file"),)
    photograph(images / "there.png", 7).rename(images / "not-there")
    rows, done = run(spark, graph, images, tmp_path / "out")
    assert len(rows) == 4 and not done.unreadable


class Counting:
    """Writes the first pixel of each image that it sees into a file."""

    def __init__(self, file: Path, stop_at: int | None = None) -> None:
        self.file, self.stop_at = file, stop_at

    def __call__(self, shared: Any) -> Network:
        # By name, in the worker: here that name means this object.
        from boxwright.spark.features import _open

        network = _open(shared)

        def counted(images: Any) -> Any:
            with self.file.open("a") as file:
                file.writelines(f"{image[0, 0].tolist()}\n" for image in images)
            seen = len(self.file.read_text().splitlines())
            if self.stop_at is not None and seen >= self.stop_at:
                raise RuntimeError("pulled the plug")
            return network(images)

        return counted


OPEN = features._open


def test_only_what_is_new_is_done(
    spark: SparkSession, graph: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, seen = photographs(tmp_path / "images", 8), tmp_path / "seen"
    monkeypatch.setattr(features, "_open", Counting(seen))
    run(spark, graph, images, tmp_path / "out")
    assert len(seen.read_text().splitlines()) == 8, "each image is seen once"
    before, done = run(spark, graph, images, tmp_path / "out")
    assert done.before == 8
    assert len(seen.read_text().splitlines()) == 8

    photograph(images / "new.jpg", 50)
    photograph(images / "even/000.jpg", 51)
    later = (images / "even/000.jpg").stat().st_mtime + 5
    os.utime(images / "even/000.jpg", (later, later))
    (images / "odd/001.jpg").unlink()
    after, done = run(spark, graph, images, tmp_path / "out")
    assert done.before == 6
    assert len(seen.read_text().splitlines()) == 10
    assert sorted(after.path) == sorted({*before.path, "new.jpg"} - {"odd/001.jpg"})
    both = before.merge(after, on="path", suffixes=("_before", "_after"))
    changed = [(a != b).any() for a, b in zip(both.feature_before, both.feature_after, strict=True)]
    assert list(both.path[changed]) == ["even/000.jpg"]


def test_a_run_that_fails_is_gone_on_with(
    spark: SparkSession, graph: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, seen = photographs(tmp_path / "images", 30), tmp_path / "seen"
    monkeypatch.setattr(features, "_open", Counting(seen, stop_at=20))
    with pytest.raises(Exception, match="pulled the plug"):
        run(spark, graph, images, tmp_path / "out")
    monkeypatch.setattr(features, "_open", OPEN)
    rows, done = run(spark, graph, images, tmp_path / "out")
    assert 0 < done.before < 20, "whole waves stay, and nothing of the one that failed"
    assert len(rows) == rows.path.nunique() == 30
    whole, _ = run(spark, graph, images, tmp_path / "whole")
    np.testing.assert_array_equal(matrix(rows), matrix(whole))


def test_a_wave_that_was_not_placed_counts_for_nothing(
    spark: SparkSession, graph: bytes, tmp_path: Path
) -> None:
    images = photographs(tmp_path / "images", 8)
    rows, _ = run(spark, graph, images, tmp_path / "out")
    wave = next((tmp_path / "out/features").iterdir())
    # As if the driver had been killed before it gave the wave its place.
    (tmp_path / "out/staging-00000000").mkdir()
    wave.rename(tmp_path / "out/staging-00000000/kind=features")
    again, done = run(spark, graph, images, tmp_path / "out")
    assert done.before < 8
    assert list(again.path) == list(rows.path)
    np.testing.assert_array_equal(matrix(again), matrix(rows))
    assert not list((tmp_path / "out").glob("staging-*"))


def test_a_folder_of_something_else_is_refused(spark: SparkSession, graph: bytes, tmp_path: Path) -> None:
    images = photographs(tmp_path / "images", 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(InputError, match="was not made by this job"):
        run(spark, graph, images, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    run(spark, graph, images, tmp_path / "out")
    with pytest.raises(InputError, match="was made with another images"):
        run(spark, graph, images / "even", tmp_path / "out")
    with pytest.raises(InputError, match="no images in this folder"):
        run(spark, graph, tmp_path / "mine", tmp_path / "none")


def test_progress_only_rises(spark: SparkSession, graph: bytes, tmp_path: Path) -> None:
    images, told = photographs(tmp_path / "images", 14), []
    watch = partial(lambda done, total, rate: told.append((done, total)))
    extract_features(spark, graph, str(images), str(tmp_path / "out"), batch=4, pace=SMALL, watch=watch)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (14, 14)
    assert {total for _, total in told} == {14}
