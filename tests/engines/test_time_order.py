"""Whether rows are in time order, by symbol: the same by one pass over a frame in order and by a look at each row."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.frames.order import Order, mark_disorder, run_starts
from fintech_toolkit.frames.symbols import NULL
from fintech_toolkit.frames.times import NAT
from tests.stress import crossed


def slow(codes: list[int], ts: list[int], last: list[int], ok: list[bool]) -> tuple[list[int], list[bool]]:
    last, ok = list(last), list(ok)
    for i, code in enumerate(codes):
        if ok[i]:
            ok[i] = code != NULL and ts[i] != NAT and ts[i] >= last[code]
            if ok[i]:
                last[code] = ts[i]
    return last, ok


@crossed(
    rows=[1, 3, 40, 400],
    wrong=["nothing", "one earlier", "no time", "no symbol", "refused before", "the first"],
    known=["none", "earlier", "to the last", "beyond"],
)
def test_it_is_what_a_look_at_each_row_says(rows: int, wrong: str, known: str) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        symbols = int(random.choice([1, 7, 60]))
        codes = random.integers(0, symbols, rows).astype(np.uint32)
        ts = 1_000 + np.cumsum(random.integers(0, 3, rows))
        ok = np.ones(rows, np.bool_)
        at = int(random.integers(rows))
        if wrong == "one earlier":
            ts[at] -= 5
        elif wrong == "no time":
            ts[at] = NAT
        elif wrong == "no symbol":
            codes[at] = NULL
        elif wrong == "refused before":
            ok[at] = False
        elif wrong == "the first":
            ts[0] = NAT
        last = np.full(symbols, NAT)
        if known != "none":
            last[random.integers(symbols)] = {"earlier": 900, "to the last": int(ts[0]), "beyond": 1_001}[known]
        expected = slow(codes.tolist(), ts.tolist(), last.tolist(), ok.tolist())
        mark_disorder(codes, ts, last, ok)
        assert (last.tolist(), ok.tolist()) == expected


@crossed(
    width=[np.int8, np.int16, np.int32, np.uint32],
    lengths=[[1], [70], [200, 100, 300], [2_000, 900, 1_024, 1_025], [64] * 40],
    wrong=["nothing", "one earlier", "no time", "no symbol", "refused before", "twice"],
)
def test_it_is_what_a_look_at_each_row_says_where_symbols_lie_together(
    width: type, lengths: list[int], wrong: str
) -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        codes = np.repeat(random.permutation(len(lengths)), lengths).astype(np.uint32)
        ts = np.concatenate([1_000 + np.cumsum(random.integers(0, 2, length)) for length in lengths])
        rows, at = len(ts), int(random.choice([0, len(ts) - 1, *random.integers(len(ts), size=3)]))
        ok = np.ones(rows, np.bool_)
        if wrong == "one earlier":
            ts[at] -= 2
        elif wrong == "no time":
            ts[at] = NAT
        elif wrong == "no symbol":
            codes[at:] = NULL
        elif wrong == "refused before":
            ok[at] = False
        elif wrong == "twice":
            codes[at:] = codes[0]
        last = random.choice([NAT, 900, 1_001], len(lengths))
        expected = slow(codes.tolist(), ts.tolist(), last.tolist(), ok.tolist())
        local = codes.astype(width) if wrong == "nothing" else codes
        starts = run_starts(local, ts, slice(0, rows), rows)
        assert (starts is None) == any(codes[1:][i] == codes[i] and ts[i + 1] < ts[i] for i in range(rows - 1))
        if starts is not None:
            assert starts.tolist() == [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()]
        order = Order(codes, ts, ok)
        for first in range(0, rows, 150):
            order.look(slice(first, min(first + 150, rows)))
        order.mark(last)
        assert (last.tolist(), ok.tolist()) == expected
