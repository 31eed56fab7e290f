"""Folders by URL, of this machine or an object store: files are read there, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import ColumnError, DataError, FintechToolkitError, ParameterError, did_you_mean

_NOTHING_PASSES = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, pa.ArrowInvalid)
"""What another try would meet again."""
_FROM_ENVIRONMENT = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL in the environment of every worker"


class Store:
    """A folder; it travels to workers as its URL, and finds its credentials in their environment.

    What may pass, such as a store that is busy, raises OSError; what another try would meet again raises DataError.

    Parameters
    ----------
    url : str
        A path, or a URL that fsspec knows.

    Raises
    ------
    ParameterError
        If no file system is known for it, or it holds credentials.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        parts = urlsplit(url)
        if parts.password is not None or (parts.scheme in ("s3", "s3a") and parts.username is not None):
            raise ParameterError(f"A URL holds no credentials: set {_FROM_ENVIRONMENT}.")
        try:
            # Listings are not kept: other processes write there, too.
            self._system, self.root = fsspec.core.url_to_fs(os.path.expanduser(url), use_listings_cache=False)
        except ValueError as error:
            known = fsspec.available_protocols()
            raise ParameterError(
                f"{url} is no URL that can be read: {error}. {did_you_mean(parts.scheme, known)}"
            ) from None
        except ImportError as error:
            raise ParameterError(f"{url} cannot be read: {error}.") from None
        self.is_local = "file" in self._protocols()
        self.url = self.root if self.is_local else url.rstrip("/")

    def _protocols(self) -> Sequence[str]:
        protocol = self._system.protocol
        return (protocol,) if isinstance(protocol, str) else protocol

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)

    def names(self, folder: str = "") -> list[str]:
        """Return what a folder holds, without what is hidden; nothing, if it is not there."""
        with self._told(folder, "listed"):
            try:
                found = self._system.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                if not self.is_local:
                    self._system.ls(self.root.partition("/")[0], detail=False)  # raises unless there is the bucket
                return []
        names = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if name and not name.startswith((".", "_")))

    def stamp(self, name: str) -> str:
        """Return what tells whether a file was replaced."""
        with self._told(name):
            return str(self._system.ukey(self._path(name)))

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._told(name):
            return bool(self._system.isfile(self._path(name)))

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        with self._told(name):
            return bytes(self._system.cat_file(self._path(name)))

    def table(self, name: str, stamp: str, columns: Sequence[str]) -> pa.Table:
        """Read columns of a file of Parquet, texts as dictionaries, if it is still the one of `stamp`."""
        try:
            return self._columns(name, columns)
        finally:
            if self.stamp(name) != stamp:
                raise DataError(f"{self.url}/{name} was replaced while the run read it; run again.")

    def _columns(self, name: str, columns: Sequence[str]) -> pa.Table:
        with self._told(name), self._system.open(self._path(name), "rb") as file:
            footer = pq.read_metadata(file)
            schema = footer.schema.to_arrow_schema()
            for column in columns:
                if column not in schema.names:
                    where = f"{self.url}/{name}"
                    raise ColumnError(f"{where} has no column {column!r}. {did_you_mean(column, schema.names)}")
            texts = [column for column in columns if schema.field(column).type in (pa.string(), pa.large_string())]
            return pq.ParquetFile(file, metadata=footer, read_dictionary=texts, pre_buffer=True).read(list(columns))

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all; a store has an object when it has all of it."""
        with self._told(name, "written"):
            if self.is_local:
                path = Path(self._path(name))
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, lambda aside: aside.write_bytes(data))
            else:
                self._system.pipe_file(self._path(name), data)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    @contextmanager
    def _told(self, name: str, done: str = "read") -> Iterator[None]:
        try:
            yield
        except FintechToolkitError:
            raise
        except Exception as error:
            where = f"{self.url}/{name}" if name else self.url
            reason = f"{where} cannot be {done}: {(str(error) or type(error).__name__).splitlines()[0]}"
            if isinstance(error, PermissionError) and not self.is_local:
                raise DataError(f"{reason} Check {_FROM_ENVIRONMENT}, and what they allow.") from error
            if isinstance(error, _NOTHING_PASSES):
                raise DataError(f"{reason}.") from error
            if isinstance(error, OSError):
                raise OSError(reason) from error
            if type(error).__module__.startswith("botocore"):
                raise _of_botocore(error, reason) from error
            raise


def _of_botocore(error: Exception, reason: str) -> Exception:
    """Return the error of ours that one of botocore's is, which knows no OSError."""
    if {"ConnectionError", "HTTPClientError"} & {kind.__name__ for kind in type(error).__mro__}:
        return OSError(reason)
    return DataError(f"{reason}. Check {_FROM_ENVIRONMENT}.")


def file_name(contract: str) -> str:
    """Return a contract's name as a part of paths: what has a meaning there is escaped, as in URLs."""
    escaped = quote(contract, safe=" ")
    return escaped.replace(".", "%2E", 1).replace("_", "%5F", 1) if escaped.startswith((".", "_")) else escaped
