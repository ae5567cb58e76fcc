"""The table: what is written is read, damage is told, and how rows were cut leaves no trace."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.cluster.table import (
    Described,
    Row,
    merge,
    read_described,
    read_keys,
    read_table,
    write_rows,
)
from boxwright.errors import InputError

WIDTH = 3
DESCRIBED = Described({"columns": WIDTH, "tap": "conv4"}, "/pictures", {"weights": "none"})


def row(path: str, seed: int = 0) -> Row:
    feature = np.random.default_rng([seed, len(path), *path.encode()]).normal(size=WIDTH)
    return Row(path, 10 + seed, 1000 + seed, (4, 5 + seed), feature.astype(np.float32))


names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=12)


@given(names)
def test_what_is_written_is_read(paths: list[str]) -> None:
    rows = [row(path, number) for number, path in enumerate(paths)]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.parquet"
        write_rows(file, DESCRIBED, rows)
        found = read_table(file)
        assert found.described == DESCRIBED == read_described(file)
        assert list(found.paths) == paths
        assert list(read_keys(file)) == [(one.path, one.length, one.modified) for one in rows]
        np.testing.assert_array_equal(found.features, np.array([r.feature for r in rows]).reshape(-1, WIDTH))
        plain = pq.read_table(file).to_pydict()
        assert plain["width"] == [one.size[1] for one in rows]


@given(names, st.data())
@settings(max_examples=30)
def test_merging_sorts_and_leaves_no_trace_of_parts(paths: list[str], data: st.DataObject) -> None:
    rows = sorted((row(path) for path in paths), key=lambda one: one.path)
    run = [data.draw(st.integers(0, 3)) for _ in rows]  # the run that made each
    with TemporaryDirectory() as name:
        folder = Path(name)
        parts = []
        for number in range(4):
            own = [one for one, made in zip(rows, run, strict=True) if made == number]
            cut = data.draw(st.integers(0, len(own)))
            for at, some in enumerate((own[:cut], own[cut:])):
                parts.append(folder / f"{number}{at}.parquet")
                write_rows(parts[-1], DESCRIBED, some)
        kept = {one.path: (one.length, one.modified) for one in rows}
        merge(folder / "all.parquet", DESCRIBED, parts, kept)
        write_rows(folder / "one.parquet", DESCRIBED, rows)
        merge(folder / "alone.parquet", DESCRIBED, [folder / "one.parquet"], kept)
        assert list(read_table(folder / "all.parquet").paths) == [one.path for one in rows]
        assert (folder / "all.parquet").read_bytes() == (folder / "alone.parquet").read_bytes()


def test_merging_takes_the_rows_that_are_wanted_once_each(tmp_path: Path) -> None:
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    write_rows(old, DESCRIBED, [row("a"), row("b", 1), row("c")])
    write_rows(new, DESCRIBED, [row("b", 2), row("c")])
    merge(old, DESCRIBED, [old, new], {"b": (12, 1002), "c": (10, 1000), "d": (10, 1000)})
    found = read_table(old)
    assert found.paths == ("b", "c")
    np.testing.assert_array_equal(found.features[0], row("b", 2).feature)


def test_row_groups_are_read_and_merged_across_their_borders(tmp_path: Path) -> None:
    rows = [row(f"{number:05d}") for number in range(2500)]
    write_rows(tmp_path / "even.parquet", DESCRIBED, rows[::2])
    write_rows(tmp_path / "odd.parquet", DESCRIBED, rows[1::2])
    kept = {one.path: (one.length, one.modified) for one in rows}
    merge(tmp_path / "all.parquet", DESCRIBED, [tmp_path / "odd.parquet", tmp_path / "even.parquet"], kept)
    found = read_table(tmp_path / "all.parquet")
    assert list(found.paths) == [one.path for one in rows]
    np.testing.assert_array_equal(found.features, np.stack([one.feature for one in rows]))
    groups = pq.ParquetFile(tmp_path / "all.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [1024, 1024, 452]


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=60)
def test_damage_is_told_or_does_no_harm(place: int, bit: int) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.parquet"
        rows = [row(f"{number}") for number in range(40)]
        write_rows(file, DESCRIBED, rows)
        content = bytearray(file.read_bytes())
        content[place % len(content)] ^= 1 << bit
        file.write_bytes(content)
        try:
            found = read_table(file)
        except InputError as error:
            assert str(file) in str(error)
        else:
            np.testing.assert_array_equal(found.features, np.stack([one.feature for one in rows]))


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.parquet: does not exist; make it with boxwright features"):
        read_table(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"b\.parquet: is damaged or no Parquet file"):
        read_table(tmp_path / "b.parquet")
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match=r"c\.parquet: is damaged or no table of features"):
        read_table(tmp_path / "c.parquet")
    table = pa.table({"path": ["a"]}).replace_schema_metadata(DESCRIBED.schema().metadata)
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(InputError, match=r"d\.parquet: is damaged or no table of features"):
        read_table(tmp_path / "d.parquet")
