"""Flows as data: equal, hashable, JSON and YAML and back; how they show themselves; what is refused at once."""

from __future__ import annotations

import json
import pickle
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings

import fintech_toolkit as ft
from fintech_toolkit.errors import ColumnError, ParameterError, PipelineError
from tests.flows.worlds import flows, world

WORLD = world(20)
TRADES, QUOTES, BONDS = ft.source("trades"), ft.source("quotes"), ft.source("bonds")


@given(flows())
@settings(deadline=None, max_examples=100)
def test_come_back_equal(flow: ft.Flow) -> None:
    for again in (
        ft.Flow.from_json(flow.to_json()),
        ft.Flow.from_yaml(flow.to_yaml()),
        pickle.loads(pickle.dumps(flow)),
    ):
        assert again == flow
        assert hash(again) == hash(flow)
        assert repr(again) == repr(flow)


def test_a_flow_that_another_version_wrote() -> None:
    data = json.loads(TRADES.to_json()) | {"format": 99}
    with pytest.raises(PipelineError, match="was written in format 99; this version reads 1"):
        ft.Flow.from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"format": 1}', '{"format": 1, "flow": {"node": "delete", "path": "/"}}', "{}"]
)
def test_what_is_no_flow(text: str) -> None:
    with pytest.raises(PipelineError, match="is not a flow"):
        ft.Flow.from_json(text)


def test_yaml_runs_nothing() -> None:
    for text in ("!!python/object/apply:os.getpid []", "format: 1\nflow: !!python/name:os.system ''", "a: [", "- 1"):
        with pytest.raises(PipelineError, match="is not a flow"):
            ft.Flow.from_yaml(text)


def test_yaml_is_readable() -> None:
    data = yaml.safe_load(TRADES.filter(("price", ">", 99)).to_yaml())
    assert data == {
        "format": 1,
        "flow": {"node": "filter", "frame": {"node": "source", "name": "trades"}, "where": [[["price", ">", 99]]]},
    }


def test_a_flow_never_changes() -> None:
    before = TRADES.to_json()
    TRADES.filter(("price", ">", 99)).select("price")
    assert TRADES.to_json() == before


def test_bars_upon_a_flow() -> None:
    steps = ft.midprice() | ft.ewma("mid", span=9)
    assert QUOTES | steps == QUOTES.pipe(steps)
    assert QUOTES | ft.midprice() == QUOTES.pipe(ft.midprice())
    assert QUOTES.pipe(ft.ewma("bid", span=9), time=None).node.pipeline.time is None  # type: ignore[attr-defined]


def test_shows_itself() -> None:
    flow = TRADES.asof_join(QUOTES.pipe(ft.midprice())).join(BONDS, on="symbol").filter(("price", ">", 99))
    plan = flow.explain(trades=["symbol", "ts", "price"], quotes=["symbol", "ts", "bid", "ask"], bonds=["symbol", "z"])
    for drawn in (flow._repr_html_(), plan._repr_html_()):
        assert drawn.count("<div") == drawn.count("</div>")
        assert "price &gt; 99" in drawn
    assert "keeps rows, needs order within the symbol" in plan._repr_html_()
    assert "8 columns: symbol, ts, price, bid, ask, mid" in plan._repr_html_().replace("7 columns", "8 columns")
    assert repr(plan).startswith("Written:\n  7 filter price > 99\n  └─ 6 join on symbol, inner\n")
    assert "joins first: join on symbol, inner, upon as-of join" in repr(plan)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ft.source("my quotes"), "a source is given by its name, so this must be one"),
        (lambda: ft.source("without"), "a source is given by its name"),
        (lambda: ft.source(1), "a source is given by its name"),
        (TRADES.select, "select takes names of columns"),
        (lambda: TRADES.select("price", "price"), "select takes names of columns, each once"),
        (lambda: TRADES.select(1), "select takes names of columns"),
        (lambda: TRADES.rename({}), "needs a mapping of old names to new ones"),
        (lambda: TRADES.rename({"a": 1}), "needs a mapping of old names to new ones"),
        (lambda: TRADES.join(BONDS), "A join needs on=…, or left_on=… and right_on=…"),
        (lambda: TRADES.join(BONDS, on="symbol", left_on="symbol"), "A join needs on=…"),
        (lambda: TRADES.join(BONDS, left_on="symbol"), "A join needs on=…"),
        (lambda: TRADES.join(BONDS, left_on=["symbol"], right_on=["a", "b"]), "must name as many columns"),
        (lambda: TRADES.join(BONDS, on=[]), "on= takes names of columns"),
        (lambda: TRADES.join(BONDS, on="symbol", how="outer"), "how='outer' must be 'inner' or 'left'"),
        (lambda: TRADES.join(WORLD["bonds"], on="symbol"), "join takes a flow, such as ft.source"),
        (lambda: TRADES.asof_join(WORLD["quotes"]), "asof_join takes a flow"),
        (lambda: TRADES.asof_join(QUOTES, direction="before"), "direction='before' must be"),
        (lambda: TRADES.asof_join(QUOTES, tolerance={}), "tolerance"),
        (TRADES.pipe, "A pipeline needs a step"),
        (lambda: TRADES | 3, "3, not a step"),
    ],
)
def test_what_is_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises((ParameterError, PipelineError)) as error:
        make()
    assert message in str(error.value)


