"""A reader that is open while a writer writes gets its version whole, or is told that it is gone. Real processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fintech_toolkit as ft
from fintech_toolkit.engines.dask.versions import LOCK, POINTER

ROWS = 1_000


def numbered(number: int, rows: int = ROWS, symbols: int = 40) -> pd.DataFrame:
    """Rows that all say of which version they are; every version has a symbol that no other has."""
    names = [f"S{k:02d}" for k in range(symbols - 1)] + [f"only {number}"]
    return pd.DataFrame(
        {
            "symbol": [names[k % symbols] for k in range(rows)],
            "ts": pd.to_datetime(np.arange(rows), unit="s", utc=True),
            "version": number,
        }
    )


def check_whole(frame: pd.DataFrame, number: int) -> None:
    assert len(frame) == ROWS
    assert set(frame["version"]) == {number}
    assert set(frame["symbol"]) == set(numbered(number)["symbol"])
    assert set(frame["symbol"].cat.categories) == set(frame["symbol"])


def read(path: Path) -> pd.DataFrame:
    return ft.read_partitioned(path).compute(scheduler="sync")  # type: ignore[no-any-return]


HEAD = """
import os, sys, pandas as pd, dask.dataframe as dd, fintech_toolkit as ft
from tests.engines.test_datasets import numbered
path = sys.argv[1]
"""


def program(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process; it says what it does, line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = program(code, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def test_a_reader_keeps_its_version_or_says_that_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=4)
    lazy = [ft.read_partitioned(path)]
    for number in (1, 2):
        ft.write_partitioned(numbered(number), path, npartitions=3, overwrite=True)
        lazy.append(ft.read_partitioned(path))
        check_whole(lazy[number].compute(scheduler="sync"), number)
        check_whole(lazy[number - 1].compute(scheduler="sync"), number - 1)
        assert len(folders(path)) == 2
    with pytest.raises(ft.DataError, match=r"version .* is gone; .* read_partitioned again"):
        lazy[0].compute(scheduler="sync")
    assert lazy[0]._name != lazy[1]._name != lazy[2]._name
    again = ft.read_partitioned(path)
    assert again._name == lazy[2]._name
    assert list(again["symbol"].cat.categories) == sorted(set(numbered(2)["symbol"]))


def test_a_reader_that_has_begun_gets_all_rows_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=4)
    begun = [0]

    def overwrite_twice(part: pd.DataFrame) -> pd.DataFrame:
        begun[0] += 1
        for number in (1, 2):
            ft.write_partitioned(numbered(number), path, npartitions=4, overwrite=True)
        return part

    lazy = ft.read_partitioned(path)
    with pytest.raises(ft.DataError, match="is gone"):
        lazy.map_partitions(overwrite_twice, meta=lazy._meta).compute(scheduler="sync")
    assert begun == [1]


def test_reading_while_another_process_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=5)
    code = """
for number in range(1, 40):
    ft.write_partitioned(numbered(number), path, npartitions=5, overwrite=True)
    print(number, flush=True)
"""
    seen, gone = set(), 0
    with running(code, path) as writer:
        while writer.poll() is None:
            try:
                frame = read(path)
            except ft.DataError as error:
                assert "is gone" in str(error)  # noqa: PT017
                gone += 1
                continue
            (number,) = set(frame["version"])
            check_whole(frame, number)
            seen.add(number)
        assert writer.returncode == 0, writer.stdout.read()  # type: ignore[union-attr]
    check_whole(read(path), 39)
    assert len(seen) > 2
    assert len(folders(path)) == 2


def stuck_writer(path: Path) -> Any:
    """A process in the middle of writing: one file is there, the next one waits for what never comes."""
    code = """
import dask

begun = []

def part(number, columns=None):
    begun.append(number)
    if len(begun) == 2:
        print("writing", flush=True)
        sys.stdin.read()
    frame = numbered(7)
    return frame[frame["symbol"] == ("S01" if number else "S00")]

