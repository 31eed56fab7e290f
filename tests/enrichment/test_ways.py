"""The whole enrichment gives the same bits on pandas, Arrow, Dask in both plans, and frame by frame."""

from __future__ import annotations

import os
import signal
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from streamz import Stream

import data_generators
import fintech_toolkit as ft
from fintech_toolkit import enrichment
from fintech_toolkit.errors import ColumnError, DataError
from tests.frames import same

ROWS = 3_000
KEYS = ("ts", "symbol", "segment", "sector", "dealer", "venue", "trade_id")
Market = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def market() -> Market:
    return {name: data_generators.sample(name, rows=ROWS) for name in ("quotes", "securities", "trades")}


@pytest.fixture(scope="module")
def expected(market: Market) -> dict[str, pd.DataFrame]:
    found = vars(ft.enrich(**market))
    assert all(len(frame) for frame in found.values())
    return found


def as_pandas(got: Any, like: pd.DataFrame) -> pd.DataFrame:
    """Rows by time, in pandas' dtypes: Arrow and Dask have others for texts and for integers that may be missing."""
    frame = got.to_pandas() if isinstance(got, pa.Table) else got
    return in_order(frame.astype(like.dtypes.to_dict()))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [
        name for name in ("ts", "symbol", "segment", "sector", "dealer", "venue", "trade_id") if name in frame.columns
    ]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def hold(got: dict[str, Any], expected: dict[str, pd.DataFrame]) -> None:
    assert list(got) == list(expected)
    for name, frame in expected.items():
        same(as_pandas(got[name], frame), in_order(frame))


def test_arrow(market: Market, expected: dict[str, pd.DataFrame]) -> None:
    tables = {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in market.items()}
    hold(vars(ft.enrich(**tables)), expected)


@pytest.mark.parametrize("plan", ["in time order", "by symbol"])
def test_dask(market: Market, expected: dict[str, pd.DataFrame], plan: str) -> None:
    frames = {name: dd.from_pandas(market[name], npartitions=3, sort=False) for name in ("quotes", "trades")}
    if plan == "by symbol":
        frames = {name: ft.partition_by_symbol(frame, npartitions=3) for name, frame in frames.items()}
    with dask.config.set({"dataframe.convert-string": False}, scheduler="sync"):
        found = vars(ft.enrich(**frames, securities=market["securities"]))
        hold(dict(zip(found, dask.compute(*found.values()), strict=True)), expected)


