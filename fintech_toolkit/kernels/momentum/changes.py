"""When a level changes: sums that run away from it, and how long it has stood."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fintech_toolkit.authoring import Count, Number, helper, push, tick_kernel
from fintech_toolkit.kernels.momentum.averages import valid_rows


@tick_kernel(
    reads="x",
    gives=["up", "down", "alarm"],
    parameters=[
        Number("k", "by how much a value may be off the target before it adds, in the unit of `x`", at_least=0),
        Number("h", "sum above which there is an alarm, in the same unit", above=0),
        Number("target", "the level that is watched, in the same unit", 0.0),
    ],
    state=[("up", "f8"), ("down", "f8")],
    source="Page (1954), Biometrika 41",
    cases=[{"k": 0.25, "h": 4.7123}, {"k": 0, "h": 1.2345, "target": 1}],
)
def cusum(s: Any, x: float, k: float, h: float, target: float) -> tuple[float, float, float]:
    """Cumulative sums of what values are above and below a target, and an alarm (1 up, -1 down, else 0) where one is
    more than `h`.

    ``up_t = max(0, up_{t-1} + x_t - target - k)``, ``down_t = max(0, down_{t-1} + target - x_t - k)``. The sum
    that gives an alarm is shown with it, and begins anew with the next row. A row without a value (NaN or
    infinite) gives the sums so far, no alarm, and does not count.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> watched = ft.cusum(np.array([1.0, 2.0, 0.0, -3.0]), k=0.5, h=1.5)
    >>> watched.up, watched.down, watched.alarm
    (array([0.5, 2. , 0. , 0. ]), array([0. , 0. , 0. , 2.5]), array([ 0.,  1.,  0., -1.]))
    """
    if not np.isfinite(x):
        return s.up, s.down, 0.0
    off = x - target
    up, down = max(s.up + (off - k), 0.0), max(s.down + (-off - k), 0.0)
    s.up = up if up <= h else 0.0
    s.down = down if down <= h else 0.0
    return up, down, 1.0 if up > h else -1.0 if down > h else 0.0


@cusum.oracle
def _(x: Any, k: float, h: float, target: float = 0.0) -> Any:
    """The greatest sum that ends with a row, of those that begin after the last alarm."""
    sums, alarm = np.zeros((2, len(x))), np.zeros(len(x))
    for side, sign in enumerate((1, -1)):
        since: list[float] = []
        for i, value in enumerate(x):
            if np.isfinite(value):
                since.append(sign * (value - target) - k)
            sums[side, i] = max([0.0, *(math.fsum(since[j:]) for j in range(len(since)))])
            if sums[side, i] > h:
                alarm[i] = sign
                since = []
    return sums[0], sums[1], alarm


@helper
def _log_density(x, mean, spread, strength, shape, norm):  # type: ignore[no-untyped-def]
    """Return the log density of the next value of a run (Student's t), -inf where float64 cannot tell."""
    scale = spread * (strength + 1.0) / strength
    distance = (x - mean) * ((x - mean) / (2.0 * scale))
    density = norm - 0.5 * np.log(scale) - (shape + 0.5) * np.log1p(distance)
    return density if density > -np.inf and density < np.inf else -np.inf


@helper
def _norm(shape):  # type: ignore[no-untyped-def]
    return math.lgamma(shape + 0.5) - math.lgamma(shape) - 0.5 * np.log(2.0 * np.pi)


@helper
def _learn(into, x, mean, spread, strength):  # type: ignore[no-untyped-def]
    """Take a value into what a run knows of its mean and its spread."""
    off = x - mean
    into.mean = mean + off / (strength + 1.0)
    into.spread = spread + 0.5 * off * off * (strength / (strength + 1.0))


@tick_kernel(
    reads="x",
    gives=["run_length", "change_probability"],
    parameters=[
        Number(
            "hazard", "probability that a run ends with a row: one over its expected length", 0.01, above=0, below=1
        ),
        Count("window", "longest run that is told from longer ones, in rows", 200, at_least=2),
        Number("mu", "mean of a run, as expected before it begins, in the unit of `x`", 0.0),
        Number("kappa", "how many values that expectation is worth", 1.0, above=0),
        Number(
            "alpha",
            "shape of the inverse gamma prior of a run's variance: half the values that it is worth",
            1.0,
            above=0,
        ),
        Number("beta", "scale of that prior, in the square of the unit of `x`", 1.0, above=0),
    ],
    state=[("run", "f8"), ("change", "f8")],
    slots=[("weight", "f8"), ("mean", "f8"), ("spread", "f8"), ("norm", "f8"), ("density", "f8")],
    warmup="one valid row",
    source="Adams and MacKay (2007), arXiv:0710.3742; normal values of unknown mean and variance",
    cases=[{"window": 30}, {"hazard": 0.1, "window": 8, "mu": 100, "kappa": 0.5, "alpha": 2, "beta": 0.1}],
)
def bocpd(
    s: Any, x: float, hazard: float, window: int, mu: float, kappa: float, alpha: float, beta: float, slots: Any
) -> tuple[float, float]:
    """Bayesian detection of change points: the most probable length of the run that a value belongs to (itself
    included), and the probability that it is the first of a new one.

    A run is of normal values whose mean and variance are unknown: ``mean ~ N(mu, variance / kappa)``,
    ``variance ~ inverse gamma(alpha, beta)``. With ``p_r`` the probability of a run of r values and ``f_r`` the density
    of the next value after them (Student's t), ``p'_1 ∝ hazard f_0(x)`` and ``p'_{r+1} ∝ (1 - hazard) p_r f_r(x)``.
    Runs of more than `window` values are taken for their last `window`. A row without a value (NaN or infinite)
    gives what the last one gave and does not count. The time of a row grows with the window.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> x = np.array([0.1, -0.1, 0.0, 9.0, 9.1, 8.9])
    >>> found = ft.bocpd(x, hazard=0.1)
    >>> found.run_length, found.change_probability.round(2)
    (array([1., 2., 3., 1., 2., 3.]), array([1.  , 0.07, 0.06, 0.86, 0.01, 0.  ]))
    """
    if np.isfinite(x):
        runs = s.count
        fresh = _log_density(x, mu, beta, kappa, alpha, _norm(alpha))
        best = fresh
        for j in range(runs):
            run = slots[j]
            run.density = _log_density(x, run.mean, run.spread, kappa + j + 1.0, alpha + 0.5 * (j + 1.0), run.norm)
            if run.weight > 0.0:
                best = max(best, run.density)
        if runs < window:
            new = slots[push(s)]
            new.norm = _norm(alpha + 0.5 * (runs + 1.0))
            new.weight = 0.0
            new.density = -np.inf
        total = 0.0
        for j in range(s.count - 1, 0, -1):
            old, run = slots[j - 1], slots[j]
            weight = old.weight * np.exp(old.density - best)
            if runs == window and j == window - 1:  # the longest that is told from longer ones
                weight += run.weight * np.exp(run.density - best)
            run.weight = (1.0 - hazard) * weight if weight > 0.0 else 0.0
            total += run.weight
            _learn(run, x, old.mean, old.spread, kappa + j)
        first = slots[0]
        first.weight = hazard * np.exp(fresh - best)
        _learn(first, x, mu, beta, kappa)
        if not total + first.weight > 0.0:
            first.weight = 1.0
        total += first.weight
        s.run, greatest = 1.0, 0.0
        for j in range(s.count):
            slots[j].weight /= total
            if slots[j].weight > greatest:
                s.run, greatest = j + 1.0, slots[j].weight
        s.change = first.weight
    return (s.run, s.change) if s.count > 0 else (np.nan, np.nan)


@bocpd.oracle
def _(
    x: Any,
    hazard: float = 0.01,
    window: int = 200,
    mu: float = 0.0,
    kappa: float = 1.0,
    alpha: float = 1.0,
    beta: float = 1.0,
) -> Any:
    """In logarithms, and what a run knows taken from its values each time, by the formula for all of them at once."""
    from scipy.special import logsumexp
    from scipy.stats import t as student

    def log_densities(value: float, before: Any) -> Any:
        """Return those of a value after runs of none, of the last, of the last two, and so on."""
        past = before[::-1] - value
        n = np.arange(len(past) + 1.0)
        mean = np.append(0.0, np.cumsum(past)) / np.maximum(n, 1)
        squares = np.append(0.0, np.cumsum(past**2)) - n * mean**2
        k, a, prior = kappa + n, alpha + n / 2, mu - value
        m = (kappa * prior + n * mean) / k
        b = beta + squares / 2 + kappa * n * (mean - prior) ** 2 / (2 * k)
        return student.logpdf(0.0, 2 * a, m, np.sqrt(b * (k + 1) / (a * k)))

    def runs(values: Any) -> Any:
        found, log_p = [], np.array([])
        for i, value in enumerate(values):
            after = log_densities(value, values[max(0, i - window) : i])
            grown = np.append(after[0] + np.log(hazard), log_p + np.log1p(-hazard) + after[1:])
            if len(grown) > window:
                grown = np.append(grown[: window - 1], np.logaddexp(*grown[window - 1 :]))
            log_p = grown - logsumexp(grown)
            found.append((np.argmax(log_p) + 1, np.exp(log_p[0])))
        return np.array(found).T

    return tuple(valid_rows(lambda values, j=j: runs(values)[j], x) for j in range(2))
