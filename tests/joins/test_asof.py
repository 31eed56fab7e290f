"""As-of joins in memory: against pandas, against a brute-force oracle, on recorded ticks, on bad input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from numpy.testing import assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import runs, search
from tests.frames import same
from tests.joins.feeds import Options, best, feed, feeds, options

EMPTY_RIGHT = {"id": "Int64", "price": "float64", "flag": "boolean", "note": "str"}


def expected(left: pd.DataFrame, right: pd.DataFrame, rows: list[int | None]) -> pd.DataFrame:
    """Put the right's rows beside the left's, value by value."""
    result = left.copy()
    for name, dtype in EMPTY_RIGHT.items():
        values = [None if row is None else right[name].iloc[row] for row in rows]
        called = name + "_right" if name in left else name
        result[called] = pd.Series(values, index=left.index, dtype=object).astype(dtype)
    return result


@given(feeds(), options)
@settings(deadline=None, max_examples=80)
def test_is_the_oracle(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    before = left.copy(), right.copy()
    result = ft.asof_join(left, right, **how)
    same(result, expected(left, right, best(left, right, how)))
    same(left, before[0])
    same(right, before[1])


@given(feeds(), options)
@settings(deadline=None, max_examples=80)
def test_is_merge_asof(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    peer = {**how, "tolerance": None if how["tolerance"] is None else pd.Timedelta(how["tolerance"])}
    merged = pd.merge_asof(left, right.assign(row=np.arange(len(right))), on="ts", by="symbol", **peer)
    result = ft.asof_join(left, right.assign(row=np.arange(len(right))), **how)
    # Small integers pass through pandas' float64 unharmed; large ones do not.
    assert_array_equal(result["row"].to_numpy("float64", na_value=np.nan), merged["row"].to_numpy("float64"))


@given(feeds(), options)
@settings(deadline=None, max_examples=40)
def test_rows_of_a_symbol_may_be_together_on_either_side(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    result = ft.asof_join(left, right, **how)
    left_sorted, right_sorted = (frame.sort_values("symbol", kind="stable") for frame in both)
    same(ft.asof_join(left, right_sorted, **how), result)
    same(ft.asof_join(left_sorted, right, **how), result.loc[left_sorted.index])
    same(ft.asof_join(left_sorted, right_sorted, **how), result.loc[left_sorted.index])


@pytest.mark.parametrize("how", [{}, {"direction": "forward"}, {"direction": "nearest", "allow_exact_matches": False}])
@pytest.mark.parametrize("kind", ["category", "str"])
def test_a_few_rows_are_looked_up_in_many(monkeypatch: pytest.MonkeyPatch, kind: str, how: dict[str, Any]) -> None:
    monkeypatch.setattr(runs, "CHUNK", 1_000)
    monkeypatch.setattr(search, "MORSEL", 50)
    random = np.random.default_rng(1)

    def made(rows: int) -> pd.DataFrame:
        ts = np.sort(random.integers(0, 2_000, rows))
        return pd.DataFrame({"symbol": random.choice(["B", "A", "D"], rows), "ts": ts, "row": np.arange(rows)})

    left, right = made(300), made(9_000)
    left.loc[7, "symbol"] = "never"
    merged = pd.merge_asof(left, right, on="ts", by="symbol", **how)["row_y"]
    left, right = (frame.astype({"symbol": kind}) for frame in (left, right))
    together = right.sort_values("symbol", kind="stable")
    for one, expected in ((left, merged), (left.iloc[::-60][::-1], merged.iloc[::-60][::-1])):
        joined = ft.asof_join(one, together, **how)["row_right"]
        assert_array_equal(joined.to_numpy("float64", na_value=np.nan), expected.to_numpy("float64"))


@given(feeds(), options)
@settings(deadline=None, max_examples=40)
def test_arrow_is_pandas(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    result = ft.asof_join(left, right, **how)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in both]
    joined = ft.asof_join(*tables, **how)
    assert joined.equals(pa.Table.from_pandas(result, schema=joined.schema, preserve_index=False))
    chunked = [pa.concat_tables([table.slice(0, 7), table.slice(7)]) for table in tables]
    assert ft.asof_join(*chunked, **how).equals(joined)
    batches = [table.combine_chunks().to_batches() for table in tables]
    if all(batches):
        batch = ft.asof_join(batches[0][0], batches[1][0], **how)
        assert isinstance(batch, pa.RecordBatch)
        assert pa.Table.from_batches([batch]).equals(joined)


@given(feeds(), options)
@settings(deadline=None, max_examples=40)
def test_summary_reconciles(both: tuple[pd.DataFrame, pd.DataFrame], how: Options) -> None:
    left, right = both
    rows = best(left, right, how)
    summary = ft.asof_summary(left, right, **how)
    wide = {**how, "tolerance": None}
    known = set(right["symbol"])
    reasons = dict.fromkeys(summary.counts, 0)
    unbounded, inexact = best(left, right, wide), best(left, right, {**wide, "allow_exact_matches": True})
    for symbol, row, candidate, instant in zip(left["symbol"], rows, unbounded, inexact, strict=True):
        if row is not None:
            reasons["matched"] += 1
        elif symbol not in known:
            reasons["symbol never on right"] += 1
        elif candidate is not None:
            reasons["beyond tolerance"] += 1
        elif instant is not None:
            reasons["only an exact one"] += 1
        else:
            reasons["no row yet"] += 1
    assert summary.counts == reasons
    assert summary.rows == len(left)
    ages = sorted(abs(ts - right["ts"].iloc[row]) for ts, row in zip(left["ts"], rows, strict=True) if row is not None)
    if ages:
        assert (summary.ages["min"], summary.ages["max"]) == (ages[0], ages[-1])
        assert summary.ages["median"] == ages[(len(ages) - 1) // 2]
    assert f"{summary.matched:,} of {len(left):,} rows matched" in repr(summary)
    assert "<table" in summary._repr_html_()


def test_arrow_and_pandas_have_the_same_summary() -> None:
    rng = np.random.default_rng(0)
    left, right = feed(rng, 50, 4), feed(rng, 60, 3)
    tables = [pa.Table.from_pandas(frame) for frame in (left, right)]
    assert ft.asof_summary(*tables, tolerance="2ns") == ft.asof_summary(left, right, tolerance="2ns")


def test_recorded_trades_get_the_quotes_that_merge_asof_gives(real_data: Path) -> None:
    names = {"received_at": "ts"}
    trades = pd.read_parquet(real_data / "market_ticks" / "trades.parquet").rename(columns=names)
    quotes = pd.read_parquet(real_data / "market_ticks" / "quotes.parquet").rename(columns=names)
    quotes = quotes.assign(received=quotes["ts"].dt.tz_convert(None))  # as datetime64, in which NaT equals NaT
    for how in (
        {},
        {"tolerance": "5ms"},
        {"allow_exact_matches": False},
        {"direction": "forward"},
        {"direction": "nearest", "tolerance": "100ms"},
    ):
        peer = {k: pd.Timedelta(v) if k == "tolerance" else v for k, v in how.items()}
        merged = pd.merge_asof(trades, quotes, on="ts", by="symbol", suffixes=("", "_right"), **peer)
        result = ft.asof_join(trades, quotes, **how)
        assert list(result.columns) == list(merged.columns)
        for name in merged.columns.drop("exchange_ms_right"):
            assert_array_equal(result[name].to_numpy(), merged[name].to_numpy(), err_msg=name)
        filled = merged["exchange_ms_right"].notna().to_numpy()
        assert_array_equal(result["exchange_ms_right"].notna().to_numpy(), filled)
        # Milliseconds since 1970 are exact in float64, so that here pandas is right.
        there = merged["exchange_ms_right"].to_numpy()[filled].astype("int64")
        assert_array_equal(result["exchange_ms_right"].to_numpy("int64", na_value=0)[filled], there)
        summary = ft.asof_summary(trades, quotes, **how)
        assert (summary.rows, summary.matched) == (len(trades), int(filled.sum()))
        ages = (result["ts"].dt.tz_convert(None) - result["received"]).abs()
        assert (summary.ages["min"], summary.ages["max"]) == (ages.min(), ages.max())
        by_symbol = ft.asof_join(trades, quotes.sort_values("symbol", kind="stable"), **how)
        same(by_symbol, result)


def seconds(*at: float, unit: str = "ns", utc: bool | None = True) -> Any:
    return pd.to_datetime(list(at), unit="s", utc=utc).as_unit(unit)


LEFT = pd.DataFrame({"symbol": ["A", "B"], "ts": seconds(5, 6), "price": [1.0, 2.0]})
RIGHT = pd.DataFrame({"symbol": ["A", "A", "B"], "ts": seconds(1, 5, 6), "bid": [10, 11, 12]})


def test_dtypes_do_not_depend_on_whether_all_rows_match() -> None:
    whole = ft.asof_join(LEFT, RIGHT)
    part = ft.asof_join(LEFT.assign(symbol="Z"), RIGHT)
    assert_array_equal(whole["bid"].to_numpy(), [11, 12])
    assert part["bid"].isna().all()
    assert whole.dtypes.equals(part.dtypes)
    assert str(whole["bid"].dtype) == "Int64"


def test_every_type_of_column_comes_across() -> None:
    values = {
        "i8": np.array([1, 2, 3], "i1"),
        "u64": np.array([2**64 - 1, 2, 2**63], "u8"),
        "f4": np.array([0.1, 0.2, 0.3], "f4"),
        "flag": np.array([True, False, True]),
        "when": seconds(1, 2, 3, utc=None),
        "zone": seconds(1, 2, 3).tz_convert("America/New_York"),
        "age": pd.to_timedelta([1, 2, 3], unit="s"),
        "text": pd.array(["x", None, "z"], dtype="str"),
        "kind": pd.Categorical(["x", "y", "x"]),
        "thing": pd.Series([object(), (1, 2), None], dtype=object),
        "count": pd.array([1, None, 2**62 + 1], dtype="Int64"),
    }
    right = RIGHT[["symbol", "ts"]].assign(**values)
    left = LEFT.assign(symbol=["A", "Z"])
    row = ft.asof_join(left, right)
    for name, column in values.items():
        assert row[name].isna().iloc[1], name
        there = pd.Series(column).iloc[1]
        assert row[name].isna().iloc[0] if there is pd.NA or there != there else row[name].iloc[0] == there, name
    assert str(row["u64"].dtype) == "UInt64"
    assert row["f4"].dtype == "f4"
    assert row["zone"].dtype == right["zone"].dtype
    assert row["kind"].dtype == right["kind"].dtype


def test_resolutions_and_zones_are_compared_exactly() -> None:
    coarse = LEFT.assign(ts=seconds(5, 6, unit="s").tz_convert("Asia/Tokyo"))
    assert_array_equal(ft.asof_join(coarse, RIGHT)["bid"].to_numpy(), [11, 12])
    late = RIGHT.assign(ts=RIGHT["ts"] + pd.Timedelta(1, "ns"))
    result = ft.asof_join(coarse, late)["bid"]
    assert result.iloc[0] == 10
    assert result.isna().iloc[1]
    assert ft.asof_join(coarse, RIGHT)["ts"].dtype == coarse["ts"].dtype


def test_symbols_may_be_integers_or_categories_with_unused_levels() -> None:
    coded = LEFT.assign(symbol=pd.Categorical(LEFT["symbol"], ["unused", "B", "A"]))
    result = ft.asof_join(coded, RIGHT)
    assert_array_equal(result["bid"].to_numpy(), [11, 12])
    assert result["symbol"].dtype == coded["symbol"].dtype
    numbers = {"A": 2**60 + 1, "B": 2**60}
    left, right = (frame.assign(symbol=frame["symbol"].map(numbers)) for frame in (LEFT, RIGHT))
    assert_array_equal(ft.asof_join(left, right)["bid"].to_numpy(), [11, 12])


def test_without_symbols_all_rows_are_of_one() -> None:
    left, right = LEFT.drop(columns="symbol"), RIGHT.drop(columns="symbol")
    assert_array_equal(ft.asof_join(left, right, by=None)["bid"].to_numpy(), [11, 12])


def test_how_frames_in_memory_and_streams_are_joined_is_told() -> None:
    for sort in (lambda frame: frame, pa.Table.from_pandas):
        plan = ft.asof_explain(sort(LEFT), sort(RIGHT))
        assert (plan.name, plan.chunks) == ("one scan", f"left {len(LEFT)} rows, right {len(RIGHT)} rows")
        with pytest.raises(ft.ColumnError, match="no column 'when' on the right"):
            ft.asof_explain(sort(LEFT), sort(RIGHT), right_on="when")
    assert ft.asof_explain(Stream(), Stream()).name == "live"
    with pytest.raises(ft.PipelineError, match="takes two pandas DataFrames"):
        ft.asof_explain(LEFT, 7)


NAMES = {"symbol": "ticker", "ts": "time", "bid": "not looked at"}


@pytest.mark.parametrize(
    "how",
    [
        {"symbol": "ticker", "time": "time"},
        {"columns": NAMES},
        {"symbol": "ticker", "columns": NAMES},
        {"by": "ticker", "on": "time"},
        {"by": "ticker", "time": "time"},
    ],
    ids=str,
)
def test_symbol_and_time_are_called_as_in_pipelines_and_as_in_pandas(how: dict[str, Any]) -> None:
    left, right = (frame.rename(columns={"symbol": "ticker", "ts": "time"}) for frame in (LEFT, RIGHT))
    expected = ft.asof_join(LEFT, RIGHT).rename(columns={"symbol": "ticker", "ts": "time"})
    same(ft.asof_join(left, right, **how), expected)
    assert ft.asof_summary(left, right, **how).counts == ft.asof_summary(LEFT, RIGHT).counts
    join = ft.AsofJoin(**how)
    join.right(right)
    assert join.options == ft.AsofJoin("ticker", "time").options


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"symbol": "a", "by": "b"}, "by='b' and symbol='a' say the same thing twice"),
        ({"symbol": None, "by": "b"}, "by='b' and symbol=None say the same thing twice"),
        ({"time": "a", "on": "b"}, "on='b' and time='a' say the same thing twice"),
        ({"columns": {"ts": "a"}, "on": "b"}, "on='b' and columns={'ts': 'a'} say the same thing twice"),
        ({"columns": {"symbol": "a"}, "by": None}, "by=None and columns={'symbol': 'a'} say the same thing twice"),
        ({"columns": {"ts": "a"}, "time": "b"}, "time='b' and columns={'ts': 'a'} contradict each other"),
        ({"columns": ["ts"]}, "columns=['ts'] must say what columns are called"),
        ({"symbol": "ts"}, "symbol='ts' and time='ts' must name one column of symbols"),
    ],
)
def test_what_is_said_twice_is_an_error(how: dict[str, Any], said: str) -> None:
    with pytest.raises(ft.ParameterError, match=re.escape(said)):
        ft.asof_join(LEFT, RIGHT, **how)


def test_columns_are_named_by_suffixes() -> None:
    right = RIGHT.assign(price=[7.0, 8.0, 9.0])
    joined = ft.asof_join(LEFT, right, suffixes=("_trade", "_quote"))
    assert list(joined.columns) == ["symbol", "ts", "price_trade", "bid", "price_quote"]
    arrow = ft.asof_join(*map(pa.Table.from_pandas, (LEFT, right)), suffixes=("_trade", "_quote"))
    assert arrow.column_names == list(joined.columns)
    with pytest.raises(ft.ColumnError, match="two columns called 'price'"):
        ft.asof_join(LEFT, right, suffixes=("", ""))


def test_left_is_kept_as_it_is() -> None:
    left = LEFT.set_index(pd.Index([3, 3], name="row"))
    result = ft.asof_join(left, RIGHT)
    same(result[left.columns], left)


def _null(frame: pd.DataFrame, name: str, row: int) -> pd.DataFrame:
    column = frame[name].copy()
    column.iloc[row] = None
    return frame.assign(**{name: column})


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (
            LEFT,
            RIGHT.iloc[[1, 0, 2]],
            r"right frame: column 'ts' goes backwards for symbol 'A' at row 1 \(1970-.*:01\)",
        ),
        (
            LEFT.iloc[[1, 0, 0]].assign(symbol="A"),
            RIGHT,
            r"left frame: column 'ts' goes backwards for symbol 'A' at row 1",
        ),
        (_null(LEFT, "symbol", 1), RIGHT, "left frame: column 'symbol' has no symbol at row 1"),
        (LEFT, _null(RIGHT, "ts", 2), "right frame: column 'ts' has no time for symbol 'B' at row 2"),
        (LEFT, _null(RIGHT, "ts", 0), "right frame: column 'ts' has no time for symbol 'A' at row 0"),
        (
            LEFT.assign(ts=seconds(5, 6, utc=None)),
            RIGHT,
            "'ts' holds naive times in the left frame and aware ones in the",
        ),
        (LEFT.assign(ts=[5, 6]), RIGHT, "'ts' holds int times in the left frame and aware ones in the right"),
        (LEFT.assign(ts=[5.0, 6.0]), RIGHT, "left frame: Column 'ts' must hold times, not float64"),
        (LEFT.assign(ts=LEFT["ts"].astype(object)), RIGHT, "left frame: Column 'ts' must hold times, not object"),
        (
            LEFT.assign(ts=pd.to_datetime(["1970", "2500"], utc=True)),
            RIGHT,
            "left frame: Column 'ts' holds times that int64 nanoseconds cannot",
        ),
        (LEFT.assign(symbol=[1, 2]), RIGHT, "one is a string, one an integer; convert one column"),
        (LEFT.assign(symbol=[0.5, 2]), RIGHT, "left frame: Column 'symbol' holds double; symbols must be all strings"),
    ],
)
def test_rows_that_cannot_be_used_are_named(left: pd.DataFrame, right: pd.DataFrame, message: str) -> None:
    with pytest.raises(ft.DataError, match=message):
        ft.asof_join(left, right)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"by": "simbol"}, ft.ColumnError, "no column 'simbol' in the right frame. Did you mean 'symbol'"),
        ({"on": "time"}, ft.ColumnError, "no column 'time' in the right frame"),
        ({"direction": "backwards"}, ft.ParameterError, "Did you mean 'backward'"),
        ({"tolerance": "soon"}, ft.ParameterError, "tolerance='soon' is not a duration"),
        ({"tolerance": "-1s"}, ft.ParameterError, "must not be negative"),
        ({"allow_exact_matches": 1}, ft.ParameterError, "True or False"),
        ({"suffixes": "_right"}, ft.ParameterError, "two strings"),
        ({"by": "ts"}, ft.ParameterError, "one column of symbols"),
    ],
)
def test_options_that_cannot_be_used_are_named(how: Options, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ft.asof_join(LEFT, RIGHT, **how)


def test_frames_must_be_of_one_sort() -> None:
    for left, right in ((LEFT, pa.Table.from_pandas(RIGHT)), (LEFT, None), (LEFT.to_dict("list"), RIGHT)):
        for what in (ft.asof_join, ft.asof_summary):
            with pytest.raises(ft.PipelineError, match="two pandas DataFrames, two Arrow tables"):
                what(left, right)
