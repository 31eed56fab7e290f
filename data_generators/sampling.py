"""Generated data in memory: a frame at once, or a stream of batches of any length."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from data_generators.datasets import find_dataset, make_market, rebatch, row_count, row_range, whole_number
from data_generators.faults import Faults


def stream(
    name: str,
    rows: int | None = None,
    *,
    seed: int = 0,
    symbols: int = 1_000,
    profile: str = "narrow",
    batch_rows: int = 65_536,
    faults: Faults | None = None,
) -> Iterator[pa.Table]:
    """Return the rows of a data set as batches, in memory that does not grow with their number.

    Parameters
    ----------
    name : str
        ``"quotes"``, ``"securities"`` or ``"trades"``.
    rows : int, optional
        How many; the usual full size (1.2, 10 and 1 million; 2.64 million wide quotes) if not given. The first
        rows of a longer run are the rows of a shorter one.
    seed : int
        The whole number that all depends on.
    symbols : int
        How many instruments are quoted and traded. The security master does not depend on it.
    profile : str
        ``"narrow"``, or ``"wide"``: the same market in as many columns as feeds have, with one-sided quotes.
    batch_rows : int
        Rows of each batch but the last. The rows do not depend on it.
    faults : Faults, optional
        Shares of records that are wrong; none if not given.

    Returns
    -------
    iterator of pyarrow.Table
        Canonical columns, in order of arrival: in time order where no faults were asked for.

    Raises
    ------
    GeneratorError
        If an argument is out of its range, before anything is drawn.

    Examples
    --------
    >>> [batch.num_rows for batch in stream("trades", rows=2_500, batch_rows=1_000)]
    [1000, 1000, 500]
    """
    dataset, market, faults = find_dataset(name, profile), make_market(seed, symbols), faults or Faults()
    rows = row_count(dataset, faults, rows)
    batch_rows = whole_number(batch_rows, "batch_rows", least=1)
    faults.check_for(dataset.schema.names)
    return rebatch((table for table, _ in row_range(dataset, market, faults, 0, rows)), batch_rows)


def sample(name: str, rows: int = 1_000, *, seed: int = 0, symbols: int = 8, profile: str = "narrow") -> pd.DataFrame:
    """Return the first rows of a data set as a pandas frame, for examples and tests.

    Parameters
    ----------
    name : str
        ``"quotes"``, ``"securities"`` or ``"trades"``.
    rows : int
        How many. Quotes and trades of one seed and as many symbols belong to one market, which has six quotes
        for five trades: ``rows=1200`` of the one cover about the time of ``rows=1000`` of the other.
    seed : int
        The whole number that all depends on.
    symbols : int
        How many instruments are quoted and traded. The security master does not depend on it; quoted
        instruments are found among its first rows.
    profile : str
        ``"narrow"``, or ``"wide"``: the same market in as many columns as feeds have, with one-sided quotes.

    Returns
    -------
    pandas.DataFrame
        Canonical columns. Quotes: symbol, ts, bid, ask, bid_size, ask_size, dealer; where the profile is wide,
        side, price, size and action instead of both sides. Trades: symbol, ts, trade_id, price, size, side (+1
        bought, -1 sold, by the dealer's client), dealer, venue. Prices are percent of par, sizes are face amounts,
        ``ts`` is ``datetime64[ns, UTC]`` and increases strictly, but that a wide quote's two rows have one time.

    Raises
    ------
    GeneratorError
        If an argument is out of its range.

    Examples
    --------
    >>> quotes = sample("quotes", rows=1_000)
    >>> len(quotes), quotes["symbol"].nunique()
    (1000, 8)
    >>> bool((quotes["bid"] < quotes["ask"]).all()), quotes["ts"].is_monotonic_increasing
    (True, True)
    """
    batches = stream(name, whole_number(rows, "rows"), seed=seed, symbols=symbols, profile=profile)
    table = pa.concat_tables([find_dataset(name, profile).schema.empty_table(), *batches])
    frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    return frame
