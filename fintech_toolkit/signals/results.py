"""What runs write: the rows of signals, a file for each contract, or for each contract and stamp."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.errors import DataError
from fintech_toolkit.signals.configuration import RunSettings
from fintech_toolkit.signals.settings import SignalSettings
from fintech_toolkit.signals.storage import Store, file_name

RESULTS = "results"
_ENDING = ".parquet"
_MADE_WITH = b"signals"
_AT_ONCE = 8  # small files are mostly waited for


def in_scope(frame: pd.DataFrame, settings: RunSettings) -> pd.DataFrame:
    """Return the rows that a run writes."""
    first, last = settings.bounds
    chosen = np.ones(len(frame), bool)
    if first is not None:
        chosen &= (frame["timestamp"] >= first).to_numpy()
    if last is not None:
        chosen &= (frame["timestamp"] <= last).to_numpy()
    return frame[chosen]


def write_results(store: Store, contract: str, frame: pd.DataFrame, settings: RunSettings) -> None:
    """Write a contract's rows that a run is to write; the same rows give the same bytes, whoever writes them.

    Rows of a part of time replace those of this time in a file that is there, and leave its others.

    Raises
    ------
    DataError
        If there are results of the other layout, or what is there was made with other settings.
    """
    table = _table(frame, settings.signals)
    folder = f"{RESULTS}/{file_name(contract)}"
    file = f"{folder}{_ENDING}"
    if settings.layout == "stamps":
        if store.has(file):
            raise DataError(f"{store.url}/{file} holds {contract} as one file; choose another output, or remove it.")
        names = frame["timestamp"].dt.tz_convert("UTC").dt.strftime("%Y%m%d_%H%M%S")
        if names.duplicated().any():
            raise DataError(f"Stamps of {contract} lie within one second; files by stamp cannot tell them apart.")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            pieces = (_bytes(table.slice(row, 1)) for row in range(len(table)))
            for _ in pool.map(store.write, (f"{folder}/{name}{_ENDING}" for name in names), pieces):
                pass  # an error is raised here
        return
    if store.names(folder):
        raise DataError(f"{store.url}/{folder} holds {contract} by stamp; choose another output, or remove it.")
    if settings.bounds != (None, None) and store.has(file):
        table = _beside(store, file, table, settings)
    store.write(file, _bytes(table))


def _beside(store: Store, file: str, table: pa.Table, settings: RunSettings) -> pa.Table:
    """Put rows among those of other times."""
    held = pq.read_table(pa.BufferReader(store.read(file)))
    if held.schema.metadata != table.schema.metadata:
        raise DataError(
            f"{store.url}/{file} was made with other settings; run all of its stamps, or choose another output."
        )
    first, last = settings.bounds
    other = pa.array(np.zeros(len(held), bool))
    if first is not None:
        other = pc.or_(other, pc.less(held["timestamp"], pa.scalar(first)))
    if last is not None:
        other = pc.or_(other, pc.greater(held["timestamp"], pa.scalar(last)))
    return pa.concat_tables([held.filter(other), table]).sort_by("timestamp").combine_chunks()


def _table(frame: pd.DataFrame, settings: SignalSettings) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # As they are read back, and not with what pandas says of itself, which changes with its version.
    fields = [field.with_type(_as_read(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, {_MADE_WITH: settings.model_dump_json().encode()}))


def _as_read(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _as_read(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) else kind


def _bytes(table: pa.Table) -> Any:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def read_results(url: str, contracts: list[str] | None = None) -> pd.DataFrame:
    """Return what runs wrote to a folder, of either layout: contract by contract, in order of time.

    Parameters
    ----------
    url : str
        The output of runs.
    contracts : list of str, optional
        Which contracts; all, if left out.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If there are none, or a file is damaged.

    Examples
    --------
    >>> import tempfile
    >>> read_results(tempfile.mkdtemp())
    Traceback (most recent call last):
    fintech_toolkit.errors.DataError: ... holds no results; run `fintech-toolkit signals run` first.
    """
    store = Store(url)
    held = {name.removesuffix(_ENDING): name for name in store.names(RESULTS)}
    wanted = sorted(held) if contracts is None else [file_name(contract) for contract in contracts]
    missing = [name for name in wanted if name not in held]
    if not held or missing:
        what = f"results of {missing[0]}" if held else "results"
        raise DataError(f"{store.url} holds no {what}; run `fintech-toolkit signals run` first.")
    frames = [Files(f"{store.url}/{RESULTS}/{held[name]}").read() for name in wanted]
    read: pd.DataFrame = pa.concat_tables(frames).to_pandas(ignore_metadata=True)
    return read
