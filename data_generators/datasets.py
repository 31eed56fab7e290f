"""The data sets that exist, and their rows by number: any range of rows can be made alone."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from data_generators import market, securities
from data_generators.errors import GeneratorError
from data_generators.faults import FAULTS_SCHEMA, Faults, fault_counts, inject
from data_generators.market import Market
from data_generators.randomness import generator
from data_generators.wide import columns, quotes, trades
from data_generators.wide import securities as wide_securities


@dataclass(frozen=True)
class Dataset:
    """What the rest of the package needs to know of a data set.

    Parameters
    ----------
    name : str
        Such as ``"quotes"``.
    schema : pyarrow.Schema
        Canonical columns.
    wire : dict of str to str
        Canonical column to its name on the wire, in the order of the wire.
    default_rows : int
        Rows of the data set at its usual full size.
    block_rows : int
        Rows of a block, the unit that is drawn at once.
    max_blocks : int
        How many blocks there can be.
    partition_blocks : int
        Blocks of a partition, unless another number of partitions is asked for.
    distinct : tuple of str
        Columns whose values hardly repeat, so that a dictionary of them would not pay.
    block : callable
        From a market, the number of a block and how many of its quotes are withdrawn, to its table.
    withdrawable : int
        Quotes of a block that may be withdrawn, each by `quotes.WITHDRAWAL_ROWS` more rows.
    """

    name: str
    schema: pa.Schema
    wire: dict[str, str]
    default_rows: int
    block_rows: int
    max_blocks: int
    partition_blocks: int
    distinct: tuple[str, ...]
    block: Callable[[Market, int, int], pa.Table]
    withdrawable: int = 0


_QUOTES = Dataset(
    "quotes",
    market.QUOTES_SCHEMA,
    {
        "symbol": "instrumentId",
        "dealer": "dealerId",
        "bid": "bidPrice",
        "ask": "offerPrice",
        "bid_size": "bidSize",
        "ask_size": "offerSize",
        "ts": "timestamp",
    },
    1_200_000,
    market.QUOTES_PER_DAY,
    market.MAX_DAYS,
    1,
    (),
    lambda where, day, _: where.day(day)[0],
)
_SECURITIES = Dataset(
    "securities",
    securities.SCHEMA,
    {
        "symbol": "instrumentId",
        "name": "securityName",
        "cusip": "cusip",
        "isin": "isin",
        "segment": "marketSegment",
        "issuer": "issuer",
        "sector": "sector",
        "currency": "currency",
        "coupon": "coupon",
        "maturity": "maturity",
        "issue_date": "issueDate",
        "rating": "rating",
        "country": "country",
        "exchange": "exchange",
        "status": "status",
        "min_denomination": "minDenomination",
    },
    10_000_000,
    securities.BLOCK_ROWS,
    securities.MAX_BLOCKS,
    32,
    ("symbol", "name", "cusip", "isin", "issuer"),
    lambda where, number, _: securities.block(where.seed, number),
)
_TRADES = Dataset(
    "trades",
    market.TRADES_SCHEMA,
    {
        "trade_id": "tradeId",
        "symbol": "instrumentId",
        "price": "price",
        "size": "quantity",
        "ts": "timestamp",
        "side": "buySellIndicator",
        "dealer": "dealerId",
        "venue": "venue",
    },
    1_000_000,
    market.TRADES_PER_DAY,
    market.MAX_DAYS,
    1,
    (),
    lambda where, day, _: where.day(day)[1],
)


def _wire_names(schema: pa.Schema, *narrow: Dataset) -> dict[str, str]:
    """Return the names of wide columns on the wire: those of the narrow ones, and the others spelled alike."""
    known = {column: name for dataset in reversed(narrow) for column, name in dataset.wire.items()}
    return {column: known.get(column) or _camel(column.replace("_ts", "_timestamp")) for column in schema.names}


def _camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)


_WIDE = (
    replace(
        _QUOTES,
        schema=columns.QUOTES,
        wire=_wire_names(columns.QUOTES, _QUOTES, _TRADES) | {"side": "side"},
        default_rows=5 * quotes.ROWS_PER_DAY,
        block_rows=quotes.ROWS_PER_DAY,
        distinct=(),
        block=quotes.day,
        withdrawable=market.QUOTES_PER_DAY,
    ),
    replace(
        _SECURITIES,
        schema=columns.SECURITIES,
        wire=_wire_names(columns.SECURITIES, _SECURITIES),
        distinct=(*_SECURITIES.distinct, "figi", "sedol", "lei", "parent_lei", "ticker"),
        block=lambda where, number, _: wide_securities.block(where.seed, number),
    ),
    replace(
        _TRADES,
        schema=columns.TRADES,
        wire=_wire_names(columns.TRADES, _TRADES, _SECURITIES),
        distinct=trades.DISTINCT,
        block=lambda where, day, _: trades.day(where, day),
    ),
)
PROFILES = {
    "narrow": {dataset.name: dataset for dataset in (_QUOTES, _SECURITIES, _TRADES)},
    "wide": {dataset.name: dataset for dataset in _WIDE},
}
DATASETS = PROFILES["narrow"]


def find_dataset(name: str, profile: str = "narrow") -> Dataset:
    """Return the data set of that name and profile, or raise `GeneratorError` with the names that exist."""
    if profile not in PROFILES:
        raise GeneratorError(f"there is no profile {profile!r}: choose one of {', '.join(PROFILES)}")
    if name not in PROFILES[profile]:
        raise GeneratorError(f"there is no data set {name!r}: choose one of {', '.join(PROFILES[profile])}")
    return PROFILES[profile][name]


def whole_number(value: object, name: str, least: int = 0) -> int:
    """Return a whole number, also from a float such as 1.2e6, or raise `GeneratorError` naming it.

    Examples
    --------
    >>> whole_number(1.2e6, "rows")
    1200000
    >>> whole_number(-5, "rows")
    Traceback (most recent call last):
    data_generators.errors.GeneratorError: rows must be a whole number of at least 0, not -5
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise GeneratorError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return number