def test_frame_by_frame(market: Market, expected: dict[str, pd.DataFrame]) -> None:
    """Runs that feed each other, as micro-batches come."""
    runs = {name: flow.start() for name, flow in enrichment.dataflows().items()}
    made: dict[str, list[Any]] = {name: [] for name in runs}
    cuts = pd.to_datetime(sorted(market["quotes"]["ts"])[:: ROWS // 5]).append(pd.DatetimeIndex([None]))

    def between(frame: pd.DataFrame, number: int) -> pd.DataFrame:
        started = frame["ts"] >= cuts[number] if number else frame["ts"] == frame["ts"]
        return frame[started & ~(frame["ts"] >= cuts[number + 1])]

    def take(frames: dict[str, Any], name: str, run: ft.FlowRun, flush: bool) -> None:
        there = {s: frames[s] for s in run_sources[name] if frames.get(s) is not None}
        rows = [run(**there) if there else None, run.flush() if flush else None]
        kept = [each for each in rows if each is not None and len(each)]
        made[name] += kept
        frames[f"enriched_{name}"] = pd.concat(kept) if kept else None

    run_sources = {name: flow.sources for name, flow in enrichment.dataflows().items()}
    last = len(cuts) - 2
    for number in range(last + 1):
        frames: dict[str, Any] = {name: between(market[name], number) for name in ("quotes", "trades")}
        frames |= {} if number else {"securities": market["securities"]}
        for name, run in runs.items():
            take(frames, name, run, flush=number == last)
    hold({name: pd.concat(frames) for name, frames in made.items()}, expected)


def test_streams(market: Market, expected: dict[str, pd.DataFrame]) -> None:
    """All flows live, each fed by those before it; a quote and a trade, days after all else, make all known."""
    quotes, trades = Stream(), Stream()
    streams: dict[str, Any] = {"quotes": quotes, "trades": trades, "securities": market["securities"]}
    rows = {}
    for name, flow in enrichment.dataflows().items():
        streams[f"enriched_{name}"] = flow.live(**{source: streams[source] for source in flow.sources})
        rows[name] = streams[f"enriched_{name}"].sink_to_list()
    for start in range(0, ROWS, 500):
        trades.emit(market["trades"].iloc[start : start + 500])
        quotes.emit(market["quotes"].iloc[start : start + 500])
    end = market["quotes"]["ts"].max() + pd.Timedelta("3D")
    for days in range(4):  # a result waits for those that it is made of
        for name, source in (("trades", trades), ("quotes", quotes)):
            source.emit(market[name].iloc[-1:].assign(ts=end + pd.Timedelta(days=days)))
    for name, frame in expected.items():
        found = pd.concat(rows[name], ignore_index=True)
        same(in_order(found[found["ts"] < end - pd.Timedelta("1D")]), in_order(frame))


def test_json(market: Market, expected: dict[str, pd.DataFrame]) -> None:
    for flow in enrichment.dataflows(max_age="1min", wide=True).values():
        assert ft.Flow.from_json(flow.to_json()) == flow
    again = ft.Flow.from_json(enrichment.quotes().to_json())
    same(again(quotes=market["quotes"], securities=market["securities"]), expected["quotes"])


def test_top_instruments(market: Market) -> None:
    volumes = market["trades"].groupby("symbol")["size"].sum().sort_values(ascending=False)
    for frames in (market, {name: pa.Table.from_pandas(frame) for name, frame in market.items()}):
        top = ft.enrich(**frames).top_instruments(3)
        assert top["symbol"].tolist() == volumes.index[:3].tolist()
        assert top["volume"].tolist() == volumes.iloc[:3].tolist()


@pytest.mark.parametrize("without", [["trades"], ["quotes"], ["quotes", "trades", "securities"]], ids=" ".join)
def test_a_day_on_which_nothing_came(market: Market, expected: dict[str, pd.DataFrame], without: list[str]) -> None:
    frames = {name: frame.iloc[:0] if name in without else frame for name, frame in market.items()}
    for given in (frames, {name: pa.Table.from_pandas(frame) for name, frame in frames.items()}):
        found = vars(ft.enrich(**given))
        for name, frame in expected.items():
            assert list(found[name].columns if given is frames else found[name].column_names) == list(frame.columns)
        counts = {name: len(found[name]) for name in ("quotes", "trades")}
        assert counts == {name: 0 if name in without else ROWS for name in counts}


def test_nothing_is_lost_of_what_nobody_knows(market: Market) -> None:
    """Instruments that the master does not have, and quotes and trades without a dealer."""
    unknown = market["quotes"]["symbol"].iloc[0]
    frames = {name: market[name].copy() for name in ("quotes", "trades")}
    for frame in frames.values():
        frame.loc[frame.index[::10], "dealer"] = None
    enriched = ft.enrich(**frames, securities=market["securities"].query("symbol != @unknown"))
    of_unknown = (market["quotes"]["symbol"] == unknown).sum()
    assert enriched.segments.query("segment.isna()")["quotes"].sum() == of_unknown > 0
    assert enriched.dealers.query("dealer.isna()")["quotes"].sum() == ROWS // 10
    for name, column, rows in (
        ("segments", "quotes", ROWS),
        ("dealers", "quotes", ROWS),
        ("execution", "trades", ROWS),
    ):
        assert getattr(enriched, name)[column].sum() == rows


def test_errors_say_where(market: Market) -> None:
    with pytest.raises(ColumnError, match=r"In the flow of quotes: In node \d.*no column 'dealer'"):
        ft.enrich(**market | {"quotes": market["quotes"].drop(columns="dealer")})
    with pytest.raises(ColumnError, match=r"In the flow of trades: In node \d.*no column 'side'"):
        ft.enrich(**market | {"trades": market["trades"].drop(columns="side")})
    reference = pd.concat([market["securities"], market["securities"].head(3)])
    with pytest.raises(DataError, match=r"In the flow of quotes: .*B00000000"):
        ft.enrich(**market | {"securities": reference})


def test_a_worker_that_is_killed_in_mid_enrichment(
    market: Market, expected: dict[str, pd.DataFrame], client: Client
) -> None:
    frames = {name: dd.from_pandas(market[name], npartitions=3, sort=False) for name in ("quotes", "trades")}
    found = vars(ft.enrich(**frames, securities=market["securities"]))
    futures = client.compute(list(found.values()))
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    hold(dict(zip(found, client.gather(futures), strict=True)), expected)
