"""Whether rows are in time order, by symbol: the same by one pass over a frame in order and by a look at each row."""

from __future__ import annotations

import numpy as np
import pytest

from fintech_toolkit.frames.order import mark_disorder
from fintech_toolkit.frames.symbols import NULL
from fintech_toolkit.frames.times import NAT


def slow(codes: list[int], ts: list[int], last: list[int], ok: list[bool]) -> tuple[list[int], list[bool]]:
    last, ok = list(last), list(ok)
    for i, code in enumerate(codes):
        if ok[i]:
            ok[i] = code != NULL and ts[i] != NAT and ts[i] >= last[code]
            if ok[i]:
                last[code] = ts[i]
    return last, ok


@pytest.mark.parametrize("rows", [1, 3, 40, 400])
@pytest.mark.parametrize("wrong", ["nothing", "one earlier", "no time", "no symbol", "refused before", "the first"])
@pytest.mark.parametrize("known", ["none", "earlier", "to the last", "beyond"])
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