def make_market(seed: object, symbols: object) -> Market:
    """Return the market of a seed, whatever kind of whole numbers are given."""
    return Market(whole_number(seed, "seed"), whole_number(symbols, "symbols", least=1))


def row_count(dataset: Dataset, faults: Faults, rows: object) -> int:
    """Return the number of rows that is meant, the usual one for None, or raise `GeneratorError`."""
    count = dataset.default_rows if rows is None else whole_number(rows, "rows")
    most = dataset.max_blocks * block_size(dataset, faults)
    if count > most:
        raise GeneratorError(f"rows of {dataset.name} must be at most {most:,}, not {count:,}")
    return count


def block_size(dataset: Dataset, faults: Faults) -> int:
    """Return the rows that a block has when its records have these faults: withdrawals and duplicates are added."""
    rows = dataset.block_rows + quotes.WITHDRAWAL_ROWS * _withdrawals(dataset, faults)
    return rows + fault_counts(faults, rows)["duplicate"]


def _withdrawals(dataset: Dataset, faults: Faults) -> int:
    return fault_counts(faults, dataset.withdrawable)["withdrawn"]


def row_range(
    dataset: Dataset, where: Market, faults: Faults, start: int, stop: int
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield rows ``start`` to ``stop - 1`` of a data set, a block or a part of one at a time.

    Parameters
    ----------
    dataset, where, faults
        What to draw.
    start, stop : int
        Row numbers. A row does not depend on them: it is the same in every range that holds it.

    Yields
    ------
    (pyarrow.Table, pyarrow.Table)
        The rows in canonical columns, and the faults among them (`FAULTS_SCHEMA`).
    """
    size = block_size(dataset, faults)
    for number in range(start // size, -(-stop // size)):
        table, listed = dataset.block(where, number, _withdrawals(dataset, faults)), FAULTS_SCHEMA.empty_table()
        first = number * size
        if faults.any():
            table, listed = inject(table, faults, generator(where.seed, f"faults of {dataset.name}", number), first)
        low, high = max(start - first, 0), min(stop - first, size)
        if (low, high) != (0, size):
            table = table.slice(low, high - low)
            row = listed["row"].to_numpy()
            listed = listed.filter(pa.array((row >= first + low) & (row < first + high), pa.bool_()))
        yield table, listed


def rebatch(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cut a stream of tables anew, so that each but the last has exactly ``rows`` rows."""
    waiting: list[pa.Table] = []
    held = 0
    for table in tables:
        while held + table.num_rows >= rows:
            need = rows - held
            yield pa.concat_tables([*waiting, table.slice(0, need)]).combine_chunks()
            table = table.slice(need)  # noqa: PLW2901
            waiting, held = [], 0
        if table.num_rows:
            waiting.append(table)
            held += table.num_rows
    if held:
        yield pa.concat_tables(waiting).combine_chunks()
