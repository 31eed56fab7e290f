"""Recipes against plain pandas, and the same bits on every kind of frame."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

import fintech_toolkit as ft
from tests.frames import same, ticks

RECIPES = {name: getattr(ft.recipes, name) for name in ft.recipes.__all__}


def market(rows: int = 4_000) -> pd.DataFrame:
    """Columns for every recipe."""
    frame, rng = ticks(rows, symbols=3, seed=3, step="100ms"), np.random.default_rng(4)
    columns = {
        "side": rng.choice([-1.0, 1.0], rows),
        "arrival": frame["price"].iloc[0],
        "mid": (frame["bid"] + frame["ask"]) / 2,
        "market_size": frame["size"] * rng.integers(2, 9, rows).astype(float),
        "position": np.cumsum(rng.normal(size=rows)),
        "equity": 1e4 + np.cumsum(rng.normal(size=rows)),
        "spot": frame["price"] * (1 + rng.normal(0, 1e-4, rows)),
        "forward": frame["price"] * 1.001,
        "funding_rate": rng.normal(1e-4, 1e-5, rows),
        "open_interest": 1e3 + np.cumsum(rng.normal(size=rows)),
        "years": 0.25,
        "quote_rate": rng.normal(0.05, 1e-3, rows),
        "base_rate": rng.normal(0.03, 1e-3, rows),
    }
    return frame.assign(**columns)


def given(name: str) -> pd.DataFrame:
    """The columns that a recipe reads, so that its outputs clash with none."""
    reads = {str(column) for column in RECIPES[name]().reads}
    return market()[["symbol", "ts", *sorted(reads - {"symbol", "ts"})]]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_what_it_says_and_the_same_bits_everywhere(name: str) -> None:
    frame, pipeline = given(name), RECIPES[name]()
    expected = pipeline(frame)
    assert list(expected.columns[len(frame.columns) :]) == pipeline.gives
    said = re.search(r"[Gg]ives (.+?)\.\n", inspect.getdoc(RECIPES[name]) or "", re.DOTALL)
    assert said
    words = re.sub(r"\(.*?\)", "", said[1].replace("\n", " ")).replace(" and ", ", ").split(",")
    assert [word.strip() for word in words] == pipeline.gives
    arrow = pipeline(pa.Table.from_pandas(frame, preserve_index=False)).select(pipeline.gives).to_pandas()
    same(arrow, expected[pipeline.gives].reset_index(drop=True))
    run = pipeline.start()
    same(pd.concat([run(frame.iloc[:701]), run(frame.iloc[701:])]), expected)
    parted = dd.from_pandas(frame.reset_index(drop=True), npartitions=3)
    same(pipeline(parted)[pipeline.gives].compute(), expected[pipeline.gives].reset_index(drop=True))


def each(frame: pd.DataFrame, formula: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """A formula of one symbol's rows, over all symbols."""
    return pd.concat([formula(part) for _, part in frame.groupby("symbol")]).reindex(frame.index)


FORMULAS: dict[str, dict[str, Callable[[pd.DataFrame], pd.Series]]] = {
    "market_making_features": {
        "microprice": lambda f: (f["bid"] * f["ask_size"] + f["ask"] * f["bid_size"]) / (f["bid_size"] + f["ask_size"]),
        "volatility": lambda f: np.log((f["bid"] + f["ask"]) / 2).diff().rolling(200).std(),
        "ofi_ewma": lambda f: _ofi(f).ewm(halflife=50).mean(),
        "ofi_zscore": lambda f: (_ofi(f) - _ofi(f).rolling(200).mean()) / _ofi(f).rolling(200).std(),
    },
    "momentum_features": {
        "return": lambda f: f["price"].pct_change(fill_method=None),
        "ema_fast": lambda f: f["price"].ewm(span=12, adjust=False).mean(),
        "ema_slow": lambda f: f["price"].ewm(span=26, adjust=False).mean(),
        "band_upper": lambda f: f["price"].rolling(20).mean() + 2 * f["price"].rolling(20).std(ddof=0),
        "channel_high": lambda f: f["price"].rolling(20).max(),
        "channel_low": lambda f: f["price"].rolling(20).min(),
    },
    "volatility_features": {
        "rv": lambda f: (np.log(f["price"]).diff() ** 2).rolling(100).sum(),
        "rs_plus": lambda f: (np.log(f["price"]).diff().clip(lower=0) ** 2).rolling(100).sum(),
    },
    "execution_report": {
        "impact_bps": lambda f: f["side"] * (f["price"] / f["arrival"] - 1) * 1e4,
        "effective": lambda f: 2 * f["side"] * (f["price"] - f["mid"]),
        "fill_vwap": lambda f: (f["price"] * f["size"]).rolling(1_000).sum() / f["size"].rolling(1_000).sum(),
        "participation": lambda f: f["size"].rolling(1_000, 1).sum() / f["market_size"].rolling(1_000, 1).sum(),
    },
    "risk_monitor": {
        "exposure": lambda f: f["position"] * f["price"],
        "drawdown": lambda f: f["equity"] / f["equity"].cummax() - 1,
        "pnl": lambda f: f["equity"].diff(),
        "rolling_sharpe": lambda f: (
            f["equity"].pct_change().rolling(250).mean() / f["equity"].pct_change().rolling(250).std() * 252**0.5
        ),
    },
    "crypto_basis_monitor": {
        "basis": lambda f: f["price"] - f["spot"],
        "funding_apr": lambda f: f["funding_rate"] * 365 * 3,
        "oi_delta": lambda f: f["open_interest"].diff(),
    },
    "fx_carry_monitor": {
        "fair_forward": lambda f: f["spot"] * (1 + f["quote_rate"] / 4) / (1 + f["base_rate"] / 4),
        "volatility": lambda f: np.log(f["spot"]).diff().rolling(200).std(),
    },
    "data_quality_guard": {
        "crossed": lambda f: (f["bid"] > f["ask"]).astype(float),
        # No mid of these is 5 % from the filtered one, which takes 50 rows.
        "passes": lambda f: (np.arange(len(f)) >= 49) * pd.Series(1.0, f.index),
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_plain_pandas_says(name: str) -> None:
    frame = given(name)
    result = RECIPES[name]()(frame)
    for column, formula in FORMULAS[name].items():
        expected = each(frame, formula).to_numpy(float)
        assert np.isfinite(expected).sum() > 100
        assert_allclose(result[column].to_numpy(float), expected, rtol=1e-7, atol=1e-12, err_msg=column)


def _ofi(f: pd.DataFrame) -> pd.Series:
    """Order-flow imbalance by the definition of Cont, Kukanov and Stoikov."""
    before = f.shift()
    bid = f["bid_size"] * (f["bid"] >= before["bid"]) - before["bid_size"] * (f["bid"] <= before["bid"])
    ask = f["ask_size"] * (f["ask"] <= before["ask"]) - before["ask_size"] * (f["ask"] >= before["ask"])
    return bid - ask
