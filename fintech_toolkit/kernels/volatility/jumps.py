"""Variation that jumps do not spoil, and whether there are any."""

from __future__ import annotations

from math import gamma, pi, sqrt
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Window, helper, window_kernel
from fintech_toolkit.kernels.risk.tail_risk import NormalQuantile
from fintech_toolkit.kernels.volatility.term_sums import TERM_SUM, on_windows, sum_of
from fintech_toolkit.scan.arithmetic import add, value_of, watch_sum

# One over the mean of |u u'|, of |u u' u''|^(4/3), of min(|u|, |u'|)² and of med(|u|, |u'|, |u''|)², u being normal.
BIPOWER = pi / 2
TRIPOWER = (2 ** (2 / 3) * gamma(7 / 6) / gamma(1 / 2)) ** -3
MIN = pi / (pi - 2)
MED = pi / (6 - 4 * sqrt(3) + pi)
SPREAD_OF_RATIO = pi**2 / 4 + pi - 5

# The sizes of the two returns before, and how many valid ones there were in a row.
PAST = [("last", "f8"), ("before", "f8"), ("seen", "i8")]
RECENT: dict[str, Any] = TERM_SUM | {
    "reads": "r",
    "state": [*PAST, *TERM_SUM["state"]],
    "memory": ["last", "before", "seen"],
    "parameters": [Window()],
}


@helper
def _remember(s, r):  # type: ignore[no-untyped-def]
    s.before = s.last
    s.last = abs(r)
    s.seen = s.seen + 1 if np.isfinite(r) else 0


def _pair(s: Any, r: float) -> float:
    term = abs(r) * s.last if s.seen >= 1 else np.nan
    _remember(s, r)
    return term


def _triple(s: Any, r: float) -> float:
    term = (abs(r) * s.last * s.before) ** (4.0 / 3.0) if s.seen >= 2 else np.nan
    _remember(s, r)
    return term


def _least_of_pair(s: Any, r: float) -> float:
    term = min(abs(r), s.last) ** 2 if s.seen >= 1 and np.isfinite(r) else np.nan
    _remember(s, r)
    return term


def _middle_of_triple(s: Any, r: float) -> float:
    term = np.nan
    if s.seen >= 2 and np.isfinite(r):
        term = max(min(s.last, s.before), min(max(s.last, s.before), abs(r))) ** 2
    _remember(s, r)
    return term


