"""The names and texts of records on the wire: what CSV and JSON lines hold, and what a topic carries."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.datasets import Dataset, find_dataset
from data_generators.errors import GeneratorError


def to_wire(frame: pd.DataFrame, name: str, *, profile: str = "narrow") -> pd.DataFrame:
    """Return a frame with the public field names and texts instead of the canonical columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Canonical columns of the data set, as `data_generators.sample` gives them.
    name : str
        ``"quotes"``, ``"securities"`` or ``"trades"``.
    profile : str
        ``"narrow"`` or ``"wide"``.

    Returns
    -------
    pandas.DataFrame
        ``instrumentId``, ``bidPrice`` and so on. ``timestamp`` is ISO 8601 in UTC with microseconds,
        dates are ISO 8601 too, ``buySellIndicator`` is B or S.

    Raises
    ------
    GeneratorError
        If a column is missing, or a time has digits below the microsecond.

    Examples
    --------
    >>> import data_generators
    >>> wire = to_wire(data_generators.sample("trades", rows=2), "trades")
    >>> list(wire.columns)
    ['tradeId', 'instrumentId', 'price', 'quantity', 'timestamp', 'buySellIndicator', 'dealerId', 'venue']
    >>> wire["timestamp"][0][:14]
    '2024-01-08T13:'
    """
    dataset = find_dataset(name, profile)
    missing = [column for column in dataset.schema.names if column not in frame.columns]
    if missing:
        raise GeneratorError(f"a frame of {name} needs the column {missing[0]!r}: it has {', '.join(frame.columns)}")
    table = pa.Table.from_pandas(frame, schema=dataset.schema, preserve_index=False)
    wire: pd.DataFrame = table_to_wire(table, dataset).to_pandas()
    return wire.set_index(frame.index)


def table_to_wire(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Return the Arrow table in the names and texts of the wire; see `to_wire`."""
    names = dataset.wire
    return pa.table({names[column]: _text(table[column], column) for column in names})


def _text(values: pa.ChunkedArray, column: str) -> pa.ChunkedArray:
    if pa.types.is_timestamp(values.type):
        try:
            microseconds = values.cast(pa.timestamp("us", tz="UTC"))
        except pa.ArrowInvalid as error:
            raise GeneratorError(f"times on the wire have whole microseconds: {error}") from error
        return pc.strftime(microseconds, format="%Y-%m-%dT%H:%M:%SZ", locale="C")
    if pa.types.is_date(values.type):
        return values.cast(pa.string())
    if column == "side" and pa.types.is_integer(values.type):
        return pc.if_else(pc.greater(values, 0), "B", "S")
    return values
