"""Order states, trades and quotes by security and local day: what `ingest` wrote."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.checks import schema_of
from fintech_toolkit.orders.reading import to_pandas

MANIFEST = "_manifest.json"


@dataclass(frozen=True)
class SecurityDay:
    """What there is of a security on a local day of its exchange.

    Attributes
    ----------
    security : int
        The security's code.
    day : date
        The local day.
    order_rows, trade_rows, quote_rows : int
        Rows of each kind.
    bytes : int
        What they take on disk.
    """

    security: int
    day: date
    order_rows: int
    trade_rows: int
    quote_rows: int
    bytes: int


class Store:
    """A folder that `ingest` wrote.

    Parameters
    ----------
    root : str or path
        The folder.

    Examples
    --------
    >>> import tempfile
    >>> from data_generators.orders import write_orders
    >>> from fintech_toolkit.orders import Store, ingest
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_orders(folder, securities=1, days=1, states=1_000)
    >>> _ = ingest(f"{folder}/orders", f"{folder}/trades", f"{folder}/store")
    >>> store = Store(f"{folder}/store")
    >>> evening, day = store.days()
    >>> len(store.orders(day.security, day.day)) == day.order_rows
    True
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def days(self) -> list[SecurityDay]:
        """Return what the store holds, sorted by security and day.

        Raises
        ------
        DataError
            If `ingest` has not finished.
        """
        try:
            held = json.loads((self.root / MANIFEST).read_text())
        except OSError as error:
            raise DataError(f"{self.root} holds no finished ingest ({error.strerror}); run it first.") from error
        return [SecurityDay(**{**each, "day": date.fromisoformat(each["day"])}) for each in held["days"]]

    def path(self, kind: str, security: int, day: date) -> Path:
        """Return where the rows of a kind are."""
        return self.root / f"security={security}" / f"day={day.isoformat()}" / f"{kind}.parquet"

    def orders(self, security: int, day: date) -> pd.DataFrame:
        """Return the order states of a day, by time and sequence; none if there are none."""
        return self._frame("orders", security, day)

    def trades(self, security: int, day: date) -> pd.DataFrame:
        """Return the sides of a day's trades, by time and sequence; none if there are none."""
        return self._frame("trades", security, day)

    def quotes(self, security: int, day: date) -> pd.DataFrame:
        """Return the national best bids and offers of a day, by time; none if there are none."""
        return self._frame("quotes", security, day)

    def _frame(self, kind: str, security: int, day: date) -> pd.DataFrame:
        path = self.path(kind, security, day)
        if not path.is_file():
            return to_pandas(schema_of(kind).empty_table())
        try:
            with pq.ParquetFile(path) as file:
                return to_pandas(file.read())
        except (pa.ArrowException, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(f"{path} cannot be read: {reason}. Remove the store and ingest again.") from error
