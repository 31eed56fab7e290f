"""Lists of parameters in a step give the columns that a step for each of their values would, wherever they run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.checking.ticks import columns_of
from fintech_toolkit.engines.dask.partitions import partition_by_symbol
from fintech_toolkit.engines.memory import wavefront
from fintech_toolkit.errors import ColumnError, ParameterError, PipelineError
from fintech_toolkit.flow.projection import needed_steps
from fintech_toolkit.scan.declaration import Kernel
from tests.frames import same, ticks

LISTS = ft.Pipeline(
    ft.midprice(),
    ft.ewma("mid", halflife=[10, 2.5]),
    ft.rolling_zscore("mid", window=[10, 3], min_periods=3),
    ft.bollinger_bands("mid", window=[5, 10], k=[2, 0.5]).named("band"),
    ft.rolling_median("ewma_2.5", window=["90ms", "3s"]),
    ft.rolling_max("rolling_median_3s", window=[7]).named("top"),
)
BAND = ("mid", "upper", "lower", "pct_b")
STEPS = ft.Pipeline(
    ft.midprice(),
    ft.ewma("mid", halflife=10).named("ewma_10"),
    ft.ewma("mid", halflife=2.5).named("ewma_2.5"),
    ft.rolling_zscore("mid", window=10, min_periods=3).named("zscore_10"),
    ft.rolling_zscore("mid", window=3, min_periods=3).named("zscore_3"),
    ft.bollinger_bands("mid", window=5, k=2).named(*(f"band_{name}_5_2" for name in BAND)),
    ft.bollinger_bands("mid", window=10, k=0.5).named(*(f"band_{name}_10_0.5" for name in BAND)),
    ft.rolling_median("ewma_2.5", window="90ms").named("rolling_median_90ms"),
    ft.rolling_median("ewma_2.5", window="3s").named("rolling_median_3s"),
    ft.rolling_max("rolling_median_3s", window=7).named("top_7"),
)


def many() -> pd.DataFrame:
    return ticks(missing=0.02)


def in_pieces(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    run = pipeline.start()
    return pd.concat([run(frame.iloc[a:b]) for a, b in ((0, 1), (1, 1), (1, 130), (130, None))])


def saved_between(pipeline: ft.Pipeline, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    run = pipeline.start()
    first = run(frame.iloc[:211])
    run.state.save(path)
    return pd.concat([first, pipeline.start(path)(frame.iloc[211:])])


def live(pipeline: ft.Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    source = Stream()
    received = pipeline.live(source).sink_to_list()
    for a in range(0, len(frame), 190):
        source.emit(frame.iloc[a : a + 190])
    return pd.concat(received)


def test_every_way_gives_the_bits_of_single_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = many()
    expected = STEPS(frame)
    assert LISTS.gives == STEPS.gives
    same(LISTS(frame), expected)
    same(in_pieces(LISTS, frame), expected)
    same(saved_between(LISTS, frame, tmp_path / "state.parquet"), expected)
    same(live(LISTS, frame), expected)
    table = LISTS(pa.Table.from_pandas(frame, preserve_index=False))
    same(table.to_pandas(), STEPS(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas())
    same(LISTS(frame.iloc[:0]), expected.iloc[:0])
    same(LISTS.start().peek(frame), expected)
    monkeypatch.setattr(wavefront, "MORSEL", 97)
    same(LISTS(frame), expected)
    # Symbols that are coded, interleaved and then one after the other, are read in ways of their own.
    coded = frame.astype({"symbol": "category"})
    same(LISTS(coded), STEPS(coded))
    together = coded.sort_values("symbol", kind="stable")
    same(LISTS(together), STEPS(together))


def test_a_tick_gives_the_bits_of_a_frame() -> None:
    frame = many().iloc[:150]
    expected = STEPS(frame)[LISTS.gives].to_dict("records")
    run = LISTS.start()
    for row, want in zip(frame.itertuples(), expected, strict=True):
        got = run.tick(row.symbol, row.ts, bid=row.bid, ask=row.ask)
        np.testing.assert_array_equal(list(got.values()), list(want.values()))
        assert list(got) == LISTS.gives


@pytest.mark.parametrize("plan", ["chain", "by_symbol"])
def test_dask_gives_the_bits_of_single_steps(plan: str) -> None:
    frame = many().astype({"symbol": "string", "venue": "string", "note": "string"}).reset_index(drop=True)
    ddf = dd.from_pandas(frame, npartitions=3)
    lazy = LISTS(partition_by_symbol(ddf, 3) if plan == "by_symbol" else ddf, plan=plan)
    result = lazy.compute(scheduler="sync")
    same(result.sort_values("id")[LISTS.gives].reset_index(drop=True), STEPS(frame)[LISTS.gives])
    text = str(LISTS.explain(ddf, plan="chain"))
    assert text.count("ewma('mid', halflife=[10, 2.5])") == 1


def test_they_are_one_step_as_data_and_to_look_at() -> None:
    again = ft.Pipeline.from_json(LISTS.to_json())
    assert again == LISTS
    assert again.gives == LISTS.gives
    assert again.steps == LISTS.steps
    assert len(LISTS.steps) == 6
    flow = ft.source("quotes").pipe(LISTS)
    assert ft.Flow.from_yaml(flow.to_yaml()) == ft.Flow.from_json(flow.to_json()) == flow
    step = ft.ewma("mid", halflife=np.array([10.0, 50.0]))
    assert repr(step) == "ewma('mid', halflife=[10, 50])"
    assert ft.Pipeline(step) == ft.Pipeline(ft.ewma("mid", halflife=(10, 50)))
    shown = LISTS._repr_html_()
    assert "<td style='text-align:left'>ewma_10, ewma_2.5</td>" in shown
    assert eval(repr(step), vars(ft) | {"ewma": ft.ewma}) == step


def test_a_resolved_number_that_is_not_of_its_value_is_refused() -> None:
    data = json.loads(ft.Pipeline(ft.ewma("mid", alpha=[0.1, 0.2], min_periods=2)).to_json())
    resolved = data["steps"][0]["resolved"]
    for wrong in ({"alpha": [0.1, 0.3]}, {"alpha": [0.1]}, {"alpha": 0.1}, {"alpha": ["0.1", "0.2"]}):
        data["steps"][0]["resolved"] = resolved | wrong
        with pytest.raises(PipelineError, match=r"stands for|not a pipeline's JSON"):
            ft.Pipeline.from_json(json.dumps(data))


KERNELS = [k for name, k in kernels.registry().items() if name == k.name and k.tickwise and not k.emits]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_each_parameter_of_each_kernel_may_be_a_list(kernel: Kernel) -> None:
    for case in kernel.cases:
        names = [n for p in kernel.parameters if p.sweeps for n in p.keywords if case.get(n) is not None]
        if not names:
            continue
        columns = columns_of(kernel.variant(case))
        alone = kernel.step(*columns, **case)
        listed = kernel.step(*columns, **case | {name: [case[name]] for name in names})
        suffix = "_".join(str(alone.parameters[name]) for name in names)
        assert listed.outputs == tuple(f"{name}_{suffix}" for name in alone.outputs)
        assert listed.parts == [alone.renamed(listed.outputs)]
        pipeline = ft.Pipeline(listed)
        assert ft.Pipeline.from_json(pipeline.to_json()).steps == (listed,)


def test_lists_are_taken_together_and_single_values_go_with_each() -> None:
    both = ft.macd("mid", fast=[5, 12], slow=[20, 26])
    assert both.outputs == tuple(
        f"{name}_{values}" for values in ("5_20", "12_26") for name in ("macd", "signal", "hist")
    )
    one = ft.macd("mid", fast=[5], slow=[20, 26], signal=9)
    assert one.outputs[::3] == ("macd_5_20", "macd_5_26")
    assert one.parameters == {"fast": (5, 5), "slow": (20, 26), "signal": 9}
    assert ft.rolling_mean("mid", window=range(2, 4)).outputs == ("rolling_mean_2", "rolling_mean_3")
    assert ft.rolling_mean("mid", window=["60s", "90s"]).outputs == ("rolling_mean_1min", "rolling_mean_90s")


def test_names_stand_for_columns_for_outputs_or_before_all() -> None:
    step = ft.macd("mid", fast=[5, 12])
    assert step.named("x").outputs[2:4] == ("x_hist_5", "x_macd_12")
    assert step.named("a", "b", "c").outputs == ("a_5", "b_5", "c_5", "a_12", "b_12", "c_12")
    assert step.named(*"abcdef").outputs == tuple("abcdef")
    assert ft.ewma("mid", span=[9]).named("fast").outputs == ("fast_9",)
    with pytest.raises(PipelineError, match="macd gives 6 columns; got names"):
        step.named("a", "b")
    given = ft.ewma("mid", span=[9]).named("fast")
    assert ft.Pipeline.from_json(ft.Pipeline(given).to_json()).steps == (given,)


def test_a_frame_gets_a_column_for_each_value() -> None:
    frame = many()
    got = ft.ewma(frame, "bid", span=[5, 9])
    same(got[["ewma_5"]], ft.ewma(frame, "bid", span=5)[["ewma"]].rename(columns={"ewma": "ewma_5"}))
    assert list(got.columns[-2:]) == ["ewma_5", "ewma_9"]


def test_values_that_nobody_reads_are_not_computed() -> None:
    kept = needed_steps(LISTS, {"ewma_10", "rolling_median_90ms"})
    assert kept is not None
    assert kept.gives == ["mid", "ewma_10", "ewma_2.5", "rolling_median_90ms"]
    frame = many()
    same(kept(frame), STEPS(frame)[[*frame.columns, *kept.gives]])
    assert needed_steps(LISTS, set(LISTS.gives)) is LISTS


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ft.ewma("mid", halflife=[]), ParameterError, r"ewma: halflife=\[\] holds no value"),
        (lambda: ft.ewma("mid", halflife=[10, 50, 10.0]), ParameterError, "halflife=10 is there twice"),
        (lambda: ft.macd("mid", fast=[5, 5], slow=[9, 9]), ParameterError, "fast=5, slow=9 is there twice"),
        (lambda: ft.rolling_mean("mid", window=["60s", "1min"]), ParameterError, "window='1min' is there twice"),
        (lambda: ft.ewma("mid", halflife=[10, -1]), ParameterError, "ewma: halflife=-1 must be greater than 0"),
        (lambda: ft.rolling_mean("mid", window=[10, "x"]), ParameterError, "window='x' is not a duration"),
        (lambda: ft.rolling_mean("mid", window=[3, 10], min_periods=4), ParameterError, "at most window=3"),
        (lambda: ft.rolling_mean("mid", window=[10, "5s"]), ParameterError, "both numbers of rows and durations"),
        (lambda: ft.rolling_mean("mid", window=[10, None]), ParameterError, "holds None"),
        (lambda: ft.ewma("mid", span=[10, True]), ParameterError, "span=True must be a number"),
        (lambda: ft.ewma("mid", span=[[10, 20]]), ParameterError, "span must be one value in a pipeline, or a list"),
        (lambda: ft.ewma("mid", span=[[1], [2, 3]]), ParameterError, "span must be one value in a pipeline, or a list"),
        (lambda: ft.macd("mid", fast=[5, 6, 7], slow=[9, 10]), ParameterError, "fast has 3, slow has 2"),
        (lambda: ft.time_bars(frequency=["1s", "2s"]), ParameterError, "time_bars emits rows of its own"),
        (lambda: ft.lag("mid", k=2, dtype=["int64"]), ParameterError, "dtype=.* is not known"),
        (
            lambda: ft.Pipeline(ft.ewma("a", span=[2, 9]), ft.ewma("b", span=9).named("ewma_9")),
            PipelineError,
            "both give 'ewma_9'; rename one",
        ),
        (lambda: LISTS(many().assign(zscore_3=0.0)), ColumnError, "already has a column 'zscore_3'"),
        (
            lambda: ft.source("t").window("1min").agg(m=ft.ewma("price", span=[9])),
            ParameterError,
            "of a window a step must give one column",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
