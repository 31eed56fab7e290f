"""A state can be looked at, saved, loaded elsewhere and carried on; a damaged one is refused."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.state import IDENTITY, TIME_KIND
from fintech_toolkit.engines.memory.state_file import write_state_file
from tests.frames import features, same, ticks


def test_a_state_prints_as_a_frame_by_symbol() -> None:
    frame = ticks()
    run = features().start()
    run(frame)
    shown = run.state.frame()
    assert sorted(shown.index) == sorted(set(frame["symbol"]))
    assert_array_equal(shown["last"].sort_index(), frame.groupby("symbol")["ts"].max())
    assert {"2.ewma.behind", "5.rolling_max.count"} <= set(shown.columns)
    assert "S03" in repr(run.state)
    assert "<table" in run.state._repr_html_()


def test_another_process_carries_on_with_the_same_bits(tmp_path: Path) -> None:
    frame = ticks()
    run = features().start()
    run(frame.iloc[:300])
    run.state.save(tmp_path / "state.parquet")
    frame.iloc[300:].to_parquet(tmp_path / "rest.parquet")
    code = (
        "import sys, pandas as pd, fintech_toolkit as ft\n"
        "state = ft.State.load(sys.argv[1] + '/state.parquet')\n"
        "run = ft.Pipeline.from_json(state.identity).start(state)\n"
        "run(pd.read_parquet(sys.argv[1] + '/rest.parquet')).to_parquet(sys.argv[1] + '/out.parquet')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    same(pd.read_parquet(tmp_path / "out.parquet"), run(frame.iloc[300:]))


def test_states_are_cut_and_put_together_by_symbol() -> None:
    frame = ticks()
    run = features().start()
    run(frame.iloc[:300])
    half = {"S00", "S03"}
    parts = [run.state.select(half), run.state.select(set(run.state.symbols) - half)]
    again = features().start(ft.State.merge(parts[::-1]))
    same(again(frame.iloc[300:]), run(frame.iloc[300:]))
    with pytest.raises(ft.StateError, match="'S00'"):
        ft.State.merge([parts[0], parts[0]])


def test_a_state_belongs_to_its_pipeline() -> None:
    run = features().start()
    run(ticks())
    with pytest.raises(ft.StateError, match="another pipeline"):
        ft.Pipeline(ft.midprice(), ft.ewma("mid", halflife=6)).start(run.state)


def test_a_run_does_not_touch_the_state_it_started_from() -> None:
    frame = ticks()
    run = features().start()
    run(frame.iloc[:300])
    state = run.state
    before = state.frame()
    features().start(state)(frame.iloc[300:])
    same(state.frame(), before)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    run = features().start()
    run(ticks())
    run.state.save(tmp_path / "state.parquet")
    return tmp_path / "state.parquet"


@pytest.mark.parametrize("percent", range(100))
def test_a_file_that_is_cut_short_is_refused(saved: Path, percent: int) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: len(whole) * percent // 100])
    with pytest.raises(ft.StateError, match=r"state\.parquet is not a whole state file .*; go back to an older one"):
        ft.State.load(saved)


def test_a_file_in_which_a_byte_has_changed_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    rng = np.random.default_rng(0)
    places = {*range(16), *range(len(whole) - 700, len(whole)), *rng.integers(0, len(whole), 300).tolist()}
    for place in sorted(places):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(0, 8))
        saved.write_bytes(bytes(broken))
        with pytest.raises(ft.StateError, match="not a whole state file"):
            ft.State.load(saved)
    for wrong in (whole + b"\0", b"\0" + whole, whole[:1000] + whole[1001:]):
        saved.write_bytes(wrong)
        with pytest.raises(ft.StateError, match="not a whole state file"):
            ft.State.load(saved)


def test_what_is_not_a_state_is_refused(saved: Path, tmp_path: Path) -> None:
    table = pq.read_table(saved)
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(table, foreign)  # a state, but not as it was written
    with pytest.raises(ft.StateError, match="no digest"):
        ft.State.load(foreign)
    for metadata in ({}, {IDENTITY: b"{}", TIME_KIND: b""}, {IDENTITY: b"[", TIME_KIND: b""}):
        write_state_file(foreign, table, metadata)
        with pytest.raises(ft.StateError, match="not a whole state file"):
            ft.State.load(foreign)
    write_state_file(foreign, table.drop_columns("2.ewma.behind"), table.schema.metadata)
    with pytest.raises(ft.StateError, match="not a whole state file"):
        ft.State.load(foreign)
    with pytest.raises(FileNotFoundError):
        ft.State.load(tmp_path / "missing.parquet")


@pytest.mark.parametrize(
    ("symbols", "why"),
    [
        (["S00", "S01", "S00"], "holds symbol 'S00' twice"),
        (["S00", None, "S01"], "neither all strings nor all integers"),
        ([1.0, 2.0, 3.0], "neither all strings nor all integers"),
        ([7, 7, 8], "holds symbol 7 twice"),
    ],
)
def test_a_state_with_symbols_that_cannot_be_is_refused(saved: Path, symbols: list[object], why: str) -> None:
    table = pq.read_table(saved).slice(0, 3)
    table = table.set_column(0, "symbol", pa.array(symbols))
    write_state_file(saved, table, table.schema.metadata)
    with pytest.raises(ft.StateError, match=why):
        ft.State.load(saved)


def test_symbols_are_selected_once(saved: Path) -> None:
    state = ft.State.load(saved)
    assert state.select(["S03", "S00", "S03", "nobody"]).symbols == ["S03", "S00"]
    with pytest.raises(ft.StateError, match="hold symbol 'S03'"):
        ft.State.merge([state.select(["S03"]), state])


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_a_saved_state_has_the_permissions_that_the_umask_leaves(saved: Path, umask: int, mode: int) -> None:
    state = ft.State.load(saved)
    before = os.umask(umask)
    try:
        state.save(saved)  # over one with other permissions
    finally:
        os.umask(before)
    assert saved.stat().st_mode & 0o777 == mode


def test_paths_and_urls(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    state = ft.State.load(saved)
    for place in (
        "~/home.parquet",
        Path("~/path.parquet"),
        str(tmp_path / "text.parquet"),
        "memory://there/url.parquet",
    ):
        state.save(place)
        same(ft.State.load(place).frame(), state.frame())
    assert {"home.parquet", "path.parquet", "text.parquet"} <= set(os.listdir(tmp_path))
    with pytest.raises(ft.StateError, match=r"there is no folder .*nowhere; make it first"):
        state.save(tmp_path / "nowhere" / "state.parquet")
    with pytest.raises(FileNotFoundError):
        ft.State.load("memory://there/another.parquet")
    memory = fsspec.filesystem("memory")
    memory.pipe("/there/url.parquet", memory.cat("/there/url.parquet")[:-1])
    with pytest.raises(ft.StateError, match=r"memory://there/url\.parquet is not a whole state file"):
        ft.State.load("memory://there/url.parquet")


@pytest.mark.parametrize(("url", "what"), [("s3://bucket/state.parquet", "s3fs"), ("nosuch://state", "nosuch")])
def test_a_url_that_needs_another_package_says_which(saved: Path, url: str, what: str) -> None:
    if what == "s3fs" and importlib.util.find_spec("s3fs"):
        pytest.skip("it is installed here")
    state = ft.State.load(saved)
    with pytest.raises(ft.StateError, match=what):
        state.save(url)
    with pytest.raises(ft.StateError, match=what):
        ft.State.load(url)


def steps_of(call: Callable[[], object]) -> int:
    """How many instructions of Python a call takes: what runs symbol by symbol shows, what NumPy and Arrow do not."""
    taken = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal taken
        frame.f_trace_opcodes = True
        taken += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return taken


def of_symbols(count: int) -> ft.State:
    """A state of so many symbols, with a window each."""
    names = [f"S{k:05d}" for k in range(count)]
    run = ft.Pipeline(ft.ewma("price", halflife=5), ft.rolling_mean("price", window=3), time=None).start()
    run(pd.DataFrame({"symbol": names * 2, "price": np.arange(2.0 * count)}))
    return run.state


def test_no_python_runs_symbol_by_symbol(tmp_path: Path) -> None:
    """A million symbols print within 0.1 s and are saved within 2 s because of this."""

    def calls(count: int) -> dict[str, Callable[[], object]]:
        state = of_symbols(count)
        names = state.symbols
        halves = [state.select(names[::2]), state.select(names[1::2])]
        path = tmp_path / f"{count}.parquet"
        state.save(path)
        return {
            "repr": lambda: repr(state),
            "html": state._repr_html_,
            "save": lambda: state.save(path),
            "load": lambda: ft.State.load(path),
            "copy": state.copy,
            "select": lambda: state.select(names),
            "merge": lambda: ft.State.merge(halves),
            "frame": state.frame,
        }

    few, many = calls(1_000), calls(3_000)
    for name, call in few.items():
        call()  # what runs the first time only
        fewer, more = steps_of(call), steps_of(many[name])
        assert more < fewer + 1_000, f"{name}: {fewer} instructions for 1,000 symbols, {more} for 3,000"


def test_a_large_state_shows_its_first_and_last_symbols() -> None:
    text, html = repr(of_symbols(1_000)), of_symbols(1_000)._repr_html_()
    for name in ("S00000", "S00004", "S00995", "S00999"):
        assert name in text
        assert name in html
    assert "S00005" not in text
    assert "S00500" not in html
    assert "[1000 symbols x " in text
    assert "1000 symbols" in html
    assert "..." in text
    assert repr(of_symbols(60)).count("\nS0") == 60


def test_symbols_that_came_after_a_step_had_run_last_are_saved(tmp_path: Path) -> None:
    state = of_symbols(3)
    state.table.add("new")
    state.last = np.zeros(4, np.int64)
    state.save(tmp_path / "state.parquet")
    assert ft.State.load(tmp_path / "state.parquet").symbols[3:] == ["new"]


def test_integer_symbols_of_64_bits_stay_what_they_are(tmp_path: Path) -> None:
    for symbols in ([2**53 + 1, -(2**63)], [0, 2**63 - 1]):
        run = ft.Pipeline(ft.diff("price"), time=None).start()
        run(pd.DataFrame({"symbol": symbols, "price": [1.0, 2.0]}))
        run.state.save(tmp_path / "state.parquet")
        assert ft.State.load(tmp_path / "state.parquet").symbols == symbols


def test_saving_replaces_the_file_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = features().start()
    run(ticks())
    path = tmp_path / "state.parquet"
    run.state.save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.state.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["state.parquet"]


def test_an_empty_state_is_a_state(tmp_path: Path) -> None:
    run = features().start()
    run.state.save(tmp_path / "empty.parquet")
    again = features().start(ft.State.load(tmp_path / "empty.parquet"))
    same(again(ticks()), features()(ticks()))
