"""Files that hold a state: whole or not there at all, and refused if damaged. Parquet, never pickle."""

# fsspec is not typed.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import KernelError, StateError

Read = TypeVar("Read")

SEAL = re.compile(rb"fintech_toolkit:sha256:([0-9a-f]{64})")
UNSEALED = b"fintech_toolkit:sha256:" + b"0" * 64


def write_state_file(path: str | os.PathLike[str], table: pa.Table, metadata: Mapping[bytes, bytes]) -> None:
    """Write a table to a Parquet file, with a digest of all its bytes.

    A local file is written aside, synced, and renamed over `path`. A URL is written by fsspec, in one upload where the
    store has such (S3, Google and Azure do): nobody sees half of it.

    Raises
    ------
    StateError
        If there is no such folder, or the package for a URL is not installed; the message says which.
    """
    data = _sealed(table.replace_schema_metadata(metadata))
    if "://" in os.fspath(path):
        try:
            with _open_url(os.fspath(path), "wb") as file:
                file.write(data)
        except (ImportError, ValueError) as error:
            raise StateError(f"{path} cannot be written to: {error}.") from error
        return
    target = Path(path).expanduser()
    if not target.parent.is_dir():
        raise StateError(f"{target} cannot be written to: there is no folder {target.parent}; make it first.")
    write_whole(target, lambda aside: aside.write_bytes(data))


def read_state_file(
    path: str | os.PathLike[str], what: str, parse: Callable[[pa.Table, Mapping[bytes, bytes]], Read]
) -> Read:
    """Return what `parse` makes of the table and the metadata of a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StateError
        If the file is damaged, cut short, or `parse` cannot make anything of it; `what` says what it should have been.
        Or if the package for a URL is not installed, or a kernel of the user's own is not loaded.
    """
    if "://" in os.fspath(path):
        try:
            with _open_url(os.fspath(path), "rb") as file:
                data = file.read()
        except (ImportError, ValueError) as error:
            raise StateError(f"{path} cannot be read: {error}.") from error
    else:
        data = Path(path).expanduser().read_bytes()
    try:
        _check_seal(data)
        # On this thread alone: one of Arrow's that lets go of the bytes just as the process ends aborts it.
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
        return parse(table, table.schema.metadata or {})
    except KernelError as error:  # the file is whole; it is the kernel that is not there
        raise StateError(f"{path} cannot be read yet. {error}") from error
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise StateError(f"{path} is not a whole {what} ({reason}); go back to an older one.") from error


def table_to_bytes(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _open_url(url: str, mode: str):  # type: ignore[no-untyped-def]
    import fsspec

    return fsspec.open(url, mode).open()


def _sealed(table: pa.Table) -> bytes:
    """Return a table as Parquet; the digest stands in its footer, and is that of the bytes with zeros in its place."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"digest": UNSEALED.decode()})
    data = bytes(sink.getvalue())
    place = data.rindex(UNSEALED)
    start, end = place + len(UNSEALED) - 64, place + len(UNSEALED)
    return b"".join([data[:start], hashlib.sha256(data).hexdigest().encode(), data[end:]])


def _check_seal(data: bytes) -> None:
    """Raise if a byte differs from what was written; nothing of a file is looked at before."""
    found = list(SEAL.finditer(data))
    if not found:
        raise ValueError("it has no digest")
    start, end = found[-1].span(1)
    digest, view = hashlib.sha256(), memoryview(data)
    for part in (view[:start], b"0" * 64, view[end:]):
        digest.update(part)
    if digest.hexdigest().encode() != found[-1][1]:
        raise ValueError("its digest is another")
