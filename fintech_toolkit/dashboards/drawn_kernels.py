"""A kernel, drawn: what it gives on ticks that look real, over what it reads."""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd

from fintech_toolkit import kernels
from fintech_toolkit.checking.ticks import columns_of, step_of
from fintech_toolkit.dashboards.plots import DOTS, LINES
from fintech_toolkit.dashboards.sample_ticks import sample_market, sample_ticks
from fintech_toolkit.dataflow import cross_section
from fintech_toolkit.errors import KernelError
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.values import MISSING
from fintech_toolkit.schema import Array

_ALIKE = 20
"""Columns are drawn in one plot if their ranges are near, and one is at most so many times as wide as the other."""
_MOST_READ = 6
_BAR = "15s"
"""Of a market, what is drawn for each of these."""
_LOOK: dict[str, Any] = {
    "responsive": True,
    "grid": True,
    "height": 170,
    "xlabel": "",
    "ylabel": "",
    "yformatter": "%.6g",
}


def plot_kernel(name: str) -> Any:
    """Draw a kernel on trades of a generated bond, under the first parameters of those that it is tested under.

    Its inputs are grey. What it gives is drawn over them where it is of their kind, and in plots below them where it is
    not; whole numbers that are times, as seconds after their row. A kernel with rows of its own, such as bars, is drawn
    at their times; one across symbols, on the five busiest bonds, in bars of 15 seconds; one that is a plain function
    of arrays (its kind is plan or matrix), as what the example in its documentation gives.

    Parameters
    ----------
    name : str
        The kernel's name, as in the catalogue, or one of its other names.

    Returns
    -------
    holoviews.Layout
        Plots under one another.

    Raises
    ------
    AttributeError
        If there is no such kernel.
    KernelError
        If it is a function of arrays without an example.

    Examples
    --------
    >>> [[curve.label for curve in plot] for plot in plot_kernel("bollinger_bands")]
    [['price', 'mid', 'upper', 'lower'], ['pct_b']]
    """
    import hvplot.pandas  # noqa: F401 - gives frames their hvplot

    kernel = kernels.find(name)
    plots = (_of_ticks if kernel.tickwise else _of_market if kernel.kind == "cross" else _of_example)(kernel)
    told = ", ".join(f"{option}={value!r}" for option, value in kernel.cases[0].items())
    return (
        hv.Layout(plots).cols(1).opts(toolbar=None, shared_axes=False, title=f"{name}({told})", fontsize={"title": 10})
    )


@dataclass
class _Line:
    """A column to draw along time; what is missing is NaN."""

    name: str
    times: Array
    values: Array
    given: bool

    def __post_init__(self) -> None:
        kind = self.values.dtype.kind
        self.steps = kind in "bi"
        missing = self.values == MISSING if kind == "i" else ~np.isfinite(self.values)
        since = (self.values - self.times) / 1e9 if kind == "i" and self.name.endswith("_ts") else self.values
        self.values = np.where(missing, np.nan, since)
        self.empty = bool(missing.all())
        alone = ~missing & np.append(missing[1:], True) & np.append(True, missing[:-1])
        self.dots = bool(alone.any())
        self.low = self.high = 0.0
        if not self.empty:
            self.low, self.high = float(np.nanmin(self.values)), float(np.nanmax(self.values))

    def draw(self, color: str) -> Any:
        """Draw it, as dots where a value has no neighbours that a line could join it with."""
        frame: Any = pd.DataFrame({"time": pd.to_datetime(self.times), self.name: self.values})
        told = {"x": "time", "y": self.name, "label": self.name, "color": color, **_LOOK}
        if self.dots:
            return frame.dropna().hvplot.scatter(size=12, **told)
        drawn = frame.hvplot.step(where="post", **told) if self.steps else frame.hvplot.line(**told)
        return drawn.opts(line_width=1.2)


