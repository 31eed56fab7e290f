"""Runs frame by frame: their state goes on, saved and loaded; what waits, what was dropped, and what stops them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import fintech_toolkit as ft
from fintech_toolkit.errors import ParameterError, PipelineError, StateError
from tests.flows.worlds import World, world
from tests.frames import same

WORLD = world(200, 4, seed=5)
TRADES, QUOTES, BONDS = ft.source("trades"), ft.source("quotes"), ft.source("bonds")
MID = QUOTES.pipe(ft.midprice(), ft.ewma("mid", span=9))
JOINED = TRADES.asof_join(MID).join(BONDS, on="symbol", how="left", select=["coupon"])
FLOW = JOINED.pipe(ft.rolling_max("price", window=5))


def halves(frames: World) -> tuple[World, World]:
    first = {name: frame.iloc[: len(frame) // 2] for name, frame in frames.items() if name != "bonds"}
    second = {name: frame.iloc[len(frame) // 2 :] for name, frame in frames.items() if name != "bonds"}
    return first | {"bonds": frames["bonds"]}, second


@pytest.mark.parametrize("by_file", [False, True])
def test_the_second_day(tmp_path: Path, by_file: bool) -> None:
    monday, tuesday = halves(WORLD)
    run = FLOW.start()
    first = run(**monday)
    state = run.state
    assert run(**tuesday) is not None  # what was taken stays what it was
    if by_file:
        state.save(tmp_path / "state.parquet")
        again = FLOW.start(tmp_path / "state.parquet")
    else:
        again = FLOW.start(state)
    assert again.resumed == dict.fromkeys(again.resumed, True)
    assert len(again.resumed) == 4
    second = [again(**tuesday), again.flush()]
    same(pd.concat([first, *second]), FLOW(**WORLD))


def test_a_changed_flow_keeps_the_state_of_what_did_not_change() -> None:
    monday, tuesday = halves(WORLD)
    run = FLOW.start()
    run(**monday)
    changed = JOINED.pipe(ft.rolling_max("price", window=6))
    again = changed.start(run.state)
    assert again.resumed == {
        "pipe midprice('bid', 'ask') | ewma('mid', span=9)": True,
        "as-of join on ts, by symbol, backward": True,
        "join on symbol, left, takes coupon": True,
        "pipe rolling_max('price', window=6)": False,
    }
    got = pd.concat([again(**tuesday), again.flush()])
    whole = FLOW(**WORLD)
    same(got[["id", "ewma"]], whole.loc[got.index, ["id", "ewma"]])


def test_the_state_of_another_flow() -> None:
    run = FLOW.start()
    run(**WORLD)
    with pytest.raises(StateError, match=r"belongs to another flow: <FlowState: pipe midprice.*>"):
        TRADES.pipe(ft.ewma("price", span=3)).start(run.state)
    with pytest.raises(StateError, match="A flow starts from a FlowState or the path of one, not dict"):
        FLOW.start({})  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [10, -10, None])
def test_a_damaged_file(tmp_path: Path, place: int | None) -> None:
    run, path = FLOW.start(), tmp_path / "state.parquet"
    run(**WORLD)
    run.state.save(path)
    data = bytearray(path.read_bytes())
    if place is None:
        data = data[: len(data) // 2]
    else:
        data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(StateError, match="is not a whole saved state of a flow"):
        FLOW.start(path)


def test_the_state_of_a_pipeline_is_not_one_of_a_flow(tmp_path: Path) -> None:
    run = ft.Pipeline(ft.ewma("price", span=3)).start()
    run(WORLD["trades"])
    run.state.save(tmp_path / "state.parquet")
    with pytest.raises(StateError, match="is not a whole saved state of a flow"):
        FLOW.start(tmp_path / "state.parquet")


def test_what_waits_and_what_is_dropped_is_counted() -> None:
    flow = TRADES.filter(("price", ">", 99)).asof_join(QUOTES).join(BONDS, on="symbol")
    run = flow.start()
    run(bonds=WORLD["bonds"])
    assert run(trades=WORLD["trades"]) is None
    counts = run.counts.set_index("what")
    passed = int((WORLD["trades"]["price"] > 99).sum())
    assert counts.loc["filter price > 99", ["in", "out", "filtered"]].tolist() == [200, passed, 200 - passed]
    assert counts.loc["as-of join on ts, by symbol, backward", ["in", "out", "waiting"]].tolist() == [passed, 0, passed]
    run(quotes=WORLD["quotes"])
    run.flush()
    counts = run.counts.set_index("what")
    whole = flow(**WORLD)
    assert counts.loc["join on symbol, inner", ["in", "out", "unmatched"]].tolist() == [
        passed,
        len(whole),
        passed - len(whole),
    ]
    assert counts.loc["as-of join on ts, by symbol, backward", "waiting"] == 0


def test_bars_in_the_middle_are_joined_when_they_are_known() -> None:
    bars = TRADES.pipe(ft.time_bars(frequency="1s")).select("symbol", "close", "known_at", "complete")
    flow = TRADES.asof_join(bars)
    frames = {"trades": WORLD["trades"].dropna(subset="price")}
    run = flow.start()
    made = [run(trades=frames["trades"].iloc[start : start + 20]) for start in range(0, 200, 20)]
    made.append(run.flush())
    whole = flow(**frames)
    assert whole["close"].notna().sum() > 20
    assert (whole["known_at_right"].dropna() <= whole.loc[whole["known_at_right"].notna(), "ts"]).all()
    same(pd.concat([rows for rows in made if rows is not None]), whole)


def test_a_reference_that_changes_holds_for_what_comes_after() -> None:
    flow = TRADES.join(BONDS, on="symbol", select=["coupon"])
    run = flow.start()
    trade = WORLD["trades"].iloc[:1]
    symbol = trade["symbol"].iloc[0]
    old = pd.DataFrame({"symbol": [symbol, "other"], "coupon": [1.0, 2.0]})
    assert run(bonds=old, trades=trade)["coupon"].tolist() == [1.0]
    assert run(bonds=old.assign(coupon=[3.0, 2.0]).iloc[:1], trades=trade)["coupon"].tolist() == [3.0]
    assert run(trades=trade)["coupon"].tolist() == [3.0]


def test_rows_before_their_reference() -> None:
    run = TRADES.join(BONDS, on="symbol").start()
    with pytest.raises(PipelineError, match=r"In node 3, join on symbol, inner: rows came before the reference has"):
        run(trades=WORLD["trades"])
    assert run(**{name: WORLD[name] for name in ("trades", "bonds")}) is not None


def test_a_frame_that_is_refused_leaves_the_run_where_it_was() -> None:
    run = MID.start()
    run(quotes=WORLD["quotes"].iloc[:100])
    with pytest.raises(ft.DataError, match=r"In node 2, pipe .*: Column 'ts' goes backwards for symbol"):
        run(quotes=WORLD["quotes"].iloc[:50])
    got = run(quotes=WORLD["quotes"].iloc[100:])
    same(got, MID(quotes=WORLD["quotes"]).iloc[100:])


def test_a_frame_that_is_refused_by_a_later_node_stops_the_run() -> None:
    run = QUOTES.pipe(ft.midprice(), ft.ewma("mid", span=9)).pipe(ft.diff("ask").named("mid2")).start()
    run(quotes=WORLD["quotes"].iloc[:100])
    state = run.state
    wrong = WORLD["quotes"].iloc[100:].assign(mid2=1.0)
    with pytest.raises(ft.ColumnError, match="In node 3"):
        run(quotes=wrong)
    with pytest.raises(StateError, match=r"A frame stopped half-way \(ColumnError: .*\), so the run is neither"):
        run(quotes=WORLD["quotes"].iloc[100:])
    assert len(state.parts) == 2


def test_a_source_that_there_is_not() -> None:
    with pytest.raises(ParameterError, match=r"There is no source 'trade'\. Did you mean 'trades'\?"):
        FLOW.start()(trade=WORLD["trades"])


def test_a_reference_table_is_joined_by_its_index(tmp_path: Path) -> None:
    flow = TRADES.join(BONDS, on="symbol", how="left")
    whole = flow(trades=WORLD["trades"], bonds=WORLD["bonds"])
    ft.ReferenceTable(WORLD["bonds"], on="symbol").save(tmp_path / "bonds.reference")
    table = ft.ReferenceTable.open(tmp_path / "bonds.reference")
    same(flow(trades=WORLD["trades"], bonds=table), whole)
    filtered = TRADES.join(BONDS, on="symbol", where=("coupon", ">", 0.5), select=["coupon"])
    same(filtered(trades=WORLD["trades"], bonds=table), filtered(trades=WORLD["trades"], bonds=WORLD["bonds"]))
    run = flow.start()
    made = [run(bonds=table, trades=WORLD["trades"][:50]), run(trades=WORLD["trades"][50:])]
    same(pd.concat(made), whole)
    run(bonds=WORLD["bonds"][:1].assign(coupon=9.0))
    assert table.lookup(WORLD["bonds"][["symbol"]])["coupon"].max() < 9  # the run has its own
    with pytest.raises(ft.ColumnError, match="the table's keys are symbol, so it can be joined by these only"):
        TRADES.join(BONDS, left_on="size", right_on="coupon", select=["rating"])(trades=WORLD["trades"], bonds=table)
    by_symbol = {"trades": WORLD["trades"], "bonds": table}
    same(filtered(without=ft.Flow.rules, **by_symbol), filtered(**by_symbol))
    live = filtered.start()
    same(live(**by_symbol), filtered(**by_symbol))
    same(BONDS.select("symbol")(bonds=table), WORLD["bonds"][["symbol"]])


def test_after_a_flush_it_starts_afresh() -> None:
    run = FLOW.start()
    first = [run(**WORLD), run.flush()]
    again = [run(**WORLD), run.flush()]
    same(pd.concat(again), pd.concat(first))
