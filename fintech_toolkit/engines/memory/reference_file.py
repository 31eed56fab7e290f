"""Files that hold a reference table: rows and index are mapped into memory, not read, so one larger than memory opens
at once. Whole or not there at all, and refused if damaged. No pickle.

A file begins as an Arrow file of the rows; behind it are the arrays of the index, each from a multiple of 64 bytes on,
and at the end a manifest in JSON, its length, its digest and a mark.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from fintech_toolkit.engines.memory.hash_table import HashTable, build
from fintech_toolkit.engines.memory.key_index import KeyIndex
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.engines.memory.versions import Versions
from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import StateError
from fintech_toolkit.frames.key_bytes import ALL, KeyBytes, KeyColumns, KeyKind
from fintech_toolkit.frames.views import wrap
from fintech_toolkit.scan.columns import read_only
from fintech_toolkit.schema import Array

MARK = b"fintech_toolkit reference 1\n"
END = struct.Struct(f"<Q32s{len(MARK)}s")
ALIGNED = 64
BATCH = 1 << 22
"""Rows that are written at once."""
BLOCK, BLOCKS = 1 << 16, 256
"""A part that is longer than so many bytes so many times is looked at in so many places when it is opened."""


def save(rows: ReferenceRows, path: str | os.PathLike[str]) -> None:
    """Write a table to a file, aside at first, without what holds no more.

    Raises
    ------
    StateError
        If there is no such folder, or there is one of this name.
    """
    target = Path(path).expanduser()
    if not target.parent.is_dir():
        raise StateError(f"{target} cannot be written to: there is no folder {target.parent}; make it first.")
    if target.is_dir():
        raise StateError(f"{target} cannot be written to: it is a folder.")

    def write(aside: Path) -> None:
        with aside.open("x+b") as file:
            _write(rows, file, aside)

    write_whole(target, write)


def _write(rows: ReferenceRows, file: BinaryIO, path: Path) -> None:
    heads, before = rows.held()
    order = np.concatenate([heads, before])
    with pa.ipc.new_file(pa.PythonFile(file, "w"), rows.schema) as writer:
        for start in range(0, len(order), BATCH):
            for batch in rows.take(order[start : start + BATCH], rows.schema.names).combine_chunks().to_batches():
                writer.write_batch(batch)
    file.flush()
    parts: list[dict[str, Any]] = [{"name": "rows", "begin": 0, "size": file.tell()}]
    # Of the file, so that the rows are nowhere else in memory.
    written = pa.ipc.open_file(pa.memory_map(str(path))).read_all().slice(0, len(heads))
    columns = KeyColumns(wrap(written), rows.on)
    table, _ = build(columns.read(rows.index.kinds))
    arrays = {"slots": table.slots, "keys": table.keys.data, "offsets": table.keys.offsets}
    if rows.versions is not None:
        renumbered = np.full(rows.rows + 1, -1, np.int64)
        renumbered[order] = np.arange(len(order))
        arrays["since"] = rows.versions.since[order]
        arrays["before"] = renumbered[np.maximum(rows.versions.before[order], -1)]
    for name, values in arrays.items():
        file.write(bytes(-file.tell() % ALIGNED))
        parts.append({"name": name, "begin": file.tell(), "size": values.nbytes, "dtype": values.dtype.str})
        file.write(np.ascontiguousarray(values).view(np.uint8).data)
    end = file.tell()
    file.flush()
    for part, following in zip(parts, [*(p["begin"] for p in parts[1:]), end], strict=True):
        part["digests"] = [_digest(file, part["begin"], following, sampled) for sampled in (True, False)]
    manifest = json.dumps(
        {
            "on": rows.on,
            "keys": len(heads),
            "width": table.keys.width,
            "dtypes": rows.dtypes,
            "versions": None if rows.versions is None else rows.versions.kind,
            "parts": parts,
            "end": end,
        }
    ).encode()
    file.seek(end)
    file.write(manifest)
    file.write(END.pack(len(manifest), hashlib.sha256(manifest).digest(), MARK))


def load(path: str | os.PathLike[str]) -> ReferenceRows:
    """Return the table that a file holds, mapped into memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StateError
        If it is damaged or cut short, as far as its length, its smaller parts and samples of larger ones tell.
    """
    source = Path(path).expanduser()
    with source.open("rb") as file:
        try:
            manifest = _checked(file, sampled=True)
            return _mapped(source, manifest)
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, struct.error) as error:
            raise _damaged(path, error) from error


def verify(path: str | os.PathLike[str]) -> None:
    """Read all of a file.

    Raises
    ------
    StateError
        If a byte of it is not what was written.
    """
    with Path(path).expanduser().open("rb") as file:
        try:
            _checked(file, sampled=False)
        except (OSError, KeyError, ValueError, TypeError, struct.error) as error:
            raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: Exception) -> StateError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return StateError(f"{path} is not a whole reference table ({reason}); go back to an older one, or make it anew.")


def _checked(file: BinaryIO, sampled: bool) -> dict[str, Any]:
    """Return the manifest of a file whose parts are what was written."""
    size = file.seek(0, os.SEEK_END)
    if size < END.size:
        raise ValueError("it is too short")
    file.seek(size - END.size)
    length, digest, mark = END.unpack(file.read())
    if mark != MARK:
        raise ValueError("it does not end as one")
    if length > size - END.size:
        raise ValueError("it is too short")
    file.seek(size - END.size - length)
    text = file.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise ValueError("its manifest has another digest")
    manifest: dict[str, Any] = json.loads(text)
    if manifest["end"] != size - END.size - length:
        raise ValueError("it is of another length")
    parts = manifest["parts"]
    for part, following in zip(parts, [*(p["begin"] for p in parts[1:]), manifest["end"]], strict=True):
        if _digest(file, part["begin"], following, sampled) != part["digests"][0 if sampled else 1]:
            raise ValueError(f"its {part['name']} have another digest")
    return manifest


def _digest(file: BinaryIO, begin: int, end: int, sampled: bool) -> str:
    digest = hashlib.sha256()
    for start in _places(begin, end, sampled):
        file.seek(start)
        digest.update(file.read(min(BLOCK, end - start)))
    return digest.hexdigest()


def _places(begin: int, end: int, sampled: bool) -> Iterator[int]:
    """Where to look at a part: everywhere, or at so many blocks from the first to the last."""
    if not sampled or end - begin <= BLOCK * BLOCKS:
        yield from range(begin, end, BLOCK)
    else:
        for n in range(BLOCKS):
            yield begin + (end - BLOCK - begin) * n // (BLOCKS - 1)


def _mapped(path: Path, manifest: dict[str, Any]) -> ReferenceRows:
    parts = {part["name"]: part for part in manifest["parts"]}
    whole = pa.memory_map(str(path)).read_buffer()
    table = pa.ipc.open_file(pa.BufferReader(whole.slice(0, parts["rows"]["size"]))).read_all()

    def array(name: str) -> Array:
        part = parts[name]
        return np.frombuffer(whole.slice(part["begin"], part["size"]), part["dtype"])

    def own(name: str) -> Array:
        """An array that may be changed: what changes is in memory from then on, and the file stays as it is."""
        part = parts[name]
        if not part["size"]:
            return np.empty(0, part["dtype"])
        shape = part["size"] // np.dtype(part["dtype"]).itemsize
        return np.asarray(np.memmap(path, part["dtype"], "c", part["begin"], shape))

    keys = KeyBytes(
        read_only(array("keys")), read_only(array("offsets")), manifest["width"], read_only(ALL), manifest["keys"]
    )
    kinds: list[KeyKind] = KeyColumns(wrap(table.slice(0, 0)), manifest["on"]).kinds
    index = KeyIndex(kinds, HashTable(read_only(array("slots")), keys))
    versions = None
    if manifest["versions"] is not None:
        versions = Versions(manifest["versions"], own("since"), own("before"))
    return ReferenceRows(table, manifest["on"], manifest["dtypes"], index, versions)
