"""Folders of data: refused, overwritten, interrupted, resumed, and on a disk that is full."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from data_generators import Faults, GeneratorError, sample, write
from data_generators.folder import disk_errors
from tests.stress import dealt

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "data_generators"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False, **options
    )


def run_and_stop(arguments: list[str], folder: Path, after: int, how: int = signal.SIGKILL) -> int:
    """Run a command and stop it when so many partitions are there."""
    process = subprocess.Popen([*COMMAND, *arguments, "--out", str(folder)], env=ENVIRONMENT, stderr=subprocess.PIPE)
    while len(list(folder.glob("part-*"))) < after:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.0005)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive, "workers end with the process that started them"
    return process.returncode


def test_a_killed_run_never_looks_whole_and_goes_on(tmp_path: Path) -> None:
    arguments = ["quotes", "--rows", "1.2e6", "--symbols", "8", "--workers", "2", "--late", "0.001"]
    folder = tmp_path / "killed"
    assert run_and_stop(arguments, folder, after=2) == -signal.SIGKILL
    left = files(folder)
    assert "_manifest.json" not in left
    assert "_plan.json" in left
    kept = {name: (folder / name).stat().st_mtime_ns for name in left if name.startswith("part-")}
    assert 2 <= len(kept) < 5
    again = run([*arguments, "--out", str(folder)])
    assert again.returncode == 0, again.stderr
    assert f"went on from {len(kept)} finished files" in again.stdout
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept, "finished files were not made again"
    straight = tmp_path / "straight"
    write("quotes", straight, 1_200_000, symbols=8, faults=Faults(late=0.001))
    assert files(folder) == files(straight)


def test_ctrl_c_ends_with_one_line_and_keeps_what_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = subprocess.Popen(
        [*COMMAND, "quotes", "--rows", "2.4e7", "--symbols", "8", "--workers", "2", "--out", str(folder)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(folder.glob("part-*")):
        assert process.poll() is None
        time.sleep(0.0005)
    # The terminal sends it to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted: finished files are kept; run the same command again to go on" in err
    assert "wrote" not in out
    assert not (folder / "_manifest.json").exists()
    assert not list(folder.glob("*.tmp"))
    assert all(len(pd.read_parquet(path)) == 240_000 for path in folder.glob("part-*"))


def test_the_same_run_again_has_nothing_to_do(tmp_path: Path) -> None:
    first = write("trades", tmp_path, 1_000, partitions=3)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    done: list[int] = []
    second = write("trades", tmp_path, 1_000, partitions=3, progress=done.append)
    assert (first.found, second.found) == (0, 3)
    assert (second.rows, second.size) == (first.rows, first.size)
    assert sum(done) == 1_000
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_progress_adds_up_to_the_rows(tmp_path: Path) -> None:
    done: list[int] = []
    write("trades", tmp_path, 1_000, partitions=3, progress=done.append)
    assert done == [0, 333, 333, 334]


@pytest.mark.parametrize(
    "other",
    [{"rows": 999}, {"seed": 1}, {"symbols": 9}, {"format": "csv"}, {"partitions": 2}, {"faults": Faults(late=0.1)}],
)
def test_a_folder_with_another_data_set_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    write("trades", tmp_path, 1_000, symbols=8)
    before = files(tmp_path)
    with pytest.raises(GeneratorError, match="holds 1,000 rows of trades with seed 0 as parquet"):
        write("trades", tmp_path, **{"rows": 1_000, "symbols": 8, **other})
    with pytest.raises(GeneratorError, match="holds 1,000 rows of trades"):
        write("quotes", tmp_path, 1_000, symbols=8)
    assert files(tmp_path) == before


def test_a_folder_with_other_files_is_refused_and_overwritten_on_request(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(GeneratorError, match=r"holds other data \(notes.txt\)"):
        write("trades", tmp_path, 10)
    assert files(tmp_path) == {"notes.txt": b"mine"}
    write("trades", tmp_path, 10, overwrite=True)
    assert sorted(files(tmp_path)) == ["_manifest.json", "part-00000.parquet"]
    write("quotes", tmp_path, 10, format="csv", overwrite=True)
    assert sorted(files(tmp_path)) == ["_manifest.json", "part-00000.csv"]


def test_folders_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(GeneratorError, match=r"deep.*--overwrite does not remove"):
        write("trades", tmp_path, 10, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_unfinished_run_of_something_else_is_refused(tmp_path: Path, full_after_two: Path) -> None:
    with pytest.raises(GeneratorError, match="holds an unfinished run of 40,000 rows of trades with seed 0"):
        write("trades", full_after_two, 30_000, symbols=8, partitions=4)
    (full_after_two / "notes.txt").write_text("mine")
    with pytest.raises(GeneratorError, match=r"other data \(notes.txt\) beside an unfinished run"):
        write("trades", full_after_two, 40_000, symbols=8, partitions=4)
    assert (full_after_two / "notes.txt").exists()


@pytest.fixture
def full_after_two(tmp_path: Path) -> Iterator[Path]:
    """A folder in which two of four partitions were finished when the third did not fit (a limit on file size)."""
    folder = tmp_path / "limited"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit_after_two(rows: int) -> None:
        if len(list(folder.glob("part-*"))) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    try:
        with pytest.raises(GeneratorError, match=r"no room left .* make room and run the same command again"):
            write("trades", folder, 40_000, symbols=8, partitions=4, progress=limit_after_two)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    return folder


def test_a_full_disk_leaves_nothing_that_looks_whole_and_the_rerun_goes_on(
    full_after_two: Path, tmp_path: Path
) -> None:
    assert sorted(files(full_after_two)) == ["_plan.json", "part-00000.parquet", "part-00001.parquet"]
    report = write("trades", full_after_two, 40_000, symbols=8, partitions=4)
    assert (report.found, report.partitions) == (2, 4)
    write("trades", tmp_path / "straight", 40_000, symbols=8, partitions=4)
    assert files(full_after_two) == files(tmp_path / "straight")


@pytest.mark.parametrize("format", dealt(["parquet", "csv", "jsonl", "arrow"], 2))
def test_a_full_disk_ends_the_command_with_a_clear_line(tmp_path: Path, format: str) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    # Compiled loops are cached by this first sample: the limit is for the data alone.
    sample("quotes", 10)
    arguments = ["quotes", "--rows", "20000", "--symbols", "8", "--workers", "1"]
    ended = run([*arguments, "--format", format, "--out", str(tmp_path / "full")], preexec_fn=small_files)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "error: no room left for" in ended.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["_plan.json"]


def test_a_disk_that_is_full_for_workers_too(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="no room left"), disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(GeneratorError, match="cannot write to"), disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_tmpfs_that_is_too_small(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(GeneratorError, match="No space left on device"):
            write("quotes", tmp_path, 100_000, symbols=8, partitions=10)
        assert "_manifest.json" not in files(tmp_path)
        assert 0 < len(list(tmp_path.glob("part-*"))) < 10
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("change", ["truncate", "remove"])
def test_a_whole_data_set_that_was_changed_is_not_taken_for_whole(tmp_path: Path, change: str) -> None:
    write("trades", tmp_path, 1_000, partitions=2)
    part = tmp_path / "part-00001.parquet"
    part.unlink() if change == "remove" else os.truncate(part, 100)
    with pytest.raises(GeneratorError, match=r"part-00001.parquet is missing or was changed"):
        write("trades", tmp_path, 1_000, partitions=2)
    write("trades", tmp_path, 1_000, partitions=2, overwrite=True)
    assert len(pd.read_parquet(tmp_path)) == 1_000


@pytest.mark.parametrize("name", ["_manifest.json", "_plan.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b"{}"])
def test_a_spoiled_manifest_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GeneratorError, match="--overwrite"):
        write("trades", tmp_path, 10)
    assert files(tmp_path) == {name: content}


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(GeneratorError, match="is a file: name a folder"):
        write("trades", tmp_path / "file", 10, overwrite=True)
    with pytest.raises(GeneratorError, match="cannot write to"):
        write("trades", tmp_path / "file" / "below", 10)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("argument", ["partitions", "workers"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "two"])
def test_counts_of_partitions_and_workers_are_checked(tmp_path: Path, argument: str, value: object) -> None:
    with pytest.raises(GeneratorError, match=f"{argument} must be a whole number of at least 1"):
        write("trades", tmp_path / "none", 10, **{argument: value})
    assert not (tmp_path / "none").exists()
