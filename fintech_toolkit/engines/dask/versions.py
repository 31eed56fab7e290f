"""A folder that holds versions, of which one is the current one: written beside the others, then pointed to.

    path/_fintech_toolkit.json          the pointer, replaced in one step when a version is whole and on disk
    path/_version-…/manifest.json       what the version's writer has to say of it
    path/_version-…/data/part-*.parquet

One process writes at a time: it holds a lock of the operating system, which falls with it. So whatever the pointer
does not name, while one holds the lock, was left by a writer that died. The version before the current one is kept for
those who are reading it; the one before that is removed. Only files with names that are given here are ever removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fintech_toolkit.engines.memory.files import DATA_SET
from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import DataError

POINTER, LOCK = DATA_SET, "_fintech_toolkit.lock"
MANIFEST, DATA = "manifest.json", "data"
FORMAT = "fintech_toolkit.partitioned/1"

VERSION = re.compile(r"_version-[0-9a-f]{32}")
_FILES = r"part-\d+\.parquet|manifest\.json|(columns|symbols)\.arrow"
OURS = re.compile(rf"{_FILES}|\.({_FILES})\.[0-9a-f]{{32}}")
HALF_POINTER = re.compile(rf"\.{re.escape(POINTER)}\.[0-9a-f]{{32}}")


def pointed_to(folder: Path) -> dict[str, Any]:
    """Return what the pointer says: the names of the current `version` and of the `previous` one (or None).

    Raises
    ------
    DataError
        If the folder has no such pointer.
    """
    try:
        pointer = json.loads((folder / POINTER).read_text())
        if pointer["format"] == FORMAT and VERSION.fullmatch(pointer["version"]):
            return {"version": pointer["version"], "previous": pointer["previous"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{folder} was not written by write_partitioned: it has no valid {POINTER}.")


def manifest_of(folder: Path, version: str) -> dict[str, Any]:
    """Return a version's manifest.

    Raises
    ------
    DataError
        If the version is gone or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / version / MANIFEST).read_text())
    except FileNotFoundError:
        raise gone(folder) from None
    except ValueError as error:
        raise DataError(f"{folder / version / MANIFEST} is damaged ({error}); write the data set again.") from None
    return manifest


def current(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of the current version, and its manifest.

    Raises
    ------
    DataError
        If there is none.
    """
    while True:
        version = pointed_to(folder)["version"]
        try:
            return version, manifest_of(folder, version)
        except DataError:
            if pointed_to(folder)["version"] == version:
                raise


def gone(folder: Path) -> DataError:
    """Return the error of a reader whose version was removed."""
    return DataError(
        f"{folder}: the version that was being read is gone; the data set has been overwritten twice since, or parts "
        "of it were removed. Call read_partitioned again."
    )


def check_target(folder: Path, overwrite: bool) -> None:
    """Raise if a data set must not be written there.

    Raises
    ------
    DataError
        If something else is there, or a data set that is not to be overwritten.
    """
    if not folder.exists():
        return
    foreign = not folder.is_dir()
    if not foreign and (folder / POINTER).exists():
        try:
            pointed_to(folder)
        except DataError:
            foreign = True
        if not foreign and not overwrite:
            raise DataError(f"{folder} is already there; say overwrite=True to replace it.")
    elif not foreign:
        foreign = any(
            not (entry.name == LOCK or VERSION.fullmatch(entry.name) or HALF_POINTER.fullmatch(entry.name))
            for entry in folder.iterdir()
        )
    if foreign:
        raise DataError(f"{folder} exists and is not a data set of write_partitioned; choose another path.")


@contextmanager
def new_version(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give the folder of a new version to be filled; it becomes the current one if that ends well, else is removed.

    Raises
    ------
    DataError
        If it must not be written there, or another process is writing there now.
    """
    check_target(folder, overwrite)
    with _locked(folder):
        check_target(folder, overwrite)  # another may have written meanwhile
        before = pointed_to(folder)["version"] if (folder / POINTER).exists() else None
        _tidy(folder)
        version = folder / f"_version-{uuid.uuid4().hex}"
        try:
            (version / DATA).mkdir(parents=True)
            yield version
            for path in (version / DATA, version, folder):
                sync_folder(path)
            pointer = {"format": FORMAT, "version": version.name, "previous": before}
            write_whole(folder / POINTER, lambda path: path.write_text(json.dumps(pointer)))
            sync_folder(folder)
        finally:
            _tidy(folder)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tidy(folder: Path) -> None:
    """Remove versions that the pointer does not name, and half-written pointers. Whoever calls it holds the lock."""
    kept = set(pointed_to(folder).values()) if (folder / POINTER).exists() else set()
    for entry in list(folder.iterdir()):
        if HALF_POINTER.fullmatch(entry.name):
            entry.unlink()
        elif VERSION.fullmatch(entry.name) and entry.name not in kept:
            for inner in (entry / DATA, entry):
                _remove_ours(inner)


def _remove_ours(folder: Path) -> None:
    """Remove our files from a version's folder, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if OURS.fullmatch(path.name):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the right to write to a folder, which is made if it is not there, and removed again if it stays empty."""
    made = not folder.exists()
    handle = _lock(folder)
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(handle)
        if made:
            with suppress(OSError):
                folder.rmdir()


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # a writer that failed has just removed the folder that it had made
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock before may have removed its file, and others may have locked a new one.
            if os.path.samestat(os.fstat(handle), os.stat(folder / LOCK)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise DataError(f"{folder} is being written by another process; write again when it has ended.") from None
        except FileNotFoundError:
            pass
        os.close(handle)