def _of_ticks(kernel: Kernel) -> list[Any]:
    case, ticks = kernel.cases[0], sample_ticks(kernel)
    times = ticks["ts"]
    given = {} if "ts" in kernel.reads else {"ts": times}
    result = kernel(*(ticks[name] for name in columns_of(kernel)), **given, **case)
    names = kernel.output_names(step_of(kernel, case).width)
    gives = dict(zip(names, [result] if isinstance(result, np.ndarray) else result, strict=True))
    reads = {name: values for name, values in ticks.items() if values.dtype.kind == "f" and name not in gives}
    lines = [_Line(name, times, reads[name], False) for name in list(reads)[:_MOST_READ]]
    if kernel.emits:
        done = gives.pop("complete", slice(None))
        gives = {name: values[done] for name, values in gives.items()}
        times = gives.pop("ts")
    lines += [_Line(name, times, values, True) for name, values in gives.items()]
    return [_overlaid(group) for group in _alike(line for line in lines if not line.empty)]


def _of_market(kernel: Kernel) -> list[Any]:
    """Draw what a kernel across symbols gives of a market's bars, below what it reads."""
    step, market = kernel.step(*("x" for _ in kernel.reads), **kernel.cases[0]), sample_market()
    given = cross_section(step, every=_BAR)(market)
    (output,) = step.outputs
    read = [_line(rows, "x", str(symbol), given=False) for symbol, rows in market.groupby("symbol")]
    if kernel.per_stamp:
        gives = [_line(given, output, output, given=True)]
    else:
        gives = [_line(rows, output, str(symbol), given=True) for symbol, rows in given.groupby("symbol")]
    return [_overlaid(lines).opts(ylabel=name) for lines, name in ((read, "x"), (gives, output))]


def _line(rows: pd.DataFrame, column: str, name: str, *, given: bool) -> _Line:
    return _Line(name, rows["ts"].to_numpy("datetime64[ns]").view("int64"), rows[column].to_numpy(), given)


def _alike(lines: Iterable[_Line]) -> list[list[_Line]]:
    """Return lines by the plots that they fit into."""
    groups: list[list[_Line]] = []
    for line in lines:
        for group in groups:
            low, high = min(other.low for other in group), max(other.high for other in group)
            widths = sorted([high - low, line.high - line.low])
            near = max(line.low - high, low - line.high) <= widths[1]
            if near and (widths[0] == 0 or widths[1] <= _ALIKE * widths[0]):
                group.append(line)
                break
        else:
            groups.append([line])
    return groups


def _overlaid(group: Iterable[_Line]) -> Any:
    colors = cycle(LINES)
    curves = [line.draw(next(colors) if line.given else DOTS) for line in group]
    return hv.Overlay(curves).opts(legend_position="right", show_legend=True)


def _of_example(kernel: Kernel) -> list[Any]:
    """Draw what a function of arrays gives where its documentation calls it first."""
    names: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(kernel) or ""):
        tree = ast.parse(example.source)
        called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        own = [node for node in called if ast.unparse(node.func) == f"ft.{kernel.name}"]
        if own:
            result = eval(compile(ast.Expression(own[0]), kernel.name, "eval"), names)  # noqa: S307 - documentation
            break
        exec(compile(tree, kernel.name, "exec"), names)  # noqa: S102 - documentation
    else:
        raise KernelError(f"{kernel.name} is a function of arrays without an example in its documentation to draw.")
    parts = result._asdict() if hasattr(result, "_asdict") else {kernel.name: result}
    arrays = {name: np.asarray(values) for name, values in parts.items()}
    single = ", ".join(f"{name} = {values:.6g}" for name, values in arrays.items() if values.ndim == 0)
    return [_of_array(name, values).opts(title=single) for name, values in arrays.items() if values.ndim]


def _of_array(name: str, values: Array) -> Any:
    """Draw an array: bars, or a map of a matrix."""
    if values.ndim == 1:
        series: Any = pd.Series(values, [str(j) for j in range(len(values))], name=name)
        return series.hvplot.bar(color=LINES[0], **_LOOK | {"ylabel": name})
    frame: Any = pd.DataFrame(values)
    return frame.hvplot.heatmap(cmap="RdBu_r", **_LOOK | {"ylabel": name, "height": 260})
