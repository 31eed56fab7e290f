"""The folder of a data set: what is removed from it and what never, who else reads it, what is damaged."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import dask
import dask.dataframe as dd
import pandas as pd
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.partitions import write_partitioned
from fintech_toolkit.engines.dask.versions import POINTER, new_version
from tests.engines.test_datasets import ROWS, check_whole, numbered, read
from tests.frames import same


def test_only_what_was_written_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=2)
    (first,) = path.glob("_version-*")
    mine = [path / "README.md", path / "part-00000.parquet", first / "data" / "extra.csv", first / ".hidden"]
    for file in mine:
        file.write_text("mine")
    for number in (1, 2, 3):
        ft.write_partitioned(numbered(number), path, npartitions=2, overwrite=True)
    assert [file.read_text() for file in mine] == ["mine"] * 4
    assert sorted(file.name for file in first.rglob("*") if file.is_file()) == [".hidden", "extra.csv"]
    check_whole(read(path), 3)


def test_writing_leaves_no_file_open(tmp_path: Path) -> None:
    opened = Path("/proc/self/fd")
    if not opened.exists():
        pytest.skip("only Linux lists what a process has open")
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path)

    def here() -> list[Path]:
        return [target for link in opened.iterdir() if (target := link.resolve()).is_relative_to(tmp_path)]

    ft.write_partitioned(numbered(1), path, overwrite=True)
    assert here() == []


@pytest.mark.parametrize("there", ["a file", "a folder", "a broken pointer", "a pointer of another format"])
def test_what_is_of_others_is_never_replaced(there: str, tmp_path: Path) -> None:
    path = tmp_path / "set"
    if there == "a file":
        path.write_text("mine")
    else:
        path.mkdir()
        pointer = json.dumps({"format": "another", "version": "_version-" + "0" * 32, "previous": None})
        text = {"a broken pointer": "{", "a pointer of another format": pointer}.get(there, "mine")
        (path / (POINTER if "pointer" in there else "mine.txt")).write_text(text)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for overwrite in (False, True):
        with pytest.raises(ft.DataError, match="not a data set of write_partitioned"):
            ft.write_partitioned(numbered(1), path, overwrite=overwrite)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_failed_write_leaves_the_old_version_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path)
    before = sorted(path.rglob("*"))
    wrong = numbered(1)
    wrong.loc[500, "symbol"] = None
    with dask.config.set(scheduler="sync"):
        for frame in (wrong, dd.from_pandas(wrong, npartitions=2)):
            with pytest.raises(ft.DataError, match="no symbol"):
                ft.write_partitioned(frame, path, overwrite=True)
    assert sorted(path.rglob("*")) == before
    ft.write_partitioned(numbered(2), path, overwrite=True)
    check_whole(read(path), 2)


def test_written_from_itself(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=3)
    with dask.config.set({"scheduler": "sync", "dataframe.shuffle.method": "tasks"}):
        for npartitions in (None, 2, None):
            ddf = ft.read_partitioned(path)
            ft.write_partitioned(ddf.assign(version=ddf["version"] + 1), path, npartitions=npartitions, overwrite=True)
    (number,) = set(read(path)["version"])
    assert number == 3
    assert len(read(path)) == ROWS


def test_other_tools_read_the_data_of_a_version(tmp_path: Path) -> None:
    path = tmp_path / "set"
    for number in (0, 1):
        ft.write_partitioned(numbered(number), path, npartitions=3, overwrite=True)
    data = path / json.loads((path / POINTER).read_text())["version"] / "data"
    expected = read(path).astype({"symbol": "str"})
    for got in (pd.read_parquet(data), dd.read_parquet(data).compute(scheduler="sync")):
        plain = got.astype({"symbol": "str"}).reset_index(drop=True)
        same(plain, expected.reset_index(drop=True))
    polars = pytest.importorskip("polars", reason="peers of benchmarks: pip install -e '.[bench]'")
    assert polars.read_parquet(data)["version"].to_list() == [1] * ROWS


DAMAGE = ["manifest.json", "columns.arrow", "data/part-00001.parquet"]


@pytest.mark.parametrize("how", ["cut", "gone"])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_version_is_refused(name: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=3)
    file = next(path.glob("_version-*")) / name
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    else:
        file.unlink()
    with pytest.raises(ft.DataError, match=r"is damaged|is missing|is gone"):
        read(path)


def test_a_url_is_refused(tmp_path: Path) -> None:
    for call in (lambda: ft.read_partitioned("s3://b/k"), lambda: ft.write_partitioned(numbered(0), "s3://b/k")):
        with pytest.raises(ft.DataError, match="object stores"):
            call()
    assert not Path("s3:").exists()


def test_a_home_folder_and_one_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ft.write_partitioned(numbered(0), "~/a/b/set")
    check_whole(read(tmp_path / "a" / "b" / "set"), 0)
    monkeypatch.chdir(tmp_path / "a")
    lazy = ft.read_partitioned("b/set")
    monkeypatch.chdir(tmp_path)
    check_whole(lazy.compute(scheduler="sync"), 0)


def test_another_writer_between_the_first_look_and_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has written, and removed the file of the lock that is about to be taken."""
    path = tmp_path / "set"
    lock = fcntl.flock

    def late(handle: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        write_partitioned(numbered(1), path, overwrite=True)
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(ft.DataError, match="already there"):
        write_partitioned(numbered(2), path)
    check_whole(read(path), 1)
    monkeypatch.setattr(fcntl, "flock", late)
    with new_version(path, overwrite=True) as version:
        assert fcntl.flock is lock
        with pytest.raises(ft.DataError, match="being written by another process"):
            write_partitioned(numbered(3), path, overwrite=True)
        assert version.is_dir()


def test_an_empty_folder_stays_when_writing_fails(tmp_path: Path) -> None:
    wrong = numbered(1)
    wrong.loc[0, "ts"] = None
    with pytest.raises(ft.DataError, match="no time"):
        write_partitioned(wrong, tmp_path)
    assert tmp_path.is_dir()
    assert not [*tmp_path.iterdir()]
    write_partitioned(numbered(1), tmp_path)
    check_whole(read(tmp_path), 1)
