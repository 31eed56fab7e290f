"""Trades that excite trades."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import Number, elapsed, tick_kernel


@tick_kernel(
    reads="ts",
    gives="intensity",
    parameters=[
        Number("mu", "intensity at rest, in events per second", at_least=0),
        Number("alpha", "by how much an event raises the intensity, in events per second", at_least=0),
        Number("beta", "how fast that decays, per second; the process is stable if alpha < beta", above=0),
    ],
    state=[("excitement", "f8"), ("last", "i8"), ("seen", "?")],
    source="Hawkes (1971), Biometrika 58; Ozaki (1979), Annals of the Inst. of Statistical Mathematics 31",
    cases=[{"mu": 0.5, "alpha": 0.8, "beta": 2}],
)
def hawkes_intensity(s: Any, ts: int, mu: float, alpha: float, beta: float) -> Any:
    """Intensity of a Hawkes process with exponential memory at given parameters, in events per second.

    ``mu + Σ alpha exp(-beta (t - t_i))`` over the events up to and including this row's own, each row being an event.
    A row's time cannot be missing.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> ft.hawkes_intensity(np.array([0, 1, 1]), unit="s", mu=1, alpha=0.5, beta=np.log(2))
    array([1.5 , 1.75, 2.25])
    """
    if s.seen:
        s.excitement *= np.exp(-beta * (elapsed(s.last, ts) / 1e9))
    s.excitement += alpha
    s.last = ts
    s.seen = True
    return mu + s.excitement


@hawkes_intensity.oracle
def _(ts: Any, mu: float, alpha: float, beta: float) -> Any:
    return np.array([mu + sum(alpha * np.exp(-beta * (t - ts[: i + 1]) / 1e9)) for i, t in enumerate(ts)])
