"""Files that are whole or not there at all."""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fintech_toolkit.errors import DataError


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Have a file written aside, bring it to the disk, and put it in its place in one step."""
    aside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        write(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed while they wrote files of a folder have left there."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    try:
        write_whole(path, lambda aside: aside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make a folder if it is not there, and keep other runs out of it: the lock goes with its process.

    Raises
    ------
    DataError
        If it cannot be made, or another run writes to it.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; name a folder for what comes out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out} cannot be made: {error.strerror}.") from error
    handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError(f"Another run is writing to {out}; wait until it ends, or choose another folder.") from None
    finally:
        os.close(handle)
