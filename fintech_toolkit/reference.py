"""Reference data by key: a table that frames are looked up in, kept up to date and kept in a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fintech_toolkit.engines.memory import reference_file
from fintech_toolkit.engines.memory.key_report import KeyReport, report
from fintech_toolkit.engines.memory.reference_table import ReferenceRows
from fintech_toolkit.engines.memory.relational import FEW
from fintech_toolkit.errors import ColumnError, ParameterError, PipelineError, did_you_mean
from fintech_toolkit.frames.key_bytes import KeyColumns
from fintech_toolkit.frames.views import Joinable, is_frame, joinable, require, sort_of, wrap

HOW = ("left", "inner")


class ReferenceTable:
    """Reference data, one row a key, in which frames are looked up: the securities of trades, the books of positions.

    An index of the keys is made once. Keys are compared exactly: texts in all their bytes, integers as integers
    whatever their width, times as instants whatever their unit.

    Parameters
    ----------
    frame : DataFrame, Table, RecordBatch, dict of arrays, or what offers Arrow's stream, as Polars frames do
        The rows. They are kept as Arrow: categories that are not texts become their values, and an index is not kept.
    on : str or list of str
        The column of keys, or several: texts, integers, booleans, dates or times.

    Raises
    ------
    ColumnError
        If there is no such column.
    DataError
        If it cannot hold keys, or a key is missing or there twice; the message names the rows.

    See Also
    --------
    explain_keys : why keys of two frames do not match.
    asof_join : where each symbol has many rows, in order of time.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> bonds = pd.DataFrame({"isin": ["XS01", "US02", "DE03"], "coupon": [1.5, 4.25, 0.0], "rank": [3, 1, 2]})
    >>> table = ft.ReferenceTable(bonds, on="isin")
    >>> table
    ReferenceTable of 3 keys by 'isin': coupon, rank
    >>> trades = pd.DataFrame({"isin": ["US02", "GB09", "XS01"], "price": [101.2, 99.0, 97.5]})
    >>> table.lookup(trades)
       isin  price  coupon  rank
    0  US02  101.2    4.25     1
    1  GB09   99.0     NaN  <NA>
    2  XS01   97.5    1.50     3
    >>> table.lookup(trades, how="inner", select=["rank"])
       isin  price  rank
    0  US02  101.2     1
    2  XS01   97.5     3

    It is kept up to date, row by row, and can tell what held when:

    >>> table.upsert(pd.DataFrame({"isin": ["US02"], "coupon": [4.5], "rank": [2]}), valid_from="2026-01-01")
    >>> table.delete(["DE03"])
    >>> "DE03" in table, len(table)
    (False, 2)
    >>> trades["day"] = pd.to_datetime(["2025-12-31", "2025-12-31", "2026-01-01"])
    >>> table.lookup(trades.assign(isin="US02"), as_of="day")["coupon"].tolist()
    [4.25, 4.25, 4.5]

    A file is mapped into memory, not read:

    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> table.save(pathlib.Path(folder.name) / "bonds.reference")
    >>> ft.ReferenceTable.open(pathlib.Path(folder.name) / "bonds.reference")
    ReferenceTable of 2 keys by 'isin': coupon, rank
    """

    def __init__(self, frame: Any, on: str | Sequence[str]) -> None:
        self._rows = ReferenceRows.of(wrap(frame), _names(on, "on"))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ReferenceTable:
        """Return a table that `save` wrote. It is mapped into memory; what is looked up is read.

        Its length, its smaller parts and samples of its larger ones are compared with what was written; `verify` reads
        all of it. What is put or deleted later is kept in memory, and the file stays as it is.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StateError
            If it is damaged or cut short.
        """
        table = cls.__new__(cls)
        table._rows = reference_file.load(path)
        return table

    @staticmethod
    def verify(path: str | os.PathLike[str]) -> None:
        """Read all of a file that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StateError
            If a byte of it is not what was written.
        """
        reference_file.verify(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a local file: aside at first, and renamed when it is whole.

        Who has an older file of that name open keeps it. Rows that were replaced or deleted are not in it.

        Raises
        ------
        StateError
            If there is no such folder.
        """
        reference_file.save(self._rows, path)

    def lookup(
        self,
        frame: Any,
        on: str | Sequence[str] | None = None,
        how: str = "left",
        select: Sequence[str] | None = None,
        as_of: str | None = None,
    ) -> Any:
        """Return a frame with columns of this table beside its rows.

        Parameters
        ----------
        frame : DataFrame, Table, RecordBatch, or what offers Arrow's stream
            Nothing is changed in place.
        on : str or list of str, optional
            Its columns of keys, by default those of the table.
        how : {"left", "inner"}
            Whether rows that find nothing stay, with nulls, or go. A key of which a part is missing finds nothing.
        select : list of str, optional
            The columns of the table that are appended; by default all but its keys.
        as_of : str, optional
            A column of times in the frame: each row gets the version that was valid then, from its time on until that
            of the next. By default the latest, whenever it begins.

        Returns
        -------
        same type as `frame` (an Arrow table for a Polars frame)
            Its rows in their order, index included. With ``how="left"`` integers and booleans of a pandas frame become
            its nullable types, whether or not every row is found.

        Raises
        ------
        ParameterError
            If an option is not what it must be.
        ColumnError
            If a column is missing, or one of the table is called as one of the frame.
        DataError
            If keys or times do not compare with those of the table.
        PipelineError
            If the frame is none of the above.

        Warns
        -----
        UserWarning
            If less than one row in a hundred finds anything; `explain` says why.
        """
        if how not in HOW:
            raise ParameterError(f"how={how!r} must be 'left' or 'inner'. {did_you_mean(str(how), HOW)}")
        view = self._joinable(frame)
        keys = self._on(on)
        names = self._selected(select, view.names)
        if as_of is not None:
            require(view, as_of)
        rows = self._rows.find(view, keys, as_of)
        hits = int(np.count_nonzero(rows >= 0))
        if hits < FEW * view.rows:
            self._warn(view, keys, hits)
        if how == "inner":
            kept = np.flatnonzero(rows >= 0)
            view, rows = joinable(view.take(kept)), rows[kept]
        columns = self._rows.columns(rows, names, sort_of(view.frame) == "pandas", how == "left")
        return view.append(columns)

    def upsert(self, frame: Any, valid_from: Any = None) -> None:
        """Put rows in the place of those of the same keys, or beside them.

        Parameters
        ----------
        frame : DataFrame, Table, RecordBatch or dict of arrays
            All columns of the table; each key once.
        valid_from : str, datetime or int nanoseconds, optional
            Since when the rows are valid; what was valid before is kept for the time before, and a version of the very
            same instant is replaced. Left out, they have always been, and what was there before is forgotten.

        Raises
        ------
        ColumnError, DataError
            If a column is missing, unknown or of another type, or a key is missing or there twice. Nothing is changed
            then.
        ParameterError
            If `valid_from` is no time.
        """
        since, kind = (None, "") if valid_from is None else _instant(valid_from)
        self._rows.put(wrap(frame), since, kind)

    def delete(self, keys: Any) -> None:
        """Forget keys and all that was valid for them; those that are not there are left alone.

        Parameters
        ----------
        keys : iterable, or frame
            Values, tuples where a key is several columns, or a frame that has the columns of keys.

        Raises
        ------
        DataError
            If they do not compare with those of the table.
        """
        self._rows.delete(self._columns(keys))

    def explain(self, frame: Any, on: str | Sequence[str] | None = None) -> KeyReport:
        """Return how many rows of a frame find something, and what may be wrong with the others. See `explain_keys`."""
        heads, _ = self._rows.held()
        mine = self._rows.take(heads, self._rows.on)
        return report(wrap(frame), self._on(on), wrap(mine), self._rows.on)

    @property
    def rows(self) -> ReferenceRows:
        """What a dataflow takes of the table, which it leaves as it is."""
        return self._rows

    def __len__(self) -> int:
        return self._rows.keys

    def __contains__(self, key: Any) -> bool:
        return bool(self._rows.index.find(self._columns([key]))[0] >= 0)

    def __repr__(self) -> str:
        named = ", ".join(map(repr, self._rows.on))
        others = ", ".join(name for name in self._rows.schema.names if name not in self._rows.on)
        return f"ReferenceTable of {len(self):,} keys by {named}: {others}"

    def _joinable(self, frame: Any) -> Joinable:
        if sort_of(frame) is None:
            raise PipelineError(
                "A frame that is looked up is a pandas DataFrame, an Arrow table or batch, or what offers Arrow's "
                f"stream, as Polars frames do; not {type(frame).__module__.partition('.')[0]}'s {type(frame).__name__}."
            )
        return joinable(frame)

    def _on(self, on: str | Sequence[str] | None) -> list[str]:
        names = self._rows.on if on is None else _names(on, "on")
        if len(names) != len(self._rows.on):
            raise ParameterError(f"on={on!r} must name as many columns as the table has: {self._rows.on}.")
        return names

    def _selected(self, select: Sequence[str] | None, taken: Sequence[str]) -> list[str]:
        known = self._rows.schema.names
        names = [name for name in known if name not in self._rows.on] if select is None else _names(select, "select", 0)
        for name in names:
            if name not in known:
                raise ColumnError(f"The table has no column {name!r}. {did_you_mean(name, known)}")
            if name in taken:
                raise ColumnError(
                    f"The frame and the table both have a column {name!r}; rename one, or leave it out with select=."
                )
        return names

    def _columns(self, keys: Any) -> KeyColumns:
        """Return keys that a user lists, as columns."""
        if not is_frame(keys):
            on = self._rows.on
            listed = list(keys) if isinstance(keys, Iterable) and not isinstance(keys, str | bytes) else None
            if listed is None:
                raise ParameterError(f"keys={keys!r} must be a list of keys, or a frame of them.")
            if len(on) > 1 and not all(isinstance(key, tuple) and len(key) == len(on) for key in listed):
                raise ParameterError(f"A key of this table is a tuple of values for {on}.")
            parts = [listed] if len(on) == 1 else list(zip(*listed, strict=True)) or [()] * len(on)
            keys = {name: pd.Series(list(values), dtype=object) for name, values in zip(on, parts, strict=True)}
        return self._rows.columns_of(wrap(keys), self._rows.on, "keys")

    def _warn(self, view: Joinable, keys: list[str], hits: int) -> None:
        shown = KeyColumns(view, keys).show(0) if view.rows else ""
        mine = KeyColumns(wrap(self._rows.base.slice(0, 1)), self._rows.on)
        there = f", and the table such as {mine.show(0)}" if mine.rows else ""
        warnings.warn(
            f"{hits:,} of {view.rows:,} rows found a key. The frame has keys such as {shown}{there}; "
            "explain(frame) says what may be wrong.",
            stacklevel=3,
        )


