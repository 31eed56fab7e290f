"""Small markets and random flows over them: what the tests of dataflows draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

import fintech_toolkit as ft
from tests.frames import ticks

World = dict[str, pd.DataFrame]

NUMBERS = {"price", "size", "bid", "ask", "coupon"}
TEXTS = {"venue", "rating"}


def world(rows: int = 60, symbols: int = 4, seed: int = 0) -> World:
    """Trades and quotes in time order, and bonds, of which some symbols have none and some never trade."""
    trades = ticks(rows, symbols, seed, missing=0.1)[["symbol", "ts", "id", "price", "size", "venue"]]
    trades["price"] = trades["price"].where(np.random.default_rng(seed).random(rows) > 0.1)
    quotes = ticks(rows, symbols, seed + 1, missing=0.1)[["symbol", "ts", "bid", "ask"]]
    names = [f"S{number:02d}" for number in range(1, symbols + 2)]
    bonds = pd.DataFrame(
        {
            "symbol": pd.array(names[::-1], dtype="str"),
            "rating": pd.array([["AAA", "BB", None][k % 3] for k in range(len(names))], dtype="str"),
            "coupon": np.arange(len(names)) / 2,
            "issued": 2**60 + np.arange(len(names)),
        }
    )
    return {"trades": trades.reset_index(drop=True), "quotes": quotes.reset_index(drop=True), "bonds": bonds}


@dataclass
class Drawn:
    """A flow on its way: what it has by now, under which names."""

    flow: ft.Flow
    numbers: list[str]
    texts: list[str]
    made: int = 0
    joined: set[str] = field(default_factory=set)

    def name(self, what: str) -> str:
        self.made += 1
        return f"{what}{self.made}"

    @property
    def columns(self) -> list[str]:
        return ["symbol", "ts", *self.numbers, *self.texts]


@st.composite
def flows(draw: Any, most: int = 5) -> ft.Flow:
    """A flow of trades, with as many operations at most, of which some are on the quotes before they are joined."""
    drawn = Drawn(ft.source("trades"), ["price", "size"], ["venue"])
    for _ in range(draw(st.integers(1, most))):
        draw(st.sampled_from(OPERATIONS))(draw, drawn)
    if draw(st.booleans()):
        draw(st.sampled_from([_selected, _windowed]))(draw, drawn)
    return drawn.flow


def _condition(draw: Any, drawn: Drawn) -> tuple[str, str, Any]:
    kind = draw(st.sampled_from(["number", "text", "symbol", "time"]))
    compares = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    if kind == "time":
        return ("ts", draw(compares), pd.Timestamp("2024-08-08 23:54:02", tz="UTC"))
    if kind == "number" and drawn.numbers:
        name = draw(st.sampled_from(drawn.numbers))
        return (name, draw(compares), draw(st.sampled_from([0, 1.5, 3, 99.9, 100, 100.1])))
    if kind == "text" and drawn.texts:
        values = st.lists(st.sampled_from(["X", "Y", "AAA", "BB"]), min_size=1)
        return (draw(st.sampled_from(drawn.texts)), draw(st.sampled_from(["in", "not in"])), draw(values))
    return ("symbol", draw(st.sampled_from(["==", "!=", "<"])), draw(st.sampled_from(["S00", "S01", "S02", "S09"])))


def _filtered(draw: Any, drawn: Drawn) -> None:
    groups = draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))
    drawn.flow = drawn.flow.filter([[_condition(draw, drawn) for _ in range(number)] for number in groups])


def _steps(draw: Any, drawn: Drawn) -> list[Any]:
    steps = []
    for _ in range(draw(st.integers(1, 3))):
        if not drawn.numbers:
            break
        read, name = draw(st.sampled_from(drawn.numbers)), drawn.name("step")
        make = draw(
            st.sampled_from(
                [
                    lambda x: ft.ewma(x, span=5),
                    lambda x: ft.rolling_max(x, window=3),
                    lambda x: ft.midprice(x, x),
                    ft.diff,
                ]
            )
        )
        steps.append(make(read).named(name))
        drawn.numbers.append(name)
    return steps


def _piped(draw: Any, drawn: Drawn) -> None:
    for step in _steps(draw, drawn):  # each a pipeline of its own, for rules to put together
        drawn.flow = drawn.flow.pipe(step)


def _renamed(draw: Any, drawn: Drawn) -> None:
    for names in (drawn.numbers, drawn.texts):
        if names and draw(st.booleans()):
            old, new = draw(st.sampled_from(names)), drawn.name("called")
            drawn.flow = drawn.flow.rename({old: new})
            names[names.index(old)] = new


def _selected(draw: Any, drawn: Drawn) -> None:
    kept = draw(st.permutations(drawn.columns))
    kept = [name for name in kept if name in ("symbol", "ts") or draw(st.booleans())]
    drawn.flow = drawn.flow.select(*kept)
    drawn.numbers = [name for name in drawn.numbers if name in kept]
    drawn.texts = [name for name in drawn.texts if name in kept]


def _with_bonds(draw: Any, drawn: Drawn) -> None:
    if "bonds" in drawn.joined:
        return
    drawn.joined.add("bonds")
    bonds = ft.source("bonds")
    names = draw(st.sampled_from([{"rating": "rating", "coupon": "coupon"}, {"rating": "grade", "coupon": "rate"}]))
    if "grade" in names.values():
        bonds = bonds.rename(names)
    select = draw(st.sampled_from([None, list(names.values())]))
    where = draw(st.sampled_from([None, [(names["rating"], "!=", "BB")]]))
    how = draw(st.sampled_from(["inner", "left"]))
    drawn.flow = drawn.flow.join(bonds, on="symbol", how=how, select=select, where=where)
    drawn.texts.append(names["rating"])
    drawn.numbers.append(names["coupon"])


def _with_quotes(draw: Any, drawn: Drawn) -> None:
    if "quotes" in drawn.joined:
        return
    drawn.joined.add("quotes")
    theirs = Drawn(ft.source("quotes"), ["bid", "ask"], [], made=100)
    if draw(st.booleans()):
        _piped(draw, theirs)
    if draw(st.booleans()):
        _filtered(draw, theirs)
    if draw(st.booleans()) and "price" in drawn.numbers:  # called alike on both sides
        theirs.flow = theirs.flow.rename({"bid": "price"})
        theirs.numbers[0] = "price"
    tolerance = draw(st.sampled_from([None, "1s"]))
    drawn.flow = drawn.flow.asof_join(theirs.flow, tolerance=tolerance, suffixes=("", "_q"))
    drawn.numbers += [f"{name}_q" if name in drawn.numbers else name for name in theirs.numbers]


def _with_markouts(draw: Any, drawn: Drawn) -> None:
    if "markouts" in drawn.joined or drawn.joined & {"bid_1s"}:
        return
    drawn.joined.add("markouts")
    offsets = draw(st.sampled_from([["1s"], ["-1s", "0s", "500ms"]]))
    drawn.flow = drawn.flow.horizon_join(ft.source("quotes"), offsets=offsets, select=["bid"], left_on="ts")
    drawn.numbers += [f"bid_{offset}" for offset in offsets]


def _with_nearby(draw: Any, drawn: Drawn) -> None:
    if "nearby" in drawn.joined:
        return
    drawn.joined.add("nearby")
    agg = {"near": ("ask", "count"), "widest": ("ask", "max"), "level": ("ask", "mean")}
    drawn.flow = drawn.flow.window_join(ft.source("quotes"), before="2s", agg=agg, left_on="ts")
    drawn.numbers += [*agg]


def _windowed(draw: Any, drawn: Drawn) -> None:
    """A window of what there is, which takes the place of it."""
    made: dict[str, Any] = {"n": ("ts", "count")}
    if drawn.numbers:
        column = draw(st.sampled_from(drawn.numbers))
        made |= {how: (column, how) for how in draw(st.sets(st.sampled_from(["max", "mean", "last"])))}
        made["smooth"] = ft.ewma(column, span=3)
    window = draw(st.sampled_from([{"size": "2s"}, {"size": "2s", "every": "1s"}, {"gap": "1s"}]))
    start = drawn.flow.session_window if "gap" in window else drawn.flow.window
    drawn.flow = start(**window).agg(**made)
    drawn.numbers, drawn.texts = list(made), []


OPERATIONS = [_filtered, _piped, _renamed, _selected, _with_bonds, _with_quotes, _with_markouts, _with_nearby]
