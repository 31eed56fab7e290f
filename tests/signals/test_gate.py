"""What the gate says of a contract's rows: nothing of good ones, and the row of what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from fintech_toolkit.signals import check
from tests.signals.folders import PRICES, SPX, VIX, market

Frames = dict[str, pd.DataFrame]
FRAMES = market(["AAPL"])


def said(frames: Frames, calendar: str | None = "XNYS") -> tuple[str, list[tuple[str, int, str]]]:
    verdict = check(frames[PRICES], frames[VIX], frames[SPX], calendar)
    return verdict.status, [(reason.status, reason.rows, reason.text) for reason in verdict.reasons]


def test_good_rows_pass() -> None:
    assert said(FRAMES) == ("PASS", [])


def changed(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Frames:
    return {**FRAMES, name: change(FRAMES[name].copy())}


def at(column: str, row: int | list[int], value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return change


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[[*range(8), 9, 8, *range(10, 180)]]


def ten_times(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(price=frame["price"].where(frame.index != 60, frame["price"] * 10))


def without_a_day(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["timestamp"].dt.strftime("%F") != "2024-02-06"]


def at_night(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(timestamp=frame["timestamp"].where(frame.index != 179, frame["timestamp"] + pd.Timedelta("6h")))


WRONG = {
    "no row": (PRICES, lambda f: f.iloc[:0], "FAIL", 0, "there is no row"),
    "no zone": (PRICES, lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None)), "FAIL", 180, "localize it"),
    "no number": (PRICES, lambda f: f.assign(price=f["price"].astype(str)), "FAIL", 180, "price is str, not a number"),
    "no stamp": (SPX, at("timestamp", 3, pd.NaT), "FAIL", 1, "spx: timestamp is missing, first in row 3"),
    "twice": (PRICES, lambda f: pd.concat([f, f.tail(1)]), "FAIL", 1, "there twice, first in row 180 (2024-03-27"),
    "out of order": (PRICES, swapped, "WARN", 1, "first in row 9 (2024-01-04"),
    "few missing": (PRICES, at("price", [5, 9], np.nan), "WARN", 2, "missing in 1.11% of rows, first in row 5"),
    "many missing": (PRICES, at("price", list(range(10)), np.nan), "FAIL", 10, "in 5.56% of rows, first in row 0"),
    "negative": (PRICES, at("price", 7, -2.5), "FAIL", 1, "price -2.5 is not positive, first in row 7"),
    "infinite": (PRICES, at("price", 7, np.inf), "FAIL", 1, "price inf is not positive, first in row 7"),
    "a slip": (PRICES, ten_times, "WARN", 1, "in row 60"),
    "VIX stale": (VIX, lambda f: f.drop([30, 31, 32]), "WARN", 3, "older than 2h, at 1.67% of rows"),
    "VIX ends": (VIX, lambda f: f.iloc[:90], "FAIL", 90, "first in row 90"),
    "VIX begins late": (VIX, lambda f: f.iloc[2:], "WARN", 2, "first in row 0"),
    "VIX unknown": (VIX, at("vix", 44, np.nan), "WARN", 1, "first in row 44"),
    "VIX of zero": (VIX, at("vix", 44, 0.0), "FAIL", 1, "vix 0 is not positive, first in row 44"),
    "index missing": (SPX, lambda f: f.iloc[100:], "FAIL", 100, "spx is missing"),
    "a session": (PRICES, without_a_day, "WARN", 0, "first that of 2024-02-06"),
    "at night": (PRICES, at_night, "WARN", 1, "outside the sessions of XNYS, first in row 179"),
}  # fmt: skip


@pytest.mark.parametrize("which", WRONG)
def test_what_is_wrong_is_told_with_its_row(which: str) -> None:
    name, change, status, rows, text = WRONG[which]
    frames = changed(name, change)
    worst, reasons = said(frames)
    assert worst == status
    assert [(s, n) for s, n, t in reasons if text in t] == [(status, rows)], reasons


def test_fat_tails_are_told_and_those_of_chance_are_not() -> None:
    rng = np.random.default_rng(1)
    calm = market(["AAPL"], days=250)
    rows = len(calm[PRICES])
    for moves, found in ((rng.normal(0, 0.01, rows), False), (rng.standard_t(2, rows) * 0.003, True)):
        frames = {**calm, PRICES: calm[PRICES].assign(price=100 * np.exp(np.cumsum(moves)))}
        change = frames[PRICES]["price"].pct_change()
        beyond = int(((change - change.mean()).abs() / change.std(ddof=0) > 3).sum())
        assert beyond > 0
        assert [n for _, n, text in said(frames)[1] if "beyond 3 standard deviations" in text] == [beyond] * found


def test_several_reasons_are_all_told_and_the_worst_counts() -> None:
    frames = changed(PRICES, lambda f: f.assign(price=f["price"].where(f.index != 20, -1.0)).drop(index=40))
    frames[VIX] = frames[VIX].drop([30, 31, 32])
    status, reasons = said(frames)
    assert (status, sorted(s for s, _, _ in reasons)) == ("FAIL", ["FAIL", "WARN"])
    night = changed(PRICES, at_night)
    assert [text for _, _, text in said(night, None)[1]] == [t for _, _, t in said(night)[1] if "XNYS" not in t]
