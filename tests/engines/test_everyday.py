"""What people do with the result of a pipeline on a Dask frame, by every plan: the same as on the pandas result."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.dataframe.dask_expr.io import ReadParquet
from distributed import Client

import fintech_toolkit as ft
from fintech_toolkit.engines.dask import plans
from tests.engines.ticks import PLANS, prepared, ticks
from tests.frames import same

ROWS, NPARTITIONS = 600, 5
A, B = "first", "second"  # two columns that the steps give, by any plan


def steps(plan: str) -> ft.Pipeline:
    if plan == "partition-wise":
        return ft.Pipeline(ft.midprice().named(A), ft.midprice("bid", "price").named(B))
    return ft.Pipeline(
        ft.midprice(),
        ft.log_returns("mid"),
        ft.rolling_zscore("mid", window=5).named(A),
        ft.ewma("log_return", halflife=20).named(B),
    )


def lazy_of(plan: str, ddf: Any) -> Any:
    return steps(plan)(ddf, plan=None if plan == "partition-wise" else plan)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """Ticks in memory, with divisions, or in files, without; `venue` and `number` are read by no step."""

    def make(plan: str, where: str) -> Any:
        ddf = prepared(ticks(ROWS, symbols=12), NPARTITIONS, plan)
        if where == "memory":
            return ddf
        folder = tmp_path_factory.mktemp("ticks")
        ddf.to_parquet(folder, compute_kwargs={"scheduler": "sync"})
        return dd.read_parquet(folder)

    return make


PLACES = [
    ("chain", "memory"),
    ("chain", "parquet"),
    ("by_symbol", "parquet"),
    ("shuffle", "memory"),
    ("partition-wise", "parquet"),
]


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def both(request: pytest.FixtureRequest, source: Any) -> tuple[Any, pd.DataFrame, list[pd.DataFrame]]:
    """The lazy result, the same rows by pandas in the same order, and those cut into the partitions."""
    frame, (plan, where) = ticks(ROWS, symbols=12), request.param
    lazy = lazy_of(plan, source(plan, where))
    parts = dask.compute(*lazy.to_delayed(), scheduler="sync")
    order = np.concatenate([part["number"] for part in parts])
    if plan in ("chain", "partition-wise"):
        np.testing.assert_array_equal(order, np.arange(ROWS))
    expected = steps(plan)(frame).iloc[order].astype(lazy.dtypes.to_dict())
    edges = np.cumsum([0, *map(len, parts)])
    return lazy, expected, [expected.iloc[a:b] for a, b in pairwise(edges)]


def check(got: Any, expected: Any, *, exact: bool = True) -> None:
    """Hold a result to the same values, order, dtypes and index."""
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(got, expected, check_exact=exact, check_freq=False)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(got, expected, check_exact=exact)
    elif exact:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def computed(lazy: Any) -> Any:
    return lazy.compute(scheduler="sync") if dask.is_dask_collection(lazy) else lazy


def assigned(frame: Any) -> Any:
    frame = frame.copy()
    frame["gap"] = frame[A] - frame[B]
    return frame


ROW_BY_ROW: dict[str, Callable[[Any], Any]] = {
    "the whole": lambda f: f,
    "one column": lambda f: f[A],
    "columns in another order": lambda f: f[[B, "number", A]],
    "a column that nobody reads": lambda f: f[["venue"]],
    "two columns in one expression": lambda f: f[A] - f[B],
    "a result and an input": lambda f: f[A] * f["size"],
    "three columns": lambda f: f[A] + f[B] * f["bid"],
    "the frame and a column of it": lambda f: f[[A, B]].sub(f[B], axis=0),
    "filter on one, take another": lambda f: f[f[A] > 0.02][B],
    "filter on one, take all": lambda f: f[f[A] > 0.02],
    "filter on two, take a third": lambda f: f[(f[A] > 0.02) & (f[B] > 0)][["number"]],
    "filter on what nobody reads": lambda f: f[f["venue"] == "X"][[A]],
    "query": lambda f: f.query(f"{A} > 0.02")[B],
    "assign": lambda f: f.assign(gap=f[A] - f[B]),
    "assign, take that": lambda f: f.assign(gap=f[A] - f[B])["gap"],
    "setitem": assigned,
    "where": lambda f: f[A].where(f[B] > 0, f["bid"]),
    "isna of two": lambda f: f[A].isna() & f[B].isna(),
    "rename": lambda f: f.rename(columns={A: B, B: A})[[A]],
    "drop": lambda f: f.drop(columns=[A]),
    "astype": lambda f: f[[A]].astype("float32"),
    "attribute": lambda f: getattr(f, A) - getattr(f, B),
    "cumsum": lambda f: f[A].fillna(0.0).cumsum(),
    "index": lambda f: f.index.to_series(),
}


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_row_by_row(name: str, both: Any) -> None:
    lazy, expected, _ = both
    expression = ROW_BY_ROW[name]
    got = expression(lazy)
    wanted = expression(expected)
    if isinstance(wanted, pd.Series) and name != "index":
        assert got.name == wanted.name
    check(computed(got), wanted, exact=name != "cumsum")


ALL_ROWS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda f: f[A].mean(),
    "min and max": lambda f: f[[A, B]].max() - f[[A, B]].min(),
    "count": lambda f: f.count(),
    "length": len,
    "mean of a difference": lambda f: (f[A] - f[B]).mean(),
    "groupby": lambda f: f.groupby("venue")[A].mean(),
    "groupby two": lambda f: f.groupby("venue")[[B, A]].max(),
    "groupby symbol": lambda f: f.groupby("symbol", observed=True).agg({A: "max", B: "min"}),
    "value counts": lambda f: f["venue"].value_counts(),
    "nunique": lambda f: f["venue"].nunique(),
    "nlargest": lambda f: f.nlargest(7, A)[[A, B]],
    "merge": lambda f: f.merge(
        pd.DataFrame({"venue": pd.array(["X", "Y"], "string"), "fee": [0.1, 0.2]}), on="venue"
    ).set_index("number")[["fee", A, B]],
    "sort": lambda f: f[["number", A]].sort_values("number", ascending=False),
    "drop duplicates": lambda f: f[["venue"]].drop_duplicates(),
}


@pytest.mark.parametrize("name", ALL_ROWS)
def test_all_rows(name: str, both: Any) -> None:
    lazy, expected, _ = both
    if name in ("merge", "groupby symbol"):
        expected = expected.astype({"venue": "string", "symbol": "string"})
        lazy = lazy.astype({"venue": "string", "symbol": "string"})
    with dask.config.set(scheduler="sync"):
        got = computed(ALL_ROWS[name](lazy))
    wanted = ALL_ROWS[name](expected)
    if name == "drop duplicates":  # which of the duplicates is kept is not said
        got, wanted = got.set_index("venue"), wanted.set_index("venue")
    if name != "sort" and isinstance(wanted, pd.DataFrame | pd.Series):
        got, wanted = got.sort_index(), wanted.sort_index()
    check(got, wanted, exact=False)


TOGETHER: dict[str, Callable[[Any], list[Any]]] = {
    "two means": lambda f: [f[A].mean(), f[B].mean()],
    "a mean and a frame": lambda f: [f[A].mean(), f[[B, "number"]]],
    "a column and a filter": lambda f: [f[A], f[f[A] > 0.02][B]],
    "the frame and a column": lambda f: [f, f[A]],
    "three": lambda f: [f[A].max(), f["venue"].count(), (f[B] - f[A]).min()],
}


@pytest.mark.parametrize("name", TOGETHER)
def test_in_one_compute(name: str, both: Any) -> None:
    lazy, expected, _ = both
    for got, wanted in zip(
        dask.compute(*TOGETHER[name](lazy), scheduler="sync"), TOGETHER[name](expected), strict=True
    ):
        check(got, wanted, exact=False)


@pytest.mark.parametrize("column", [None, A, [B, "number"]])
def test_head_and_tail(column: Any, both: Any) -> None:
    lazy, expected, parts = both
    take = (lambda frame: frame) if column is None else (lambda frame: frame[column])
    with dask.config.set(scheduler="sync"):
        check(take(lazy).head(3), take(parts[0]).head(3))
        check(take(lazy).tail(3), take(parts[-1]).tail(3))
        two = pd.concat(parts[:2])
        check(take(lazy).head(len(two), npartitions=2), take(two))
        check(take(lazy).head(ROWS, npartitions=-1), take(expected))
        check(take(lazy.head(3)), take(parts[0]).head(3))
        check(take(lazy.tail(2)), take(parts[-1]).tail(2))


@pytest.mark.parametrize(
    "chosen", [slice(0, 1), slice(-1, None), slice(1, 3), slice(None, None, 2), slice(None), [3, 1], [2, 2]], ids=str
)
def test_partitions(chosen: Any, both: Any) -> None:
    lazy, _, parts = both
    numbers = list(range(NPARTITIONS))[chosen] if isinstance(chosen, slice) else chosen
    wanted = pd.concat([parts[number] for number in numbers])
    check(computed(lazy.partitions[chosen]), wanted)
    if steps("partition-wise").gives != [A, B] or chosen not in ([3, 1], [2, 2]):
        check(computed(lazy.partitions[chosen][[A, "number"]]), wanted[[A, "number"]])
        check(computed(lazy[B].partitions[chosen]), wanted[B])
    check(computed(lazy[A] + lazy[B]), pd.concat(parts)[A] + pd.concat(parts)[B])


def test_one_partition_at_a_time(both: Any) -> None:
    lazy, _, parts = both
    for number, part in enumerate(parts):
        check(computed(lazy.get_partition(number)), part)
    together = dask.compute(*(lazy.get_partition(number)[[A]] for number in range(NPARTITIONS)), scheduler="sync")
    for got, part in zip(together, parts, strict=True):
        check(got, part[[A]])


@pytest.mark.parametrize("plan", ["chain", "by_symbol"])
def test_one_partition_of_files_of_which_little_is_read(plan: str, source: Any) -> None:
    """Dask would read several of them as one; a partition is still what it was when it was asked for."""
    ddf = source(plan, "parquet")
    lazy = lazy_of(plan, ddf[["symbol", "ts", "bid", "ask"]])
    whole = lazy_of(plan, ddf)
    for number in range(NPARTITIONS):
        check(computed(lazy.get_partition(number)[[A, B]]), computed(whole.get_partition(number))[[A, B]])


def test_loc(both: Any) -> None:
    lazy, expected, _ = both
    for take in (
        lambda f: f.loc[:, A],
        lambda f: f.loc[:, [B, "number"]],
        lambda f: f.loc[f["number"] < 40],
        lambda f: f.loc[f[A] > 0.02, B],
        lambda f: f.loc[f[B] > 0, ["number", A]],
    ):
        check(computed(take(lazy)), take(expected))
    if lazy.known_divisions:
        check(computed(lazy.loc[130:420]), expected.loc[130:420])
        check(computed(lazy.loc[130:420, A]), expected.loc[130:420, A])
        check(computed(lazy.loc[7][[A, B]]), expected.loc[[7], [A, B]])
        check(computed(lazy.loc[[1, 599]]), expected.loc[[1, 599]])


def test_rows_as_tuples(both: Any) -> None:
    lazy, expected, _ = both
    names = ["number", A, B]
    expected = expected[names].fillna(0.0)
    if isinstance(lazy.expr.frame, ReadParquet):
        names = list(lazy.columns)  # of some columns Dask reads several files as one partition, and cannot iterate then
    with dask.config.set(scheduler="sync"):
        got = [
            (row.Index, row.number, getattr(row, A), getattr(row, B))
            for row in lazy[names].fillna({A: 0.0, B: 0.0}).itertuples()
        ]
        assert got == [tuple(row) for row in expected.itertuples()]
        rows = list(lazy[names].iterrows())
    assert [int(row["number"]) for _, row in rows] == expected["number"].tolist()


@pytest.mark.parametrize("npartitions", [1, 2, 4, 5, 9])
def test_repartition(npartitions: int, both: Any) -> None:
    lazy, expected, _ = both
    got = lazy.repartition(npartitions=npartitions)
    assert got.npartitions == npartitions
    check(computed(got), expected)
    check(computed(got[A] - got[B]), expected[A] - expected[B])


def test_to_parquet_and_back(both: Any, tmp_path: Path) -> None:
    lazy, expected, _ = both
    lazy.to_parquet(tmp_path, compute_kwargs={"scheduler": "sync"})
    got = dd.read_parquet(tmp_path).compute(scheduler="sync")
    np.testing.assert_array_equal(got["number"], expected["number"])
    for name in (A, B):
        check(got[name], expected[name])


def test_persist_optimize_and_repr(both: Any) -> None:
    lazy, expected, _ = both
    with dask.config.set(scheduler="sync"):
        kept = lazy.persist()
        check(computed(kept[A] - kept[B]), expected[A] - expected[B])
        check(kept.tail(3), expected.tail(3))
        for fuse in (False, True):
            check(computed(lazy.optimize(fuse=fuse)), expected)
        check(computed(lazy[[A]].optimize()), expected[[A]])
        check(computed(dd.from_delayed(lazy.to_delayed(), meta=lazy._meta)), expected)
    for shown in (lazy, lazy[A] - lazy[B], lazy.optimize()):
        assert f"npartitions={NPARTITIONS}" in repr(shown)
    assert lazy._repr_html_()
    assert lazy.expr.tree_repr()
    assert lazy.shape[1] == len(lazy.columns) == expected.shape[1]


@pytest.mark.parametrize("where", ["memory", "parquet"])
def test_beside_its_own_input(where: str, source: Any) -> None:
    """What is assigned from the result to the frame that it was made of lands in the same rows."""
    frame = ticks(ROWS, symbols=12)
    for plan in ("chain", "partition-wise"):
        ddf = source(plan, where)
        expected = frame.assign(x=steps(plan)(frame)[A]).astype(ddf.dtypes.to_dict())
        ddf["x"] = lazy_of(plan, ddf)[A]
        check(computed(ddf), expected)
        check(computed(ddf[ddf["x"] > 0.02][["number"]]), expected[expected["x"] > 0.02][["number"]])


class TestWithTheState:
    """A result and the state after it, in one compute, come of one scan."""

    @pytest.mark.parametrize(("plan", "where"), PLACES[:4])
    @pytest.mark.parametrize("take", [lambda f: f, lambda f: f[[A]], lambda f: f[A] - f[B], lambda f: f[f[A] > 0][B]])
    def test_in_one_compute(self, plan: str, where: str, take: Any, source: Any) -> None:
        frame = ticks(ROWS, symbols=12)
        out, state = plans.apply(steps(plan), source(plan, where), plan=plan)
        run = steps(plan).start()
        whole = run(frame)
        got, after = dask.compute(take(out), state, scheduler="sync")
        wanted = take(whole)
        got = got.sort_index() if plan != "chain" else got
        np.testing.assert_array_equal(
            got[A] if take(whole).ndim == 2 else got, wanted[A] if wanted.ndim == 2 else wanted
        )
        same(after.frame().sort_index(), run.state.frame().sort_index())
        graph = dask.base.collections_to_expr((take(out), state)).optimize().__dask_graph__()
        assert len({key[0] for key in graph if isinstance(key, tuple) and key[0].startswith("scantasks")}) == 1


@pytest.mark.parametrize(("plan", "where"), PLACES[:4])
def test_rows_are_counted_without_a_scan(plan: str, where: str, source: Any) -> None:
    rows = lazy_of(plan, source(plan, where)).shape[0]
    graph = dask.base.collections_to_expr((rows,)).optimize().__dask_graph__()
    assert not [key for key in graph if "scantasks" in str(key)]
    assert computed(rows) == ROWS


class TestOnACluster:
    """The same on worker processes."""

    @pytest.mark.parametrize("plan", PLANS)
    def test_everyday(self, plan: str, client: Client) -> None:
        frame = ticks(ROWS, symbols=12)
        lazy = lazy_of(plan, prepared(frame, NPARTITIONS, plan)).persist()
        expected = steps(plan)(frame)
        check((lazy[A] - lazy[B]).compute().sort_index(), expected[A] - expected[B])
        check(lazy[lazy[A] > 0.02][B].compute().sort_index(), expected[expected[A] > 0.02][B])
        parts = dask.compute(*lazy.to_delayed())
        check(lazy.tail(3), parts[-1].tail(3))
        fresh = lazy_of(plan, prepared(frame, NPARTITIONS, plan))
        check(fresh.head(3), parts[0].head(3))
        check(fresh.partitions[2].compute(), parts[2])
        check(fresh.repartition(npartitions=9).compute().sort_index(), expected)
