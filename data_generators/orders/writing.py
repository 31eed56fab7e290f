"""Files of an exchange: a file for each day and kind, with all securities in order of time."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from data_generators.errors import GeneratorError
from data_generators.folder import written_aside
from data_generators.orders.day import run_day
from data_generators.orders.market import DRAWS, ORDER, QUOTE, SPARE, STATE, TRADE, Array
from data_generators.orders.pool import pool_matches
from data_generators.randomness import check_seed, generator

ZONE = "Australia/Sydney"
TICK = 10
FIRST_DAY = "2024-09-02"
FIRST_SECURITY = 110_001
FORMATS = ("csv", "csv.gz", "parquet")

_HOUR = 3_600 * 10**9
_RECORDS_PER_EVENT = 2.2
_FIRST_ID, _IDS_OF_A_DAY, _IDS_OF_A_SECURITY = 7_900_000_000_000_000_000, 10**12, 10**8
_TRADE_NAMES = {
    "timestamp": "tradetime",
    "security_code": "securitycode",
    "order_id": "orderid",
    "national_bid": "nationalbidpricesnapshot",
    "national_offer": "nationalofferpricesnapshot",
    "price": "tradeprice",
}
_FINAL = ("price", "quantity", "leavesquantity", "totalmatchedquantity", "orderstatus", "changereason")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes
    ----------
    files, found : int
        How many files there are, and how many of them were there already.
    states, trades, bytes : int
        Order states and sides of trades in the files that were written, and what all files take on disk.
    """

    files: int
    found: int
    states: int
    trades: int
    bytes: int


def write_orders(
    folder: str | Path,
    securities: int = 10,
    days: int = 5,
    states: int = 20_000,
    seed: int = 0,
    *,
    format: str = "csv",
    progress: Callable[[int], object] = lambda days: None,
) -> Report:
    """Write what an exchange's files would hold: a file for each day in each of five folders.

    ``orders`` and ``trades`` have the exchange's columns, ``quotes`` each change of the best bid and offer of the lit
    book. The truth is in two: ``truth`` has the last state of each order, and ``matches`` what sweeps would have found
    in the dark pool on the local day, by the rules and in the columns and rows of the matches of
    ``fintech_toolkit.orders.simulate`` with these quotes and its default settings. Trades come of a lit book with
    price-time priority, of a dark pool at the mid, and of an opening and a closing auction. Days are business days from
    2024-09-02 on, in Sydney; on the evening before each, orders that were left are loaded again.

    Parameters
    ----------
    folder : str or Path
        Where the files go. A file that is there already is kept.
    securities, days : int
        How many.
    states : int
        Order states of a security and day, about; a state is some 130 bytes of CSV.
    seed : int
        The same seed gives the same bytes.
    format : {"csv", "csv.gz", "parquet"}
        Of orders, trades and quotes; truth and matches are Parquet.
    progress : callable
        Is told how many days were written since it was last told.

    Returns
    -------
    Report

    Raises
    ------
    GeneratorError
        If a number is out of range, or a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> write_orders(tempfile.mkdtemp(), securities=1, days=2, states=500).files
    10
    """
    check_seed(seed)
    for name, value, most in (("securities", securities, 9_999), ("days", days, 9_999), ("states", states, 10**8)):
        if not 1 <= value <= most:
            raise GeneratorError(f"{name} must be from 1 to {most:,}, not {value!r}")
    if format not in FORMATS:
        raise GeneratorError(f"there is no format {format!r}: choose one of {', '.join(FORMATS)}")
    folder = Path(folder)
    kinds = {"orders": format, "trades": format, "quotes": format, "truth": "parquet", "matches": "parquet"}
    found = rows = sides = size = 0
    try:
        for number, day in enumerate(pd.bdate_range(FIRST_DAY, periods=days)):
            paths = {kind: folder / kind / f"{kind}-{day:%Y-%m-%d}.{ending}" for kind, ending in kinds.items()}
            there = [path for path in paths.values() if path.is_file()]
            found += len(there)
            if len(there) < len(paths):
                tables = _day(securities, number, day, states, seed)
                rows, sides = rows + len(tables["orders"]), sides + len(tables["trades"])
                for kind, path in paths.items():
                    if path not in there:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        _write(tables[kind], path)
            size += sum(path.stat().st_size for path in paths.values())
            progress(1)
    except OSError as error:
        raise GeneratorError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return Report(len(kinds) * days, found, rows, sides, size)


def _write(table: pa.Table, path: Path) -> None:
    with written_aside(path) as file:
        if path.suffix == ".parquet":
            pa.parquet.write_table(table, file)
        elif path.suffix == ".gz":
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                pa.csv.write_csv(table, packed)
        else:
            pa.csv.write_csv(table, file)