part.partitioned_by = "symbol"
dask.config.set(scheduler="sync")
ddf = dd.from_map(part, range(2), meta=numbered(7).iloc[:0])
ft.write_partitioned(ddf, path, overwrite=True)
"""
    return running(code, path)


@pytest.mark.parametrize("before", ["a data set", "nothing"])
def test_a_writer_that_is_killed_leaves_the_old_version(before: str, tmp_path: Path) -> None:
    path = tmp_path / "set"
    if before == "a data set":
        ft.write_partitioned(numbered(0), path, npartitions=3)
    mine = []
    with stuck_writer(path) as writer:
        assert writer.stdout.readline() == "writing\n"
        until(lambda: [*path.glob("*/data/part-*.parquet")])
        for overwrite in (True, False):
            with pytest.raises(ft.DataError, match=r"being written by another process|already there"):
                ft.write_partitioned(numbered(1), path, overwrite=overwrite)
        if before == "a data set":
            check_whole(read(path), 0)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    if before == "a data set":
        check_whole(read(path), 0)
    else:
        with pytest.raises(ft.DataError, match="not written by write_partitioned"):
            ft.read_partitioned(path)
    left = [name for name in folders(path) if not (path / name / "manifest.json").exists()]
    assert len(left) == 1
    if before == "a data set":
        mine = [path / "notes.txt", path / left[0] / "data" / "mine.parquet", path / "old" / "part-00000.parquet"]
        mine[2].parent.mkdir()
        for file in mine:
            file.write_text("mine")
    ft.write_partitioned(numbered(2), path, npartitions=3, overwrite=before == "a data set")
    check_whole(read(path), 2)
    assert [file.read_text() for file in mine] == ["mine"] * len(mine)
    assert [entry.name for entry in path.glob("*/data/*") if left[0] in entry.parts] == ["mine.parquet"] * bool(mine)
    assert (path / left[0]).exists() == bool(mine)
    assert not (path / LOCK).exists()


def test_a_writer_that_dies_as_the_pointer_moves(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path)
    code = """
real = os.replace
def replace(source, target):
    if str(target).endswith("_fintech_toolkit.json"):
        os.kill(os.getpid(), 9)
    real(source, target)
os.replace = replace
ft.write_partitioned(numbered(1), path, overwrite=True)
"""
    with running(code, path) as writer:
        assert writer.wait() == -signal.SIGKILL
    check_whole(read(path), 0)
    assert [*path.glob(f".{POINTER}.*")]
    ft.write_partitioned(numbered(2), path, overwrite=True)
    check_whole(read(path), 2)
    assert sorted(entry.name[:9] for entry in path.iterdir()) == ["_fintech_", "_version-", "_version-"]


def test_of_writers_at_once_each_wins_whole_or_is_told(tmp_path: Path) -> None:
    path = tmp_path / "set"
    code = """
print("ready", flush=True)
sys.stdin.readline()
try:
    ft.write_partitioned(numbered(int(sys.argv[2])), path, npartitions=20, overwrite=True)
    print("won")
except ft.DataError as error:
    print(error)
"""
    writers = [program(code, path, number) for number in range(4)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"  # type: ignore[union-attr]
        for writer in writers:
            writer.stdin.write("\n")  # type: ignore[union-attr]
            writer.stdin.flush()  # type: ignore[union-attr]
        said = [writer.communicate()[0].strip() for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    won = [number for number, text in enumerate(said) if text == "won"]
    assert won
    assert all(text == "won" or "being written by another process" in text for text in said), said
    (number,) = set(read(path)["version"])
    assert number in won
    check_whole(read(path), number)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path)
    code = """
import resource
run = ft.Pipeline(ft.midprice()).start()
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))  # no file may be longer
for write in (
    lambda: ft.write_partitioned(numbered(1, 100_000), path, overwrite=True),
    lambda: ft.write_partitioned(dd.from_pandas(numbered(1, 100_000), npartitions=3), path, overwrite=True),
    lambda: ft.write_partitioned(numbered(1, 100_000), path + " new"),
):
    try:
        write()
    except OSError as error:
        print(error.errno, flush=True)
"""
    with running(code, path) as writer:
        said, _ = writer.communicate()
    assert said.split() == ["27"] * 3  # EFBIG
    check_whole(read(path), 0)
    assert len([*path.rglob("*")]) == 7  # pointer, version, data, one file, what is known of it
    assert os.listdir(tmp_path) == ["set"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path)
    path.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # whom permissions bind
    try:
        for target in (path, tmp_path / "new"):
            with pytest.raises(PermissionError, match=str(tmp_path)):
                ft.write_partitioned(numbered(1), target, overwrite=True)
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o755)
    check_whole(read(path), 0)


def test_all_is_on_the_disk_before_the_pointer_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def renamed(source: Any, target: Any) -> None:
        done.append(("move", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    path = tmp_path / "set"
    ft.write_partitioned(numbered(0), path, npartitions=2)
    moved = done.index(("move", str(path / POINTER)))
    (version,) = path.glob("_version-*")
    for folder in (version / "data", version, path):
        assert ("sync", str(folder)) in done[:moved]
    files = [file for file in version.rglob("*") if file.is_file()]
    assert len(files) == 5
    for file in files:
        place = done.index(("move", str(file)))
        assert place < moved
        assert done[place - 1][0] == "sync"  # what it was called when it was written aside
        assert Path(done[place - 1][1]).name.startswith(f".{file.name}.")
    assert done[moved - 1][0] == "sync"
    assert done[moved + 1] == ("sync", str(path))
