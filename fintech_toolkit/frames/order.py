"""Event times must not go backwards within a symbol; across symbols they may."""

from __future__ import annotations

from fintech_toolkit.frames.symbols import NULL, read_only
from fintech_toolkit.frames.times import NAT
from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.schema import Array

_NAT, _NULL = int(NAT), int(NULL)


@compile_cached
def _mark(codes, ts, last, ok):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        code = codes[i]
        if not ok[i]:
            continue
        if code == _NULL:
            ok[i] = False
        elif ts.shape[0] > 0:
            if ts[i] == _NAT or ts[i] < last[code]:
                ok[i] = False
            else:
                last[code] = ts[i]


def mark_disorder(codes: Array, ts: Array, last: Array, ok: Array) -> None:
    """Clear `ok` where a row has no symbol or no time, or is earlier than a row of its symbol before it.

    A row whose `ok` is clear already is passed over. `last` holds the latest time of every symbol (the least int64 if
    none) and is advanced; without times (`ts` empty) only symbols are checked.
    """
    _mark(read_only(codes), read_only(ts), last, ok)
