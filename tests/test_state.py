"""A state can be looked at, saved, loaded elsewhere and carried on; a damaged one is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import fintech_toolkit as ft
from tests.frames import ticks


def features() -> ft.Pipeline:
    return ft.Pipeline(
        ft.midprice(),
        ft.ewma("mid", halflife=5),
        ft.rolling_min("mid", window=30),
        ft.rolling_median("mid", window="3s"),
        ft.lag("mid", k=3),
    )


def test_a_state_prints_as_a_frame_by_symbol() -> None:
    frame = ticks()
    run = features().start()
    run(frame)
    shown = run.state.frame()
    assert sorted(shown.index) == sorted(set(frame["symbol"]))
    assert_array_equal(shown["last"].sort_index(), frame.groupby("symbol")["ts"].max())
    assert {"1.ewma.mean", "2.rolling_min.count"} <= set(shown.columns)
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
    assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), run(frame.iloc[300:]), check_exact=True)


def test_states_are_cut_and_put_together_by_symbol() -> None:
    frame = ticks()
    run = features().start()
    run(frame.iloc[:300])
    half = {"S00", "S03"}
    parts = [run.state.select(half), run.state.select(set(run.state.symbols) - half)]
    again = features().start(ft.State.merge(parts[::-1]))
    assert_frame_equal(again(frame.iloc[300:]), run(frame.iloc[300:]), check_exact=True)
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
    assert_frame_equal(state.frame(), before, check_exact=True)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    run = features().start()
    run(ticks())
    path = tmp_path / "state.parquet"
    run.state.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in [0, 1, 10, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(ft.StateError, match="not a whole state file"):
            ft.State.load(path)
    for _ in range(40):
        broken = bytearray(whole)
        broken[rng.integers(4, len(whole) - 8)] ^= 1 << rng.integers(0, 8)
        path.write_bytes(bytes(broken))
        try:
            loaded = ft.State.load(path)
        except ft.StateError:
            continue
        # A flipped bit that is not noticed must not have changed anything (padding, or statistics nobody reads).
        assert_frame_equal(loaded.frame(), run.state.frame(), check_exact=True)
    with pytest.raises(FileNotFoundError):
        ft.State.load(tmp_path / "missing.parquet")


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
    assert_frame_equal(again(ticks()), features()(ticks()), check_exact=True)
