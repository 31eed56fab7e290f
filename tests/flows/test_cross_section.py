"""Cross-sections: those of pandas, time by time; the same to the bit in whatever order, pieces and places rows come."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed import Client
from numpy.testing import assert_allclose, assert_array_equal
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.engines.memory import cross_sections
from fintech_toolkit.scan.declaration import Kernel
from tests.flows.cross_sections import CASES, expected, flows, market, outputs
from tests.flows.windows import pieces
from tests.frames import same

FLOWS = flows()
NAMES = pytest.mark.parametrize("name", FLOWS)
FRAME = market()


def joined(parts: list[Any]) -> pd.DataFrame:
    return pd.concat([part for part in parts if part is not None])


# What the numbers are


@pytest.mark.parametrize(
    ("kernel", "case", "name"),
    [pytest.param(kernel, case, *step.outputs, id=f"{kernel.name}-{case}") for step, kernel, case in CASES],
)
def test_each_time_is_what_the_oracle_says(kernel: Kernel, case: dict[str, Any], name: str) -> None:
    got = FLOWS["stamps" if kernel.per_stamp else "rows"](FRAME)
    wanted = expected(FRAME, kernel, case)
    assert wanted.notna().any()
    if kernel.per_stamp:
        assert got["ts"].tolist() == wanted.index.tolist()
    else:
        same(got[FRAME.columns], FRAME)
    assert_allclose(got[name], wanted, rtol=1e-12, atol=1e-12)


def test_bars_have_the_last_row_of_each_symbol_and_end_when_they_end() -> None:
    end = FRAME["ts"].dt.floor("3s") + pd.Timedelta("3s")
    last = FRAME.assign(ts=end).groupby(["ts", "symbol"], sort=True).tail(1).sort_values(["ts", "symbol"])
    assert len(last) < len(FRAME)
    got = FLOWS["rows of bars"](FRAME)
    same(got[last.columns], last)
    assert got["known_at"].tolist() == got["ts"].tolist()
    whole, stamps = FLOWS["rows"](last), FLOWS["stamps"](last)
    for name in outputs(got):
        assert_array_equal(got[name], whole[name])
    same(FLOWS["stamps of bars"](FRAME), stamps)


def test_many_values_are_ordered_by_digits_and_by_comparing_where_digits_do_not_tell() -> None:
    rng = np.random.default_rng(1)
    kinds = {
        "normal": rng.normal(size=300),
        "of all sizes": rng.normal(size=300) * 10.0 ** rng.integers(-300, 300, 300),
        "close together": 100 + rng.normal(size=300) * 1e-12,
        "close together but for one": np.append(1 + rng.normal(size=299) * 1e-13, -1e300),
        "ties": np.round(rng.normal(size=300), 1),
        "zeros of both signs": rng.choice([0.0, -0.0, 1.0], 300),
        "equal": np.ones(300),
        "subnormal": rng.integers(0, 50, 300) * 5e-324,
        "in order": np.arange(300.0),
        "backwards": np.arange(300.0)[::-1],
    }
    x = np.concatenate(list(kinds.values()))
    frame = pd.DataFrame({"symbol": np.tile(np.arange(300), len(kinds)), "ts": np.repeat(np.arange(len(kinds)), 300)})
    got = ft.cross_section(ft.cs_rank("x"), ft.cs_winsorize("x"))(frame.assign(x=x))
    by = got.groupby("ts")["x"]
    assert_array_equal(got["cs_rank"], by.rank())
    assert_allclose(got["cs_winsorize"], by.transform(lambda v: v.clip(v.quantile(0.05), v.quantile(0.95))), rtol=1e-12)


def test_weights_add_up() -> None:
    got = FLOWS["rows"](FRAME)
    for step, kernel, case in CASES:
        if kernel.name == "cs_weight":
            (name,) = step.outputs
            gross, cap = case.get("gross", 1.0), case.get("cap", 0.5)
            assert got[name].abs().max() <= cap * gross * (1 + 1e-12)
            by = got.groupby("ts")[name]
            assert_allclose(by.sum(), 0, atol=1e-12)
            sizes = by.apply(lambda w: w.abs().sum())
            assert sizes.max() <= gross * (1 + 1e-12)
            if cap == 0.5:
                assert_allclose(sizes[by.apply(lambda w: (w != 0).any() and w.notna().any())], gross)


def test_a_value_that_is_missing_poisons_no_other_and_no_later_time() -> None:
    frame = pd.DataFrame(
        {"symbol": list("ABC") * 2, "ts": [1] * 3 + [2] * 3, "x": [1.0, np.inf, np.nan, 1.0, 2.0, 3.0]}
    )
    got = ft.cross_section(ft.cs_rank("x"), ft.cs_demean("x"), ft.cs_zscore("x"), ft.cs_weight("x"))(frame)
    assert_array_equal(got["cs_rank"], [1, np.nan, np.nan, 1, 2, 3])
    assert_array_equal(got["cs_demean"], [0, np.nan, np.nan, -1, 0, 1])
    assert_array_equal(got["cs_zscore"], [np.nan, np.nan, np.nan, -1, 0, 1])
    assert_array_equal(got["weight"], [0, np.nan, np.nan, -0.5, 0, 0.5])
    level = ft.cross_section(ft.index_level("x", weight="w"))(frame.assign(w=[np.nan, 1, 1, 0, 0, 0]))
    assert level["index_level"].isna().all()


# The same to the bit


@NAMES
def test_no_bit_depends_on_the_order_in_which_rows_of_a_time_come(name: str) -> None:
    rng = np.random.default_rng(3)
    flow, by_name = FLOWS[name], FRAME.sort_values(["ts", "symbol"])
    wanted = flow(by_name)
    for order in (rng.permutation(len(FRAME)), np.lexsort((rng.random(len(FRAME)), FRAME["ts"]))):
        got = flow(FRAME.iloc[order])
        if name == "rows":
            assert_array_equal(got["id"], FRAME["id"].iloc[order])  # as they came
            got = got.sort_values(["ts", "symbol"])
        elif name == "rows of bars" and order[0] != 0:
            got = got if got["id"].equals(wanted["id"]) else flow(FRAME.iloc[order].sort_values("ts", kind="stable"))
        same(got[outputs(wanted)].reset_index(drop=True), wanted[outputs(wanted)].reset_index(drop=True))


def test_few_of_many_symbols_are_put_in_order_too() -> None:
    frame = market(30, 90, present=0.06)
    frame = pd.concat([frame, frame[::5].assign(x=1.5)]).sort_values("ts", kind="stable")
    assert (frame.groupby("ts").size() * 8 < frame["symbol"].nunique()).mean() > 0.5
    wanted = FLOWS["rows"](frame.drop_duplicates(["ts", "symbol"], keep="last").sort_values(["ts", "symbol"]))
    got = FLOWS["rows"](frame)
    counted = ~got.duplicated(["ts", "symbol"], keep="last")
    assert got.loc[~counted, outputs(got)].isna().all(axis=None)
    same(got[counted].sort_values(["ts", "symbol"]), wanted)


def test_no_bit_depends_on_what_symbols_are_called_by_their_codes() -> None:
    numbers = FRAME["symbol"].str[1:].astype("int64")
    categories = pd.Categorical(FRAME["symbol"], categories=sorted(set(FRAME["symbol"]), reverse=True))
    for flow in FLOWS.values():
        wanted = flow(FRAME)
        for symbol in (numbers, categories):
            got = flow(FRAME.assign(symbol=symbol))
            same(got[outputs(got)], wanted[outputs(got)])


@NAMES
@pytest.mark.parametrize("rows", [1, 7, 50])
def test_no_bit_depends_on_the_pieces_that_threads_take(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = FLOWS[name](FRAME)
    monkeypatch.setattr(cross_sections, "MORSEL", rows)
    same(FLOWS[name](FRAME), wanted)


@NAMES
def test_pieces_give_the_bits_of_the_whole(name: str, tmp_path: Path) -> None:
    flow = FLOWS[name]
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    whole, of_arrow = flow(FRAME), flow(table)
    assert of_arrow.to_pandas()[outputs(whole)].equals(whole[outputs(whole)].reset_index(drop=True))
    for cuts in ([], list(range(30)), [1, 40, 41, 100], [len(FRAME) - 1]):
        run = flow.start()
        same(joined([*map(run, pieces(FRAME, cuts)), run.flush()]).reset_index(drop=True), whole.reset_index(drop=True))
        assert run.counts["late"].sum() == 0
    run, parts = flow.start(), []
    for piece in pieces(table, [20, 60, 61]):
        parts.append(run(piece))
        run.state.save(tmp_path / "state")
        run = flow.start(tmp_path / "state")
    parts.append(run.flush())
    got = pa.concat_tables([part for part in parts if part is not None])
    assert got.schema == of_arrow.schema
    same(got.to_pandas(), of_arrow.to_pandas())


def test_a_time_is_over_when_a_later_one_comes_and_late_rows_are_put_aside() -> None:
    flow = ft.cross_section(ft.cs_rank("x"), unit="s", lateness="2s")
    frame = pd.DataFrame({"symbol": list("ABCABDE"), "ts": [10, 9, 10, 13, 8, 12, 16], "x": range(7)})
    run = flow.start()
    assert run(frame[:3]) is None
    assert run.counts.loc[2, "waiting"] == 3
    over = run(frame[3:5])
    assert over["ts"].tolist() == [9, 10, 10]  # in order of time
    assert over["cs_rank"].tolist() == [1, 1, 2]
    assert run.late[2]["ts"].tolist() == [8]
    assert run.counts.loc[2, ["late", "waiting"]].tolist() == [1, 1]
    assert run(frame[5:6]) is None
    rest = joined([run(frame[6:]), run.flush()])
    assert rest["ts"].tolist() == [12, 13, 16]
    on_time = frame[frame["ts"] != 8].sort_values("ts", kind="stable")
    same(pd.concat([over, rest]), flow(on_time))


def test_average_correlation_waits_no_longer_than_its_window_and_goes_on() -> None:
    flow = ft.cross_section(ft.average_correlation("x", window=4))
    run = flow.start()
    dense = market(30, 5, present=1.0).assign(x=lambda f: np.random.default_rng(0).normal(size=len(f)))
    found = [run(piece) for piece in pieces(dense, [20, 21, 60, 90])]
    assert run.counts.loc[2, "waiting"] == 5
    assert run.state.parts.popitem()[1][1].frames[0]["ts"].nunique() == 4  # the open time, and three before it
    whole = flow(dense)
    assert whole["average_correlation"].notna().sum() == 27
    same(joined([*found, run.flush()]).reset_index(drop=True), whole)


@NAMES
def test_live_it_is_the_same_and_late_rows_have_a_stream(name: str) -> None:
    flow, ticks = FLOWS[name], Stream()
    node = flow.live(ticks)
    found, late = node.sink_to_list(), node.late[2].sink_to_list()
    for piece in pieces(FRAME, [30, 31, 100]):
        ticks.emit(piece)
    ticks.emit(FRAME[:2])
    node.flush()
    same(joined(found).reset_index(drop=True), flow(FRAME).reset_index(drop=True))
    same(joined(late), FRAME[:2])
    assert node.counts.loc[2, ["in", "late", "waiting"]].tolist() == [len(FRAME) + 2, 2, 0]


# On Dask


def own_text(got: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """A frame of Dask, which makes all text Arrow's, with pandas' own."""
    return got.astype({name: dtype for name, dtype in wanted.dtypes.items() if isinstance(dtype, pd.StringDtype)})


def on_dask(name: str, *, sort: bool) -> None:
    flow, frame = FLOWS[name], FRAME.reset_index(drop=True)
    whole = flow(frame)
    in_time = dd.from_pandas(frame, npartitions=5)
    apart = ft.partition_by_symbol(in_time, npartitions=3)
    swapped = in_time.partitions[[2, 0, 1, 4, 3]]  # that begin at the very time at which others end
    plans = ((in_time, "chain (5"), (swapped, "sort (5"), (apart, "sort (3"))
    for data, plan in plans if sort else plans[:1]:
        assert f": {plan} partitions)" in repr(flow.explain(data))
        got = flow(data).compute()
        got = got.sort_values(["ts", "symbol"] if "symbol" in got else ["ts"])
        wanted = whole.sort_values(["ts", "symbol"] if "symbol" in got else ["ts"])
        same(own_text(got.reset_index(drop=True), wanted), wanted.reset_index(drop=True))


@NAMES
def test_dask_gives_the_bits_of_the_whole(name: str) -> None:
    on_dask(name, sort=name in ("rows", "stamps of bars"))


def test_of_two_rows_of_a_symbol_the_last_counts_after_a_sort_too() -> None:
    frame = pd.concat([FRAME, FRAME[::7].assign(x=9.0)]).reset_index(drop=True)
    flow, mixed = ft.cross_section(ft.cs_demean("x")), dd.from_pandas(frame, npartitions=3)
    got, wanted = flow(mixed).compute(), flow(frame.sort_values("ts", kind="stable"))
    assert wanted["cs_demean"].isna().sum() >= len(frame) - len(FRAME)
    same(own_text(got.reset_index(drop=True), wanted), wanted.reset_index(drop=True))


@pytest.mark.parametrize("first", [1_700_000_000_000_000_001, -1_700_000_000_000_000_001])
def test_a_sort_by_time_is_one_to_the_nanosecond(first: int) -> None:
    gaps = np.random.default_rng(2).integers(1, 10**6, 600)
    frame = pd.DataFrame({"symbol": [f"S{j % 3}" for j in range(600)], "ts": first + np.cumsum(gaps), "x": gaps / 7})
    flow = ft.cross_section(ft.cs_demean("x"), every="1ms")
    for times in (frame["ts"], pd.to_datetime(frame["ts"], utc=True), pd.to_datetime(frame["ts"])):
        ticks = frame.assign(ts=times)
        apart = dd.from_pandas(ticks.sort_values(["symbol", "ts"], ignore_index=True), npartitions=5)
        assert ": sort (5 partitions)" in repr(flow.explain(apart))
        got, wanted = flow(apart).compute(), flow(ticks)
        assert_array_equal(got["cs_demean"], wanted["cs_demean"])
        assert_array_equal(got["ts"], wanted["ts"])


def test_processes_give_the_bits_of_the_whole(client: Client) -> None:
    on_dask("stamps", sort=False)


def test_cross_sections_follow_each_other_and_pipelines_follow_them() -> None:
    first = ft.cross_section(ft.cs_demean("x")) | ft.Pipeline(ft.ewma("cs_demean", span=3))
    second = ft.cross_section(ft.cs_rank("ewma"))
    frame = FRAME.reset_index(drop=True)
    wanted = second(first(frame))
    assert wanted["cs_rank"].notna().any()
    in_time = dd.from_pandas(frame, npartitions=4)
    got = second(first(in_time))
    assert "chain (4 partitions)" in repr(second.explain(first(in_time)))
    same(own_text(got.compute().reset_index(drop=True), wanted), wanted)
    one, two = first.start(), second.start()
    found = [two(part) for part in [*map(one, pieces(frame, [50, 120])), one.flush()] if part is not None]
    same(joined([*found, two.flush()]), wanted)


# As data, and its rules


@NAMES
def test_a_flow_comes_back_as_it_was(name: str) -> None:
    flow = FLOWS[name]
    for again in (
        ft.Flow.from_json(flow.to_json()),
        ft.Flow.from_yaml(flow.to_yaml()),
        pickle.loads(pickle.dumps(flow)),
    ):
        assert again == flow
        same(again(FRAME), flow(FRAME))


def test_rules_change_nothing_of_the_result_and_read_less() -> None:
    flow = ft.cross_section(ft.cs_rank("x"), ft.cs_neutralize("x", exposures="beta", group="sector"))
    few = flow.filter([("symbol", "in", ["S00", "S37"])]).select("symbol", "ts", "cs_rank")
    same(few(FRAME), few(FRAME, without=ft.Flow.rules))
    assert few(FRAME)["cs_rank"].max() > 2  # the others counted
    (read,) = few.explain(FRAME).reads
    assert read.columns == 3
    levels = ft.cross_section(ft.index_level("x", weight="size"), ft.breadth("x")).select("ts", "breadth")
    same(levels(FRAME), levels(FRAME, without=ft.Flow.rules))
    (read,) = levels.explain(FRAME).reads
    assert read.columns == 3
    alone = ft.cross_section(ft.breadth("x")).select("ts")
    same(alone(FRAME), alone(FRAME, without=ft.Flow.rules))
    kept = flow.select("id")
    same(kept(FRAME), FRAME[["id"]])


def test_what_is_known_later_makes_what_rests_on_it_known_later() -> None:
    frame = pd.DataFrame({"symbol": list("ABAB"), "ts": [1, 1, 2, 2], "x": range(4)})
    frame["known_at"] = pd.array([1, 5, 2, None], dtype="Int64")
    assert ft.cross_section(ft.cs_rank("x"))(frame)["known_at"].tolist() == [5, 5, pd.NA, pd.NA]
    assert ft.cross_section(ft.breadth("x"))(frame)["known_at"].tolist() == [5, pd.NA]
    assert ft.cross_section(ft.breadth("x"), lateness="9ns")(frame)["known_at"].tolist() == [10, pd.NA]
    assert ft.cross_section(ft.cs_rank("x"), every="2ns")(frame)["known_at"].tolist() == [5, 5, pd.NA, pd.NA]
