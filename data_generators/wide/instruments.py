"""The quoted instruments as the wide master has them, and columns looked up in it."""

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_generators.market import Market, trading_date
from data_generators.securities import BLOCK_ROWS
from data_generators.wide import securities

_DAYS_OF_YEAR = 365.25


@lru_cache(maxsize=4)
def instruments(market: Market) -> pa.Table:
    """Return the rows of the wide master that hold the quoted instruments, in the order of the universe."""
    number, place = np.divmod(market.universe.row, BLOCK_ROWS)
    blocks = [securities.block(market.seed, int(one)).take(pa.array(place[number == one])) for one in np.unique(number)]
    return pa.concat_tables(blocks).combine_chunks()


def places(market: Market, symbol: pa.ChunkedArray) -> Any:
    """Return the position of each symbol among the quoted instruments."""
    return pc.index_in(symbol, market.universe.symbol).to_numpy()


class Lookup:
    """Columns of the master for rows that are each about one instrument, on one day."""

    def __init__(self, market: Market, place: Any, day: int) -> None:
        self._master, self._place, self._day = instruments(market), place, day

    def array(self, column: str) -> pa.Array:
        """Return a column as Arrow has it."""
        return self._master[column].combine_chunks().take(pa.array(self._place))

    def numbers(self, column: str) -> Any:
        """Return a column of numbers or dates as NumPy has it."""
        return self._master[column].to_numpy()[self._place]

    def years(self) -> Any:
        """Return the years to maturity on the day; a month at least, for days go on after the bonds have ended."""
        return np.maximum((self.numbers("maturity") - trading_date(self._day)).astype(float) / _DAYS_OF_YEAR, 1 / 12)

    def frequency(self) -> Any:
        """Return how often a year the yield is compounded: twice where there are no coupons."""
        coupons = self.numbers("coupon_frequency")
        return np.where(coupons > 0, coupons, 2)

    def settlement(self) -> pa.Array:
        """Return the days on which trades of the day are settled."""
        settlement_days = self.numbers("settlement_days")
        dates = np.array([trading_date(self._day + days) for days in range(int(settlement_days.max(initial=0)) + 1)])
        return pa.array(dates[settlement_days])
