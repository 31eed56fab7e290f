"""Files that hold a state: whole or not there at all, and refused if damaged. Parquet, never pickle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fintech_toolkit.errors import StateError

Read = TypeVar("Read")


def write_state_file(path: str | os.PathLike[str], table: pa.Table, metadata: Mapping[bytes, bytes]) -> None:
    """Write a table to a Parquet file: aside first, synced, then renamed over `path`; pages are checksummed."""
    target = Path(path)
    handle, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            table = table.replace_schema_metadata(metadata)
            pq.write_table(table, file, compression="zstd", use_dictionary=False, write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def read_state_file(
    path: str | os.PathLike[str], what: str, parse: Callable[[pa.Table, Mapping[bytes, bytes]], Read]
) -> Read:
    """Return what `parse` makes of the table and the metadata of a file.

    Raises
    ------
    StateError
        If the file is damaged, cut short, or `parse` cannot make anything of it; `what` says what it should have been.
    """
    try:
        # From memory: a file that is cut short must not fail later, while a mapped page is read.
        data = pa.BufferReader(Path(path).read_bytes())
        table = pq.read_table(data, page_checksum_verification=True)
        return parse(table, table.schema.metadata or {})
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise StateError(f"{path} is not a whole {what} ({reason}); go back to an older one.") from error