def _day(securities: int, number: int, day: pd.Timestamp, states: int, seed: int) -> dict[str, pa.Table]:
    """Return the files of a day."""
    made = [_security(security, number, day, states, seed) for security in range(securities)]
    tables = {}
    for kind in made[0]:
        columns = {name: np.concatenate([each[kind][name] for each in made]) for name in made[0][kind]}
        if kind in ("orders", "trades", "quotes"):
            order = np.argsort(columns["timestamp"], kind="stable")
            columns = {name: values[order] for name, values in columns.items()}
        if kind in ("orders", "trades"):
            columns["sequence"] = np.arange(1, len(columns["timestamp"]) + 1)
        if kind == "trades":
            columns = {_TRADE_NAMES.get(name, name): values for name, values in columns.items()}
        tables[kind] = pa.table(columns)
    return tables


def _security(security: int, number: int, day: pd.Timestamp, states: int, seed: int) -> dict[str, dict[str, Array]]:
    """Return the columns of a security's day."""
    rng = generator(seed, "orders", security, number)
    midnight = int(day.tz_localize(ZONE).value)
    events = max(50, int(states / _RECORDS_PER_EVENT))
    times = np.sort(_times(rng, events)) + midnight
    same = rng.random(events) < 0.02
    times[1:] = np.where(same[1:], times[:-1], times[1:])
    room = 2 * states + 4 * SPARE
    held = np.empty((len(STATE), room), np.int64)
    sides, quotes = np.empty((len(TRADE), 2 * room), np.int64), np.empty((len(QUOTE), room), np.int64)
    orders = np.empty((len(ORDER) + 1, events * 2 + 2), np.int64)
    opens, closes = midnight + 10 * _HOUR, midnight + 16 * _HOUR
    counts = run_day(
        times,
        rng.random((events, DRAWS)),
        opens,
        closes,
        midnight + 16 * _HOUR + _HOUR // 6,
        midnight - 2 * _HOUR - 38 * _HOUR // 60,
        TICK * int(rng.integers(100, 2_000)),
        TICK,
        room - 2 * SPARE - room // 10,
        held,
        sides,
        quotes,
        orders,
    )
    matches = pool_matches(
        held[:, : counts[0]], sides[:, : counts[1]], quotes[:, : counts[2]], counts[3], midnight, opens, closes, TICK
    )
    code = FIRST_SECURITY + security
    first = _FIRST_ID + number * _IDS_OF_A_DAY + security * _IDS_OF_A_SECURITY

    def columns(names: tuple[str, ...], values: Array, count: int) -> dict[str, Array]:
        return {**dict(zip(names, values[:, :count], strict=True)), "security_code": np.full(count, code)}

    found = {
        "orders": columns(STATE, held, counts[0]),
        "trades": columns(TRADE, sides, counts[1]),
        "quotes": columns(QUOTE, quotes, counts[2]),
    }
    last = np.zeros(counts[3], np.int64)
    last[found["orders"]["order"]] = found["orders"]["timestamp"]  # of several the last one stays
    for kind in ("orders", "trades"):
        found[kind] = {"order_id": first + found[kind].pop("order"), **found[kind]}
    found["trades"]["matchgroupid"] = first + found["trades"]["matchgroupid"]
    found["orders"] |= {"bid": found["orders"]["national_bid"], "offer": found["orders"]["national_offer"]}
    final = dict(zip(ORDER, orders[:, : counts[3]], strict=False))
    found["truth"] = {
        "order_id": first + np.arange(counts[3]),
        "security_code": np.full(counts[3], code),
        "timestamp": last,
        **{name: final[name] for name in _FINAL},
    }
    found["matches"] = {
        "order_id": first + matches["order"],
        "security_code": np.full(len(matches["order"]), code),
        "contra_order_id": first + matches["contra"],
        "timestamp": matches["timestamp"],
        "quantity": matches["quantity"],
        "price": matches["price"],
    }
    return found


def _times(rng: np.random.Generator, events: int) -> Array:
    """Draw when events happen, in nanoseconds from midnight: most in the morning and before the close."""
    parts = rng.choice(4, events, p=[0.12, 0.8, 0.06, 0.02])
    early, late = np.array([7.0, 10.0, 16.0, 16.2])[parts], np.array([10.0, 16.0, 16.16, 19.0])[parts]
    where = rng.beta(0.7, 0.7, events)
    times: Array = ((early + (late - early) * where) * _HOUR).astype(np.int64)
    return times
