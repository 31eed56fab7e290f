"""Rules change what a flow reads and does, and nothing of what it gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fintech_toolkit as ft
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.flow.nodes import Source, walk
from fintech_toolkit.flow.operations import AsOfJoin, Filter, Join, Pipe
from fintech_toolkit.flow.rules import RULES
from tests.flows.worlds import flows, world
from tests.frames import same

WORLD = world()
NAMES = {name: list(frame.columns) for name, frame in WORLD.items()}
TRADES, QUOTES, BONDS = ft.source("trades"), ft.source("quotes"), ft.source("bonds")
MADE = {
    "filter fusion": TRADES.filter(("price", ">", 99)).filter(("size", ">", 2)),
    "filter pushdown": TRADES.pipe(ft.midprice("price", "size")).filter(("price", ">", 99)),
    "filters in scans": TRADES.filter(("price", ">", 99)),
    "joins first": TRADES.asof_join(QUOTES).join(BONDS, on="symbol"),
    "pipeline fusion": TRADES.pipe(ft.ewma("price", span=5)).pipe(ft.diff("ewma")),
    "unread steps": TRADES.pipe(ft.ewma("price", span=5), ft.diff("size")).select("symbol", "diff"),
    "projection pushdown": TRADES.asof_join(QUOTES).select("symbol", "bid"),
}


def given_to(flow: ft.Flow) -> dict[str, Any]:
    return {name: WORLD[name] for name in flow.sources}


def test_every_rule_has_an_example() -> None:
    assert set(MADE) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_alone_does_its_work_and_can_be_switched_off(rule: str) -> None:
    flow, others = MADE[rule], [name for name in RULES if name != rule]
    alone = flow.explain(without=others, **given_to(flow))
    assert {change.rule for change in alone.changes} == {rule}
    assert alone.runs != flow.node
    assert rule not in {change.rule for change in flow.explain(without=rule, **given_to(flow)).changes}
    same(flow(without=others, **given_to(flow)), flow(without=RULES, **given_to(flow)))


def test_a_rule_that_there_is_not() -> None:
    with pytest.raises(ParameterError, match=r"There is no rule 'filter pushdwn'\. Did you mean 'filter pushdown'\?"):
        TRADES.explain(without=["filter pushdwn"], trades=WORLD["trades"])


@given(flows(), st.sets(st.sampled_from(RULES)))
@settings(deadline=None, max_examples=150)
def test_any_of_them_may_be_left_out(flow: ft.Flow, without: set[str]) -> None:
    expected = flow(without=RULES, **given_to(flow))
    same(flow(without=without, **given_to(flow)), expected)
    same(flow(**given_to(flow)), expected)


def runs(flow: ft.Flow) -> Any:
    return flow.explain(**given_to(flow)).runs


def sources(flow: ft.Flow) -> dict[str, Source]:
    return {node.name: node for node in walk(runs(flow)) if isinstance(node, Source)}


def test_a_filter_of_symbols_goes_to_all_that_keep_them_apart() -> None:
    flow = (
        TRADES.asof_join(QUOTES.pipe(ft.ewma("bid", span=5))).join(BONDS, on="symbol").filter(("symbol", "==", "S01"))
    )
    assert {name: str(source.where) for name, source in sources(flow).items()} == dict.fromkeys(
        ("trades", "quotes", "bonds"), "symbol == 'S01'"
    )


def test_a_filter_stays_above_what_remembers() -> None:
    """What it drops is part of what later rows rest on."""
    for flow in (
        TRADES.pipe(ft.ewma("price", span=5)).filter(("price", ">", 99)),
        TRADES.asof_join(QUOTES.filter(("bid", ">", 0))).filter(("bid", ">", 99)),
        TRADES.join(BONDS, on="symbol", how="left").filter(("rating", "==", "AAA")),
    ):
        assert isinstance(runs(flow), Filter)


def test_a_filter_that_lies_on_both_sides_is_taken_apart() -> None:
    flow = TRADES.join(BONDS, on="symbol").filter([("price", ">", 99), ("rating", "==", "AAA")])
    assert {name: str(source.where) for name, source in sources(flow).items()} == {
        "trades": "price > 99",
        "bonds": "rating == 'AAA'",
    }
    either = TRADES.join(BONDS, on="symbol").filter([[("price", ">", 99)], [("rating", "==", "AAA")]])
    assert isinstance(runs(either), Filter)


def test_a_renamed_column_is_filtered_by_its_name_in_the_scan() -> None:
    flow = TRADES.rename({"price": "p", "size": "price"}).filter(("p", ">", 99))
    assert str(sources(flow)["trades"].where) == "price > 99"


def test_a_join_does_not_go_below_what_would_call_its_columns_otherwise() -> None:
    assert isinstance(
        runs(TRADES.asof_join(QUOTES).join(BONDS.rename({"coupon": "bid_"}), on="symbol")).frame, AsOfJoin
    )
    clash = TRADES.asof_join(QUOTES.rename({"bid": "coupon_"}), suffixes=("", "_q")).join(
        BONDS.rename({"rating": "ask_"}), on="symbol"
    )
    assert isinstance(runs(clash).frame, AsOfJoin)
    same_name = TRADES.asof_join(QUOTES.rename({"bid": "price"}), suffixes=("_t", "")).join(
        BONDS.rename({"coupon": "price_q"}), on="symbol"
    )
    same(same_name(**given_to(same_name)), same_name(without=RULES, **given_to(same_name)))


def test_two_pipelines_of_which_one_renames_what_the_other_makes_stay_two() -> None:
    first = ft.Pipeline(ft.ewma("price", span=5), columns={"price": "size"})
    second = ft.Pipeline(ft.diff("price"), columns={"price": "ewma"})
    flow = TRADES.pipe(first).pipe(second)
    same(flow(**given_to(flow)), flow(without=RULES, **given_to(flow)))
    swapped = ft.Pipeline(ft.ewma("price", span=5), columns={"ewma": "size"})
    upon = ft.Pipeline(ft.diff("ewma"), columns={"ewma": "size"})
    flow = TRADES.pipe(swapped).pipe(upon)
    assert isinstance(runs(flow), Pipe)
    assert isinstance(runs(flow).frame, Pipe)
    same(flow(**given_to(flow)), flow(without=RULES, **given_to(flow)))


def test_only_what_is_read_is_read() -> None:
    flow = TRADES.asof_join(QUOTES).join(BONDS, on="symbol").pipe(ft.ewma("bid", span=5)).select("ts", "ewma", "coupon")
    assert {name: source.columns for name, source in sources(flow).items()} == {
        "trades": ("symbol", "ts"),
        "quotes": ("symbol", "ts", "bid"),
        "bonds": ("symbol", "coupon"),
    }
    join = next(node for node in walk(runs(flow)) if isinstance(node, Join))
    assert join.columns == ("coupon",)


def test_a_join_of_which_nothing_is_read_is_left_out() -> None:
    flow = TRADES.asof_join(QUOTES).join(BONDS, on="symbol", how="left").select("symbol", "price")
    assert sources(flow).keys() == {"trades"}
    assert sources(TRADES.join(BONDS, on="symbol").select("symbol", "price")).keys() == {"trades", "bonds"}
    named = TRADES.asof_join(QUOTES.rename({"bid": "price"}), suffixes=("_t", "")).select("symbol", "price_t")
    assert sources(named).keys() == {"trades", "quotes"}  # without it the column would be called otherwise


def test_what_made_a_column_is_left_out_where_a_window_or_a_join_only_would_have_passed_it_on() -> None:
    made = QUOTES.pipe(ft.midprice(), ft.quoted_spread().named("wide"))
    windows = made.window("1s").agg(high=("mid", "max"), width=("wide_spread", "max"))
    reference = BONDS.pipe(ft.midprice("coupon", "coupon").named("twice"), ft.log_returns("coupon"), time=None)
    joined = TRADES.join(reference, on="symbol", select=["twice", "log_return"])
    for flow in (windows.select("symbol", "high"), windows.select("symbol", "ts"), joined.select("symbol", "twice")):
        same(flow(**given_to(flow)), flow(without=RULES, **given_to(flow)))
        assert "quoted_spread" not in repr(flow.explain(**given_to(flow)).runs)
        assert "log_returns" not in repr(flow.explain(**given_to(flow)).runs)


def test_of_a_filter_some_conditions_may_stay() -> None:
    flow = TRADES.asof_join(QUOTES).filter([("price", ">", 99), ("bid", ">", 99.5)])
    assert str(runs(flow)) == "filter bid > 99.5"
    assert str(sources(flow)["trades"].where) == "price > 99"
    result = flow(**given_to(flow))
    assert len(result)
    same(result, flow(without=RULES, **given_to(flow)))


def test_when_rows_were_known_is_read_by_bars_upon_bars() -> None:
    """A bar of bars is known when the last of these is, not at the time at which that one began."""
    bars = TRADES.pipe(ft.time_bars(frequency="1s"))(trades=WORLD["trades"].dropna(subset="price"))
    made = bars.dropna(subset="known_at")
    flow = ft.source("bars").pipe(ft.time_bars("close", "volume", frequency="2s")).select("symbol", "close", "known_at")
    same(flow(bars=made), flow(bars=made, without=RULES))
    source = next(node for node in walk(flow.explain(bars=made).runs) if isinstance(node, Source))
    assert set(source.columns or ()) == {"symbol", "ts", "close", "volume", "known_at"}
