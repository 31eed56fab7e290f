"""What a run reads: prices, parted by contract, and what all contracts are seen beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fintech_toolkit.errors import DataError, ParameterError, did_you_mean
from fintech_toolkit.signals.storage import Store

PRICES, VIX, SPX = "spx_holdings_hourly", "vix_hourly", "spx_hourly"
ENDING = ".parquet"


class Market(NamedTuple):
    """What all contracts are seen beside."""

    vix: pd.DataFrame
    spx: pd.DataFrame


class File(NamedTuple):
    """A file, and what tells whether it was replaced."""

    name: str
    stamp: str


@dataclass(frozen=True)
class Prices:
    """Prices, contract after contract, and where each begins and ends."""

    table: pa.Table
    bounds: Mapping[str, tuple[int, int]]

    def of(self, contract: str) -> pd.DataFrame:
        """Return the prices of a contract."""
        first, last = self.bounds[contract]
        frame: pd.DataFrame = self.table.slice(first, last - first).to_pandas(ignore_metadata=True)
        frame.insert(1, "contract", contract)
        return frame


@dataclass(frozen=True)
class Inputs:
    """The files of a folder: ``vix_hourly.parquet``, ``spx_hourly.parquet``, and the prices.

    Prices are one file of all contracts, ``spx_holdings_hourly.parquet``, or a folder ``spx_holdings_hourly`` of a file
    for each, which has its name: then `by_contract` says which there are.
    """

    vix: File
    spx: File
    prices: File | None
    by_contract: Mapping[str, File]


def find_inputs(store: Store) -> Inputs:
    """Look at what a folder holds.

    Raises
    ------
    DataError
        If a file is missing.
    """
    held = set(store.names())
    one_file, wanted = f"{PRICES}{ENDING}", [f"{name}{ENDING}" for name in (VIX, SPX)]
    missing = [name for name in wanted if name not in held]
    if not {PRICES, one_file} & held:
        missing.insert(0, f"{one_file} (or a folder {PRICES} of a file for each contract)")
    if missing:
        raise DataError(
            f"{store.url} lacks {', '.join(missing)}; `fintech-toolkit signals generate` writes all that is needed."
        )
    if {PRICES, one_file} <= held:
        raise DataError(f"{store.url} holds both {one_file} and a folder {PRICES}: remove one of them.")
    files = [f"{PRICES}/{name}" for name in store.names(PRICES) if name.endswith(ENDING)] if PRICES in held else []
    vix, spx = (File(name, store.stamp(name)) for name in wanted)
    return Inputs(
        vix,
        spx,
        prices=File(one_file, store.stamp(one_file)) if one_file in held else None,
        by_contract={
            unquote(name.rpartition("/")[2].removesuffix(ENDING)): File(name, store.stamp(name)) for name in files
        },
    )


def chosen(asked: int | list[str] | None, known: list[str], where: str) -> list[str]:
    """Return the contracts that are asked for, by name.

    Raises
    ------
    DataError
        If there is none at all.
    ParameterError
        If there is none of a name.
    """
    known = sorted(known)
    if not known:
        raise DataError(f"{where} holds no prices of any contract.")
    if asked is None or isinstance(asked, int):
        return known[:asked]
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        raise ParameterError(f"There are no prices of {unknown!r} in {where}. {did_you_mean(unknown, known)}")
    return sorted(set(asked))


def read_market(store: Store, inputs: Inputs) -> Market:
    """Read what all contracts are seen beside."""
    files = (inputs.vix, "vix"), (inputs.spx, "spx")
    tables = [store.table(file.name, file.stamp, ["timestamp", value]) for file, value in files]
    return Market(*(table.to_pandas(ignore_metadata=True) for table in tables))


def read_prices(store: Store, file: File) -> Prices:
    """Read prices, and part them by contract; the order of each contract's rows is kept.

    Raises
    ------
    FintechToolkitError
        If the file is damaged or was replaced, a column is missing, or a price has no contract.
    """
    table = store.table(file.name, file.stamp, ["timestamp", "contract", "price"]).unify_dictionaries()
    named = table["contract"].combine_chunks()
    if not pa.types.is_dictionary(named.type):
        named = pc.dictionary_encode(pc.cast(named, pa.string()))
    if named.null_count:
        row = pc.index(pc.is_null(named), True).as_py()
        raise DataError(f"{store.url}/{file.name}: row {row} has no contract; name it, or leave the row out.")
    names = pc.cast(named.dictionary, pa.string()).to_pylist()
    codes = named.indices.to_numpy().astype(np.min_scalar_type(max(len(names), 1)))  # small ones are sorted faster
    table = table.drop_columns("contract")
    if (codes[1:] < codes[:-1]).any():
        table = table.take(pa.array(np.argsort(codes, kind="stable")))
    ends = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
    bounds = {name: (first, last) for name, first, last in zip(names, [0, *ends], ends, strict=False) if last > first}
    return Prices(table.combine_chunks(), bounds)


def read_own(store: Store, file: File, contract: str) -> Prices:
    """Read the file of a contract.

    Raises
    ------
    FintechToolkitError
        As `read_prices`, and if a row is of another contract.
    """
    prices = read_prices(store, file)
    other = next((name for name in prices.bounds if name != contract), None)
    if other is not None:
        raise DataError(
            f"{store.url}/{file.name} holds {other!r}, not {contract!r} alone; a file in a folder of prices holds the "
            "contract of its name."
        )
    return prices if prices.bounds else Prices(prices.table, {contract: (0, 0)})


def contracts_of(prices: Prices) -> list[Any]:
    """Return which contracts there are."""
    return list(prices.bounds)
