"""Files of Parquet and CSV as an input of a dataflow: listed once, read as far as it asks."""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from dask.utils import natural_sort_key

from fintech_toolkit.engines.memory.filters import scan_filter
from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import DataError
from fintech_toolkit.flow.conditions import Conditions

DATA_SET = "_fintech_toolkit.json"
"""What stands in the folder of a data set that `write_partitioned` wrote."""
ENDINGS = {"parquet": (".parquet", ".pq", ".parq"), "csv": (".csv", ".csv.gz")}


class Weight(NamedTuple):
    """How much of files is read: rows, where footers tell, and bytes as they are stored."""

    rows: int | None
    bytes: int


class Files:
    """A file, a folder of files, or a pattern such as ``quotes/*.parquet``; of any file system that fsspec knows.

    Parameters
    ----------
    path : str or path
        Where they are. What ends in ``.csv`` or ``.csv.gz`` is CSV with names in its first line, all else Parquet.

    Raises
    ------
    DataError
        If there are none, or the package for such a file system is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with self._told():
            self._system, self.paths = self._listed()
        if not self.paths and self._system.exists(f"{self.path}/{DATA_SET}"):
            raise DataError(
                f"{self.path} is a data set by symbol: give ft.read_partitioned({self.path!r}), or run on Dask."
            )
        if not self.paths:
            raise DataError(f"{self.path} holds no files of Parquet or CSV; give a file, a folder or a pattern.")
        self.format = "csv" if self.paths[0].endswith(ENDINGS["csv"]) else "parquet"

    def _listed(self) -> tuple[Any, list[str]]:
        import fsspec

        system, root = fsspec.core.url_to_fs(os.path.expanduser(self.path))
        if any(sign in root for sign in "*?["):
            found, folder = system.glob(root), posixpath.dirname(root)
        elif system.isdir(root):
            found = [name for name in system.find(root) if name.endswith(tuple(sum(ENDINGS.values(), ())))]
            folder = root
        elif system.exists(root):
            return system, [root]
        else:
            raise FileNotFoundError("there is no such file or folder")
        shown = [name for name in found if not _is_hidden(name, folder)]
        return system, sorted(shown, key=natural_sort_key)

    @functools.cached_property
    def _dataset(self) -> Any:
        from fsspec.implementations.local import LocalFileSystem
        from pyarrow.fs import FSSpecHandler, PyFileSystem
        from pyarrow.fs import LocalFileSystem as Local

        system = Local() if isinstance(self._system, LocalFileSystem) else PyFileSystem(FSSpecHandler(self._system))
        with self._told():
            return ds.dataset(self.paths, filesystem=system, format=self.format)

    @property
    def urls(self) -> list[str]:
        """The files as fsspec finds them again, whatever their file system; local ones as they are."""
        return [self._system.unstrip_protocol(path).removeprefix("file://") for path in self.paths]

    @property
    def schema(self) -> pa.Schema:
        """The names and types of columns."""
        return self._dataset.schema

    @property
    def names(self) -> list[str]:
        """The names of columns."""
        return list(self.schema.names)

    def as_pandas(self) -> PandasFiles:
        """Return the same files, read as pandas frames."""
        return PandasFiles(self.path)

    def read(self, columns: Sequence[str] | None = None, where: Conditions | None = None) -> Any:
        """Return some columns of the rows that meet conditions, file after file.

        Raises
        ------
        DataError
            If a file is damaged or cut short, or a column cannot be compared.
        """
        met = None if where is None else scan_filter(where, self.schema)
        with self._told():
            return self._dataset.to_table(columns=None if columns is None else list(columns), filter=met)

    def result(self, frame: Any) -> Any:
        """Return what a flow gives that begins with these files: as it is."""
        return frame

    def weight(self, columns: Sequence[str] | None = None, where: Conditions | None = None) -> Weight:
        """Return how much `read` reads, as the footers of files tell; of CSV that is all there is."""
        if self.format == "csv":
            with self._told():
                return Weight(None, sum(self._system.size(path) for path in self.paths))
        met = None if where is None else scan_filter(where, self.schema)
        names = {*(self.names if columns is None else columns), *(where.columns if where else ())}
        rows = size = 0
        with self._told():
            for fragment in self._dataset.get_fragments(filter=met):
                for piece in fragment.split_by_row_group(filter=met, schema=self.schema):
                    for group in piece.row_groups:
                        about = piece.metadata.row_group(group.id)
                        rows += about.num_rows
                        size += sum(
                            about.column(c).total_compressed_size
                            for c in range(about.num_columns)
                            if about.column(c).path_in_schema.partition(".")[0] in names
                        )
        return Weight(rows, size)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ImportError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(f"{self.path} cannot be read: {reason}") from error


class PandasFiles(Files):
    """Files that are read as pandas frames; an index that was written with them is columns like others."""

    def read(self, columns: Sequence[str] | None = None, where: Conditions | None = None) -> Any:
        return super().read(columns, where).to_pandas(ignore_metadata=True)

    def result(self, frame: Any) -> Any:
        """Return rows numbered anew: which were read of a file, and so its index, depends on what was pushed down."""
        return frame.reset_index(drop=True)


def _is_hidden(name: str, folder: str) -> bool:
    """Whether a file, or a folder in which it is, is one of those that writers leave beside the data."""
    return any(part.startswith(("_", ".")) for part in posixpath.relpath(name, folder).split("/"))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table to a Parquet file: aside at first, and renamed when it is whole.

    Raises
    ------
    DataError
        If it cannot be written; nothing is left then.
    """
    try:
        write_whole(path, lambda aside: pq.write_table(table, aside))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
