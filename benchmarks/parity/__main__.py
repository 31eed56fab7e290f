"""``make parity``: all pairs in one run, as benchmarks/PARITY.md and the summary in README.md."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.__main__ import README, environment, insert, markdown
from benchmarks.parity.pair import ALL, DIGITS, Comparison, run
from benchmarks.parity.pairs import PAIRS, SHORT
from benchmarks.parity.peers import INSTALLED, MISSING, VERSIONS

PARITY = Path(__file__).parents[1] / "PARITY.md"
VERDICTS = ("agrees", "explained", "rounding", "another definition", "unexplained")
HEAD = f"""# Parity

Made by `make parity`, and not by hand: every kernel that another library has too, both called as their users do, on
the same columns without gaps in the same run. The columns of the table:

- *digits*: −log₁₀ of the greatest relative difference over the rows where both have a value, as both are called. It is
  relative to the larger of the two values, or to the median of the column where that is more; "all" is the same bits.
- *once heeded*: the same after what the remark says has been taken out of the peer's results (a divisor, a unit, rows
  until a seed is forgotten). The run fails where that is not enough.
- *verdict*: *agrees* to {DIGITS} digits or more; *explained*, if it does once the remark is heeded; *rounding*, if what
  is left is that; *another definition*, whose numbers are not comparable.
- *first row, ours / peer*: rows before a symbol's first value on each side.
- *ratio*: how many times as fast we are, by processor time, one series of 5,000 rows at a time on both sides; *in one
  call*: ours with all symbols in one call against theirs one by one. There are 1,000 symbols, of which a slow peer gets
  as many as it does in a tenth of a second; one call for few rows costs more than it computes.
"""


def digits(value: float) -> str:
    """Return how many digits agree."""
    return "all" if value >= ALL else f"{max(value, 0.0):.1f}"


def times(ratio: float) -> str:
    """Return how many times as fast."""
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.2g}×"


def kernels(comparisons: Sequence[Comparison]) -> str:
    """Say how many kernels agree, each by the peer that it agrees with best."""
    best: dict[str, str] = {}
    for c in comparisons:
        best[c.pair.kernel] = min(best.get(c.pair.kernel, c.verdict), c.verdict, key=VERDICTS.index)
    agrees, explained, rounding, other, _ = ([*best.values()].count(verdict) for verdict in VERDICTS)
    return (
        f"Of {len(best)} kernels, {agrees} agree with another library to {DIGITS} digits or more as both are called, "
        f"{explained} once a difference of definition is heeded, {rounding} but for rounding; {other} are defined "
        "elsewhere in another way only."
    )


def table(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return a row a pair."""
    return [
        {
            "kernel": c.pair.kernel + "".join(f" {name}={value}" for name, value in c.pair.parameters.items()),
            "peer": c.pair.peer,
            "digits": digits(c.digits),
            "once heeded": digits(c.mended) if c.mended != c.digits or c.only_one else "",
            "verdict": c.verdict,
            "first row, ours / peer": f"{c.warmup[0]} / {c.warmup[1]}",
            "ratio": times(c.peer / c.ours),
            "in one call": times(c.peer / c.at_once) if c.at_once > 0 else "",
            "remark": c.pair.reason if c.verdict != "agrees" else "",
        }
        for c in comparisons
    ]


def summary(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return a row a library, and one of them all."""
    libraries = dict.fromkeys(c.pair.library for c in comparisons)
    groups = [(name, [c for c in comparisons if c.pair.library == name]) for name in libraries]
    return [
        {
            "against": name,
            "kernels": len({c.pair.kernel for c in group}),
            "pairs": len(group),
            **{verdict: sum(c.verdict == verdict for c in group) for verdict in VERDICTS[:-1]},
            "another first row": sum(c.warmup[0] != c.warmup[1] for c in group),
            "median ratio": _median([c.peer / c.ours for c in group]),
            "slower than the peer": sum(c.ours > c.peer for c in group),
            "median in one call": _median([c.peer / c.at_once for c in group if c.at_once > 0]),
            "slower in one call": sum(c.at_once > c.peer for c in group),
        }
        for name, group in [*groups, ("all", list(comparisons))]
    ]


def _median(ratios: Sequence[float]) -> str:
    return times(median(ratios)) if ratios else ""


def main(
    short: Annotated[
        bool, typer.Option("--short", help="Few pairs and rows, to see that it works; writes nothing.")
    ] = False,
) -> None:
    """Compare kernel by kernel with TA-Lib, pandas, Polars and others; an unexplained difference fails."""
    symbols, rows, patience, repeats = (2, 500, 0.0, 1) if short else (1_000, 5_000, 0.1, 5)
    pairs = [pair for pair in (SHORT if short else PAIRS) if pair.library in INSTALLED]
    comparisons = []
    for pair in pairs:
        print(f"{pair.kernel}, {pair.peer} …", file=sys.stderr, flush=True)
        comparisons.append(run(pair, symbols, rows, patience, repeats))
    missing = f" Not installed, and so not compared: {', '.join(MISSING)}." if MISSING else ""
    parts = [
        f"{environment('numba')} Peers: {VERSIONS}.{missing}",
        kernels(comparisons),
        markdown(summary(comparisons)),
    ]
    text = "\n\n".join(parts)
    print(text, markdown(table(comparisons)), sep="\n\n", flush=True)
    wrong = [f"{c.pair.kernel}, {c.pair.peer}" for c in comparisons if c.verdict == "unexplained"]
    if wrong:
        raise SystemExit(f"Differ, and nothing says why: {'; '.join(wrong)}")
    if not short:
        PARITY.write_text(f"{HEAD}\n{text}\n\n{markdown(table(comparisons))}\n")
        README.write_text(insert(README.read_text(), "parity", text))


if __name__ == "__main__":
    typer.run(main)
