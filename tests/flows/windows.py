"""What windows must come to, found slowly: row by row, and by pandas of each window's rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fintech_toolkit as ft
from tests import frames

HOWS = ("count", "sum", "mean", "min", "max", "first", "last", "std", "var", "median", "nunique")
ALL = {how: ("price", how) for how in HOWS} | {
    "ids": ("id", "sum"),
    "biggest": ("id", "max"),
    "said": ("note", "first"),
    "notes": ("note", "nunique"),
    "vwap": ft.vwap("price", "size"),
    "change": ft.diff("price"),
}
ROUNDED = ("sum", "mean", "std", "var", "vwap")
"""Sums, which pandas adds up in another way."""

START = 1_723_161_240


@st.composite
def ticks(draw: Any, most: int = 40, disorder: int = 0) -> pd.DataFrame:
    """Ticks within a minute or so, ties included; each comes by so many seconds at most after one of a later time."""
    rows = draw(st.integers(1, most))
    seconds = np.cumsum(draw(st.lists(st.sampled_from([0, 0, 1, 1, 2, 7]), min_size=rows, max_size=rows)))
    moved = np.array(draw(st.lists(st.integers(0, disorder), min_size=rows, max_size=rows)))
    seconds = seconds[np.argsort(seconds + moved, kind="stable")]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    price = np.where(rng.random(rows) < 0.2, np.nan, rng.integers(90, 110, rows) / 8)
    return pd.DataFrame(
        {
            "symbol": pd.array(rng.choice(["A", "B", "C"], rows), dtype="str"),
            "ts": pd.to_datetime(START + seconds, unit="s", utc=True).as_unit("ns"),
            "id": 2**56 + rng.integers(0, 1_000, rows),
            "price": price,
            "size": rng.integers(1, 9, rows).astype(float),
            "note": pd.array(rng.choice(["x", "y", None], rows), dtype="str"),
        }
    )


def market(rows: int) -> pd.DataFrame:
    """Ticks in time order whose ids float64 cannot hold, and int64 can in sum."""
    made = frames.ticks(rows)
    return made.assign(id=made["id"] - 2**62 + 2**55 + 1)


def pieces(frame: Any, cuts: list[int]) -> list[Any]:
    """A frame, cut."""
    edges = [0, *sorted(cut % (len(frame) + 1) for cut in cuts), len(frame)]
    return [frame[start:stop] for start, stop in pairwise(edges)]


def seconds_of(frame: pd.DataFrame) -> list[int]:
    return [stamp.value // 10**9 for stamp in frame["ts"]]


def aligned(frame: pd.DataFrame, size: int, every: int) -> dict[tuple[str, int, int], list[int]]:
    """The rows of each window, in order of time: symbol, start and end in seconds."""
    found: dict[tuple[str, int, int], list[int]] = {}
    at = seconds_of(frame)
    for row in sorted(range(len(frame)), key=lambda row: (at[row], row)):
        for start in range((at[row] - size) // every * every, at[row] + 1, every):
            if start <= at[row] < start + size:
                found.setdefault((frame["symbol"].iloc[row], start, start + size), []).append(row)
    return found


def sessions(frame: pd.DataFrame, gap: int) -> dict[tuple[str, int, int], list[int]]:
    found: dict[tuple[str, int, int], list[int]] = {}
    at = seconds_of(frame)
    for symbol in frame["symbol"].unique():
        own = [row for row in range(len(frame)) if frame["symbol"].iloc[row] == symbol]
        own.sort(key=lambda row: (at[row], row))
        begins = [0, *(k for k in range(1, len(own)) if at[own[k]] - at[own[k - 1]] >= gap), len(own)]
        for first, after in pairwise(begins):
            rows = own[first:after]
            found[symbol, at[rows[0]], at[rows[-1]] + gap] = rows
    return found


def expected(frame: pd.DataFrame, windows: dict[tuple[str, int, int], list[int]], lateness: int = 0) -> pd.DataFrame:
    """A row for each window: by its end, then by the time of its first row."""
    at, rows = seconds_of(frame), []
    for (symbol, start, end), members in sorted(
        windows.items(), key=lambda item: (item[0][2], at[item[1][0]], item[1][0])
    ):
        own = frame.iloc[members]
        row: dict[str, Any] = {"symbol": symbol, "ts": start, "window_end": end}
        there = own["price"].dropna()
        for how in HOWS:
            if how in ("first", "last"):
                row[how] = np.nan if there.empty else there.iloc[0 if how == "first" else -1]
            else:
                row[how] = getattr(there, how)()
        row["ids"], row["biggest"] = sum(own["id"].tolist()), max(own["id"].tolist())
        noted = own["note"].dropna()
        row["said"], row["notes"] = (None if noted.empty else noted.iloc[0]), noted.nunique()
        row["vwap"] = ft.vwap(own["price"].to_numpy(), own["size"].to_numpy())[-1]
        row["change"] = ft.diff(own["price"].to_numpy())[-1]
        rows.append(row | {"known_at": end + lateness})
    return pd.DataFrame(rows)


def check(got: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Hold windows to what they must be."""
    assert list(got.columns) == list(wanted.columns)
    for name in ("ts", "window_end", "known_at"):
        assert [stamp.value for stamp in got[name]] == [second * 10**9 for second in wanted[name]], name
    for name in wanted.columns.drop(["ts", "window_end", "known_at"]):
        if name in ROUNDED:
            assert_allclose(got[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)
        elif name in ("symbol", "said"):
            assert [None if pd.isna(v) else v for v in got[name]] == [None if pd.isna(v) else v for v in wanted[name]]
        else:
            assert_array_equal(got[name].to_numpy(), wanted[name].to_numpy(), err_msg=name)