def _successive(r: Any, count: int) -> Any:
    """For oracles: the sizes of the last returns of each row, NaN where one is missing, as an array (rows, count)."""
    padded = np.concatenate([np.full(count - 1, np.nan), np.where(np.isfinite(r), np.abs(r), np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, count)
    return np.where(np.isnan(windows).any(axis=1, keepdims=True), np.nan, windows)


def _sum_on_windows(terms: Any, ts: Any, rolling: Any) -> Any:
    return on_windows(lambda rows: np.sum(terms[rows]), np.isfinite(terms), ts, **rolling)


@window_kernel(
    gives="bv",
    prepare=_pair,
    warmup="min_periods pairs of successive returns in the window",
    source="Barndorff-Nielsen and Shephard (2004), Journal of Financial Econometrics 2",
    **RECENT,
)
def bipower_var(s: Any, r: float, min_periods: int) -> Any:
    """Bipower variation, ``π/2 Σ |r_t| |r_{t-1}|``: like `realized_var`, but a jump that stands alone hardly counts.

    Over the pairs of successive returns whose later one is in the window: a window of n rows has n pairs, as many as
    returns, so that no correction ``n / (n - 1)`` is needed, which others apply to the n - 1 pairs within n returns. Of
    squared returns' unit, not annualised. A missing return (NaN or infinite) leaves out the pairs that it is in.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.bipower_var(np.array([0.01, -0.02, 0.01, 0.2]), window=2).round(6)
    array([     nan,      nan, 0.000628, 0.003456])
    """
    return BIPOWER * sum_of(s, min_periods)


@bipower_var.oracle
def _(r: Any, ts: Any, **rolling: Any) -> Any:
    return np.pi / 2 * _sum_on_windows(_successive(r, 2).prod(axis=1), ts, rolling)


@window_kernel(
    gives="tq",
    prepare=_triple,
    warmup="min_periods triples of successive returns in the window",
    source="Barndorff-Nielsen and Shephard (2004), Journal of Financial Econometrics 2",
    **RECENT,
)
def tripower_quarticity(s: Any, r: float, min_periods: int) -> Any:
    """Tripower quarticity, ``n μ^-3 Σ (|r_t| |r_{t-1}| |r_{t-2}|)^(4/3)``, ``μ = 2^(2/3) Γ(7/6) / Γ(1/2)``: how well
    variation is measured, jumps aside.

    It estimates the integrated fourth power of volatility. Over the n triples of successive returns whose last one is
    in the window; others take those within the window, and correct by ``n / (n - 2)``. A missing return (NaN or
    infinite) leaves out the triples that it is in.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.tripower_quarticity(np.array([0.1, -0.2, 0.1, 0.1]), window=1).round(6)
    array([     nan,      nan, 0.000439, 0.000439])
    """
    return TRIPOWER * s.n * sum_of(s, min_periods)


@tripower_quarticity.oracle
def _(r: Any, ts: Any, **rolling: Any) -> Any:
    from scipy.stats import norm

    mean = norm.expect(lambda u: abs(u) ** (4 / 3))
    terms = (_successive(r, 3) ** (4 / 3)).prod(axis=1)
    return on_windows(lambda rows: len(rows) * np.sum(terms[rows]), np.isfinite(terms), ts, **rolling) / mean**3


@window_kernel(
    gives="minrv",
    prepare=_least_of_pair,
    warmup="min_periods pairs of successive returns in the window",
    source="Andersen, Dobrev and Schaumburg (2012), Journal of Econometrics 169",
    **RECENT,
)
def minrv(s: Any, r: float, min_periods: int) -> Any:
    """Realised variance by the smaller of two returns, ``π / (π - 2) Σ min(|r_t|, |r_{t-1}|)²``: jumps do not count.

    Over the pairs of successive returns whose later one is in the window; others take those within the window, and
    correct by ``n / (n - 1)``. A missing return (NaN or infinite) leaves out the pairs that it is in.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.minrv(np.array([0.01, -0.02, 0.01, 0.2]), window=2).round(6)
    array([     nan,      nan, 0.00055, 0.00055])
    """
    return MIN * sum_of(s, min_periods)


@minrv.oracle
def _(r: Any, ts: Any, **rolling: Any) -> Any:
    return np.pi / (np.pi - 2) * _sum_on_windows(_successive(r, 2).min(axis=1) ** 2, ts, rolling)


@window_kernel(
    gives="medrv",
    prepare=_middle_of_triple,
    warmup="min_periods triples of successive returns in the window",
    source="Andersen, Dobrev and Schaumburg (2012), Journal of Econometrics 169",
    **RECENT,
)
def medrv(s: Any, r: float, min_periods: int) -> Any:
    """Realised variance by the median of three returns, ``π / (6 - 4√3 + π) Σ med(|r_t|, |r_{t-1}|, |r_{t-2}|)²``.

    Jumps do not count, and returns of 0 spoil less than in `minrv`. Over the triples of successive returns whose last
    one is in the window; others take those within the window, and correct by ``n / (n - 2)``. A missing return (NaN or
    infinite) leaves out the triples that it is in.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.medrv(np.array([0.01, -0.02, 0.01, 0.2]), window=2, min_periods=1).round(6)
    array([     nan,      nan, 0.000142, 0.00071 ])
    """
    return MED * sum_of(s, min_periods)


@medrv.oracle
def _(r: Any, ts: Any, **rolling: Any) -> Any:
    return np.pi / (6 - 4 * 3**0.5 + np.pi) * _sum_on_windows(np.median(_successive(r, 3), axis=1) ** 2, ts, rolling)


def _three_terms(s: Any, r: float) -> Any:
    pair = abs(r) * s.last if s.seen >= 2 else np.nan
    terms = r * r, pair, (pair * s.before) ** (4.0 / 3.0)
    _remember(s, r)
    return terms


@helper
def _enter(s, square, pair, triple):  # type: ignore[no-untyped-def]
    s.n += 1
    s.squares, s.squares_lost = add(s.squares, s.squares_lost, square)
    s.pairs, s.pairs_lost = add(s.pairs, s.pairs_lost, pair)
    s.triples, s.triples_lost = add(s.triples, s.triples_lost, triple)


@helper
def _leave(s, square, pair, triple):  # type: ignore[no-untyped-def]
    s.n -= 1
    squares, pairs, triples = s.squares, s.pairs, s.triples
    s.squares, s.squares_lost = add(s.squares, s.squares_lost, -square)
    s.pairs, s.pairs_lost = add(s.pairs, s.pairs_lost, -pair)
    s.triples, s.triples_lost = add(s.triples, s.triples_lost, -triple)
    s.least_squares = watch_sum(s, s.least_squares, squares, s.squares)
    s.least_pairs = watch_sum(s, s.least_pairs, pairs, s.pairs)
    s.least_triples = watch_sum(s, s.least_triples, triples, s.triples)


@window_kernel(
    reads="r",
    gives=["z", "jump:?"],
    prepare=_three_terms,
    enters=["square", "pair", "triple"],
    enter=_enter,
    leave=_leave,
    drifts=True,
    state=[
        *PAST,
        ("n", "i8"),
        ("squares", "f8"),
        ("squares_lost", "f8"),
        ("least_squares", "f8"),
        ("pairs", "f8"),
        ("pairs_lost", "f8"),
        ("least_pairs", "f8"),
        ("triples", "f8"),
        ("triples_lost", "f8"),
        ("least_triples", "f8"),
    ],
    memory=["last", "before", "seen"],
    parameters=[
        Window(),
        NormalQuantile(
            "alpha", "probability that a window without a jump is said to have one", 0.001, above=0, below=1
        ),
    ],
    warmup="min_periods returns in the window that follow two others",
    source="Barndorff-Nielsen and Shephard (2006), J. of Financial Econometrics 4; Huang and Tauchen (2005), ibid. 3",
    cases=[{"window": 20}, {"window": 7, "min_periods": 2, "alpha": 0.2}, {"window": "3s"}],
)
def jump_test(s: Any, r: float, min_periods: int, alpha: float) -> Any:
    """Whether prices jumped within the window: the ratio statistic of bipower against realised variance.

    ``z = (1 - BV / RV) / √((π²/4 + π - 5) max(1, TQ / BV²) / n)`` with RV, BV and TQ as `realized_var`, `bipower_var`
    and `tripower_quarticity` of the same n returns, those that follow two others. Normal where nothing jumps and n is
    large; `jump` says whether it exceeds the quantile ``1 - alpha``.

    A missing return (NaN or infinite) is left out, and so are the two after it. NaN where the returns say nothing: no
    two in a row are other than 0.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> r = np.array([0.01, -0.01, 0.01, -0.01, 0.01, 0.2, -0.01, 0.01, 0.01])
    >>> tested = ft.jump_test(r, window=5, alpha=0.05)
    >>> tested.z.round(2), tested.jump[-2:]
    (array([ nan,  nan,  nan,  nan,  nan,  nan, 2.39, 2.39, 2.39]), array([ True,  True]))
    """
    bipower = BIPOWER * value_of(s.pairs, s.pairs_lost)
    if s.n == 0 or s.n < min_periods or not bipower > 0.0:
        return np.nan, False
    quarticity = TRIPOWER * s.n * value_of(s.triples, s.triples_lost)
    noise = max(1.0, quarticity / bipower / bipower)
    z = (1.0 - bipower / value_of(s.squares, s.squares_lost)) / np.sqrt(SPREAD_OF_RATIO * noise / s.n)
    return z, z > -alpha


@jump_test.oracle
def _(r: Any, ts: Any, alpha: float = 0.001, **rolling: Any) -> Any:
    from scipy.stats import norm

    sizes = _successive(r, 3)
    mean = norm.expect(lambda u: abs(u) ** (4 / 3))

    def ratio(rows: Any) -> float:
        before, last, now = sizes[rows].T
        rv, bv = np.sum(now**2), np.pi / 2 * np.sum(now * last)
        tq = len(rows) * mean**-3 * np.sum(now ** (4 / 3) * last ** (4 / 3) * before ** (4 / 3))
        if bv == 0:
            return np.nan
        return float((1 - bv / rv) / np.sqrt((np.pi**2 / 4 + np.pi - 5) * max(1, tq / bv**2) / len(rows)))

    z = on_windows(ratio, ~np.isnan(sizes[:, 0]), ts, **rolling)
    return z, z > norm.isf(alpha)
