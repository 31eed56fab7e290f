"""The state beside Dask frames: carried on, shared, asked for twice, made again; copied no more than it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.sizeof import sizeof
from distributed import Client

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import plans, scans
from fintech_toolkit.engines.memory.state import State
from tests.engines.ticks import parts_of, prepared, ticks
from tests.frames import features, same

ROWS = 600


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def equal(got: State, expected: State) -> None:
    same(got.frame().sort_index(), expected.frame().sort_index())


@pytest.mark.parametrize("plan", ["chain", "by_symbol", "shuffle"])
class TestDays:
    """Day after day, the state handed on lazily, or computed."""

    def days(self, plan: str) -> tuple[list[pd.DataFrame], list[Any]]:
        frame = ticks(ROWS, symbols=12)
        days = [frame.iloc[a : a + 200] for a in (0, 200, 400)]
        return days, [prepared(day, 3, plan) for day in days]

    def test_everything_in_one_compute(self, plan: str) -> None:
        days, lazy_days = self.days(plan)
        run, reference = features().start_dask(), features().start()
        lazy = [run(day, plan=plan) for day in lazy_days]
        *got, state = dask.compute(*lazy, run.state)
        for result, day in zip(got, days, strict=True):
            same(result.sort_index(), reference(day))
        equal(state, reference.state)

    @pytest.mark.parametrize("go_on", ["a state", "a lazy one", "a persisted one", "a file"])
    def test_from_day_to_day(self, plan: str, go_on: str, tmp_path: Path) -> None:
        days, lazy_days = self.days(plan)
        run, reference = features().start_dask(), features().start()
        for day, lazy in zip(days, lazy_days, strict=True):
            result = run(lazy, plan=plan)
            expected = reference(day)
            equal(run.state.compute(), reference.state)
            equal(run.state.compute(), reference.state)  # a second time
            same(result.compute().sort_index(), expected)  # after the state was taken
            same(result.compute().sort_index(), expected)
            state = run.state
            if go_on == "a persisted one":
                state = state.persist()
            elif go_on == "a state":
                state = state.compute()
            elif go_on == "a file":
                state.compute().save(tmp_path / "state.parquet")
                state = tmp_path / "state.parquet"
            run = features().start_dask(state)

    def test_computed_states_are_not_computed_again(self, plan: str) -> None:
        _, lazy_days = self.days(plan)
        first = features().start_dask()
        first(lazy_days[0], plan=plan)
        second = features().start_dask(first.state.compute())
        graph = second(lazy_days[1], plan=plan).optimize().__dask_graph__()
        assert len({key for key in graph if isinstance(key, tuple) and str(key[0]).startswith("scantasks")}) == 3

    def test_two_go_on_from_one(self, plan: str) -> None:
        days, lazy_days = self.days(plan)
        first = features().start()
        first(days[0])
        kept = first.state.copy()
        ways = [features().start_dask(first.state) for _ in range(2)]
        lazy = [way(day, plan=plan) for way, day in zip(ways, lazy_days[1:], strict=True)]
        for got, day in zip(dask.compute(*lazy), days[1:], strict=True):
            same(got.sort_index(), features().start(kept)(day))
        equal(first.state, kept)
        same(first(days[1]), features().start(kept)(days[1]))
        # Runs that began from it do not see where it has got to.
        same(ways[0](lazy_days[2], plan=plan).compute().sort_index(), first(days[2]))

    def test_after_an_error(self, plan: str) -> None:
        """A frame that cannot be used leaves a run that still can be, from the state that it had."""
        days, lazy_days = self.days(plan)
        reference = features().start()
        reference(days[0])
        run = features().start_dask(reference.state)
        with pytest.raises(ft.ColumnError):
            run(lazy_days[1].drop(columns="ask"), plan=plan)
        same(run(lazy_days[1], plan=plan).compute().sort_index(), reference(days[1]))
        equal(run.state.compute(), reference.state)

    def test_a_day_that_goes_back_in_time(self, plan: str) -> None:
        _, lazy_days = self.days(plan)
        run = features().start_dask()
        run(lazy_days[1], plan=plan)
        late = run(lazy_days[0], plan=plan)
        with pytest.raises(ft.DataError, match="goes backwards"):
            late.compute()

    def test_options(self, plan: str) -> None:
        """Sessions, names of columns, and windows that need all their rows."""
        frame = ticks(ROWS, symbols=12).rename(columns={"bid": "best"})
        frame["ts"] = frame["ts"].to_numpy("M8[ns]") + np.arange(ROWS) * np.timedelta64(10, "m")
        frame["ts"] = frame["ts"].dt.tz_localize("UTC")
        frame.attrs["source"] = "a test"
        steps = ft.Pipeline(
            ft.midprice(),
            ft.rolling_mean("mid", window=5, min_periods=5),
            session="America/New_York",
            columns={"bid": "best"},
        )
        run, reference = steps.start_dask(), steps.start()
        for a in (0, 300):
            day = frame.iloc[a : a + 300]
            same(run(prepared(day, 4, plan), plan=plan).compute().sort_index(), reference(day))
        equal(run.state.compute(), reference.state)


CUTS: dict[str, list[int]] = {
    "empty first": [0, 0, 200],
    "empty in the middle": [200, 200, 200, 400],
    "empty last": [200, ROWS, ROWS],
    "all but one empty": [0, 0, ROWS, ROWS],
    "one row each, at first": [1, 2, 3, 4],
    "one row each, at last": [ROWS - 3, ROWS - 2, ROWS - 1],
}


@pytest.mark.parametrize("plan", ["chain", "shuffle"])
@pytest.mark.parametrize("cut", CUTS)
def test_partitions_of_any_size(cut: str, plan: str) -> None:
    frame = ticks(ROWS, symbols=7)
    run, reference = features().start_dask(), features().start()
    same(run(parts_of(frame, CUTS[cut]), plan=plan).compute().sort_index(), reference(frame))
    equal(run.state.compute(), reference.state)
    bars = ft.Pipeline(ft.time_bars(frequency="1min"))
    got = bars(parts_of(frame, CUTS[cut]), plan=plan).compute().sort_values(["symbol", "ts"], ignore_index=True)
    same(got, bars(frame).sort_values(["symbol", "ts"], kind="stable", ignore_index=True))


@pytest.mark.parametrize("plan", ["chain", "by_symbol", "shuffle"])
def test_no_symbol_is_new_after_the_first_rows(plan: str) -> None:
    frame = ticks(ROWS, symbols=3)
    same(features()(prepared(frame, 5, plan), plan=plan).compute().sort_index(), features()(frame))


class TestCopies:
    """A state that lies in a worker's memory is never changed, and is copied once a partition."""

    def scanned(self, state: State | None, frame: pd.DataFrame) -> State:
        return scans.scan_partition(frame, state, None, features(), frame.iloc[:0], 1, flush=False).state

    def test_a_scan_that_is_done_again_sees_the_same_state(self) -> None:
        frame = ticks(ROWS, symbols=40)
        before = self.scanned(None, frame.iloc[:100])
        kept = State.from_rows(before, [(before, np.arange(len(before.table)))])
        known = list(before.symbols)
        once, twice = (self.scanned(before, frame.iloc[100:]) for _ in range(2))
        assert len(once.symbols) > len(known)  # there were new ones
        assert before.symbols == known
        equal(before, kept)
        equal(once, twice)

    def test_an_error_half_way_leaves_it_as_well(self) -> None:
        frame = ticks(ROWS, symbols=40)
        before = self.scanned(None, frame.iloc[:100])
        known = list(before.symbols)
        with pytest.raises(ft.DataError, match=r"Partition 1: .*backwards.*plan='shuffle'"):
            self.scanned(before, pd.concat([frame.iloc[100:], frame.iloc[:1]]))
        assert before.symbols == known
        equal(
            self.scanned(before, frame.iloc[100:]), self.scanned(self.scanned(None, frame.iloc[:100]), frame.iloc[100:])
        )

    def test_symbols_are_copied_when_one_is_new_only(self) -> None:
        frame = ticks(ROWS, symbols=3)
        before = self.scanned(None, frame.iloc[:300])
        after = self.scanned(before, frame.iloc[300:])
        assert after.symbols is before.symbols
        other = self.scanned(before, frame.iloc[300:].replace({"symbol": {"S00": "NEW"}}))
        assert other.symbols is not before.symbols
        assert other.symbols == [*before.symbols, "NEW"]
        assert "NEW" not in after.symbols
        assert len(before.table) == 3

    def test_what_a_copy_forgets_stays_with_the_other(self) -> None:
        table = self.scanned(None, ticks(ROWS, symbols=3)).table
        table.copy().truncate(1)
        assert (len(table), table.indices_of(table.symbols).tolist()) == (3, [0, 1, 2])

    def test_copies_a_partition(self, monkeypatch: pytest.MonkeyPatch) -> None:
        copies = []
        copy = State.copy
        monkeypatch.setattr(State, "copy", lambda state: copies.append(1) or copy(state))
        lazy = plans.apply(features(), dd.from_pandas(ticks(ROWS), npartitions=6))
        dask.compute(*lazy)
        assert len(copies) == 5  # the first partition has no state to copy

    def test_dask_knows_how_large_it_is(self) -> None:
        """Else it would move a state of a gigabyte to a frame of a megabyte."""
        state = self.scanned(None, ticks(4_000, symbols=400))
        arrays = sum(step.records.nbytes + step.slots.nbytes for step in state.steps) + state.last.nbytes
        assert arrays < sizeof(state) < arrays + 1_000 * len(state.symbols)
        assert sizeof((pd.DataFrame(), state)) > arrays


@pytest.mark.parametrize("plan", ["chain", "by_symbol", "shuffle"])
def test_days_on_a_cluster(plan: str, client: Client) -> None:
    frame = ticks(ROWS, symbols=12)
    run, reference = features().start_dask(), features().start()
    with dask.config.set(scheduler=client):
        for a in (0, 300):
            day = frame.iloc[a : a + 300]
            result, state = dask.compute(run(prepared(day, 3, plan), plan=plan), run.state)
            same(result.sort_index(), reference(day))
            equal(state, reference.state)
