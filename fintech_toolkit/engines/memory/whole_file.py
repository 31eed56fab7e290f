"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
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