def explain_keys(
    left: Any, left_on: str | Sequence[str], right: Any, right_on: str | Sequence[str] | None = None
) -> KeyReport:
    """Return how many rows of one frame have a key that another has too, and why others may have none.

    Parameters
    ----------
    left, right : DataFrame, Table, RecordBatch, dict of arrays, or what offers Arrow's stream
        The frames. Columns other than those of keys are not looked at.
    left_on, right_on : str or list of str
        Their columns of keys; the right's are called as the left's by default.

    Returns
    -------
    KeyReport
        It prints itself.

    Raises
    ------
    ParameterError
        If there are not as many columns on both sides.
    ColumnError, DataError
        If there is no such column, or it cannot hold keys. Types that do not compare are a finding, and no error.

    Examples
    --------
    >>> import pandas as pd, fintech_toolkit as ft
    >>> trades = pd.DataFrame({"cusip": ["037833100", "594918104", "88160R101"]})
    >>> bonds = pd.DataFrame({"cusip": ["03783310", "59491810", "88160R10"]})
    >>> ft.explain_keys(trades, "cusip", bonds)
    0 of 3 rows of the left have a key of the right (0.00 %).
    - check digit: without the last character of the left's 3 more of 3 different keys looked at are on the right.
    Left:  '037833100', '594918104', '88160R101'
    Right: '03783310', '59491810', '88160R10'
    """
    ours = _names(left_on, "left_on")
    theirs = ours if right_on is None else _names(right_on, "right_on")
    return report(wrap(left), ours, wrap(right), theirs)


def _names(names: str | Sequence[str], what: str, least: int = 1) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Sequence) else []
    if not all(isinstance(name, str) for name in listed) or not len(set(listed)) == len(listed) >= least:
        raise ParameterError(f"{what}={names!r} must name a column, or several, each once.")
    return listed


def _instant(value: Any) -> tuple[int, str]:
    """Return a time as nanoseconds, and which sort it was."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value), "int"
    try:
        stamp = pd.Timestamp(value).as_unit("ns")
    except (ValueError, TypeError, OverflowError) as error:
        raise ParameterError(f"valid_from={value!r} is no time ({error}).") from error
    if pd.isna(stamp):
        raise ParameterError(f"valid_from={value!r} is no time; leave it out if the rows have always been valid.")
    return stamp.value, "naive" if stamp.tz is None else "aware"
