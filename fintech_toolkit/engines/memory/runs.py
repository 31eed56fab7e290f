"""Where the rows of each symbol lie together, in order of time: an index that costs one pass."""

from __future__ import annotations

import numpy as np

from fintech_toolkit.engines.memory.wavefront import cut, run_wavefront
from fintech_toolkit.frames.order import run_starts
from fintech_toolkit.frames.symbol_table import CHUNK
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.schema import Array


def find_runs(codes: Array, ts: Array, symbols: int) -> Array | None:
    """Return where the rows of each code start, given how many codes there may be; None if those of one do not lie
    together or are not in order of time, or if a row has no symbol or no time. Without times, rows are in order.
    """
    chunks = cut(len(codes), CHUNK)
    found = [run_starts(codes, ts, chunks[0], symbols)]
    if found[0] is None:
        return None  # where symbols are interleaved the first rows show it
    found += [None] * (len(chunks) - 1)

    def look(c: int) -> None:
        found[1 + c] = run_starts(codes, ts, chunks[1 + c], symbols)

    run_wavefront(len(chunks) - 1, [(False, look)])
    together = [starts for starts in found if starts is not None]
    if len(together) < len(chunks):
        return None
    starts = np.concatenate(together)
    firsts = codes[starts].astype(np.int32)  # of which the negative ones are no symbols
    if (firsts < 0).any() or len(np.unique(firsts)) < len(firsts) or (len(ts) and NAT in ts[starts]):
        return None
    return starts