def test_inputs_that_are_not_given_or_not_known() -> None:
    flow = TRADES.join(BONDS, on="symbol")
    with pytest.raises(ParameterError, match="Source 'bonds' is not given; the flow reads 'trades', 'bonds'"):
        flow(trades=WORLD["trades"])
    with pytest.raises(ParameterError, match=r"The flow has no source 'bond'\. Did you mean 'bonds'"):
        flow(trades=WORLD["trades"], bond=WORLD["bonds"])
    with pytest.raises(
        PipelineError, match="Source 'bonds' must be a pandas or Dask frame, an Arrow table, a ReferenceTable"
    ):
        flow(trades=WORLD["trades"], bonds={"symbol": ["A"]})
    with pytest.raises(PipelineError, match=r"are of different sorts \(trades: pandas, bonds: Arrow\); convert one"):
        flow(trades=WORLD["trades"], bonds=pa.Table.from_pandas(WORLD["bonds"]))
    with pytest.raises(PipelineError, match="On Dask source 'bonds' must be a Dask or pandas frame, a Ref"):
        flow(trades=dd.from_pandas(WORLD["trades"]), bonds=pa.Table.from_pandas(WORLD["bonds"]))


@pytest.mark.parametrize("dask", [False, True])
@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (TRADES.select("symbol").select("pric"), "In node 3, select pric: there is no column 'pric'"),
        (TRADES.rename({"price": "size"}), "In node 2, rename price to size: two columns would be called 'size'"),
        (TRADES.rename({"no": "size"}), "there is no column 'no'"),
        (TRADES.pipe(ft.ewma("cost", span=3)), "there is no column 'cost'"),
        (TRADES.pipe(ft.ewma("price", span=3).named("size")), "two columns would be called 'size'"),
        (TRADES.join(BONDS, left_on="sym", right_on="symbol"), "there is no column 'sym' on the left"),
        (TRADES.join(BONDS, left_on="symbol", right_on="sym"), "there is no column 'sym' of the reference"),
        (TRADES.join(BONDS, on="symbol", select=["grade"]), "there is no column 'grade' of the reference"),
        (TRADES.join(BONDS.rename({"rating": "price"}), on="symbol"), "two columns would be called 'price'"),
        (TRADES.asof_join(BONDS), "there is no column 'ts' on the right"),
        (TRADES.asof_join(QUOTES.rename({"bid": "price"}), suffixes=("", "")), "two columns called 'price'"),
    ],
)
def test_columns_that_are_not_there_or_clash(flow: ft.Flow, message: str, dask: bool) -> None:
    frames = {name: WORLD[name] for name in flow.sources}
    with pytest.raises(ColumnError) as error:
        flow(**({name: dd.from_pandas(frame) for name, frame in frames.items()} if dask else frames))
    assert message in str(error.value)
    with pytest.raises(ColumnError):
        flow.explain(**{name: list(frame.columns) for name, frame in frames.items()})


def test_keys_of_another_type() -> None:
    flow = TRADES.join(BONDS, left_on="size", right_on="symbol")
    with pytest.raises(ft.DataError, match="In node 3, join on size = symbol, inner"):
        flow(trades=WORLD["trades"], bonds=WORLD["bonds"])


def test_a_join_that_finds_nothing_says_why() -> None:
    spaced = WORLD["bonds"].assign(symbol=WORLD["bonds"]["symbol"] + " ")
    with pytest.warns(UserWarning, match="white space") as caught:
        result = TRADES.join(BONDS, on="symbol")(trades=WORLD["trades"], bonds=spaced)
    assert len(result) == 0
    said = str(caught[0].message)
    assert said.startswith("join on symbol, inner: 0 of 20 rows of the left have a key of the right")
    assert caught[0].filename == __file__


def test_two_rows_of_a_reference_with_one_key() -> None:
    twice = pd.concat([WORLD["bonds"], WORLD["bonds"].iloc[2:]])
    with pytest.raises(ft.DataError, match="In node 3, join on symbol, inner"):
        TRADES.join(BONDS, on="symbol")(trades=WORLD["trades"], bonds=twice)


def test_frames_of_no_and_of_one_row() -> None:
    flow = TRADES.filter(("price", ">", 0)).asof_join(QUOTES).join(BONDS, on="symbol").pipe(ft.ewma("price", span=3))
    for rows in (0, 1):
        frames = {name: frame.iloc[:rows] for name, frame in WORLD.items()}
        result = flow(**frames)
        assert len(result) <= rows
        assert result.dtypes.equals(flow(**WORLD).dtypes)
        assert flow(**{n: pa.Table.from_pandas(f, preserve_index=False) for n, f in frames.items()}).num_rows <= rows


def test_polars_in_arrow_out() -> None:
    import polars

    flow = TRADES.filter(("venue", "==", "X")).join(BONDS, on="symbol")
    frames = {name: polars.from_pandas(WORLD[name]) for name in ("trades", "bonds")}
    result = flow(**frames)
    assert isinstance(result, pa.Table)
    assert result["id"].to_pylist() == flow(trades=WORLD["trades"], bonds=WORLD["bonds"])["id"].tolist()


def test_an_error_numbers_nodes_as_they_were_written() -> None:
    flow = TRADES.join(BONDS, on="symbol").filter(("size", ">", 1)).select("nothing")
    assert repr(flow).startswith("5 select nothing")
    with pytest.raises(ColumnError, match="In node 5, select nothing"):
        flow(trades=WORLD["trades"], bonds=WORLD["bonds"])
