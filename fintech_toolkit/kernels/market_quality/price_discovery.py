"""Which of two prices of one thing leads: the shares in its discovery.

Both measures come from one vector error correction model of two prices that return to each other,
``Δp_t = c + α (p_a - p_b)_{t-1} + Σ_i Γ_i Δp_{t-i} + ε_t``, fitted by least squares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import plain_kernel
from fintech_toolkit.errors import DataError, ParameterError

MOST_LAGS = 1000


class InformationShare(NamedTuple):
    """Bounds of the information share of each price: arrays whose last axis is (a, b).

    Attributes
    ----------
    lower, upper : ndarray
        The lesser and the greater share of the two orders in which common news may be attributed.
    mid : ndarray
        The middle of the two; the middles of both prices add up to 1.
    """

    lower: np.ndarray[Any, Any]
    upper: np.ndarray[Any, Any]
    mid: np.ndarray[Any, Any]


@plain_kernel(
    kind="matrix",
    reads=["price_a", "price_b"],
    gives="component_share",
    source="Gonzalo and Granger (1995), Journal of Business & Economic Statistics 13",
)
def component_share(price_a: Any, price_b: Any, *, lags: int = 5, window: int | None = None) -> Any:
    """Component share of each of two prices of one thing: its weight in their common, permanent component.

    ``(α_b, -α_a) / (α_b - α_a)``, where α says how fast each price corrects the difference between both: who does not
    correct, leads. The shares add up to 1, and lie outside 0 and 1 where a price moves away from the other. A row in
    which either price is missing (NaN or infinite) is left out.

    Parameters
    ----------
    price_a, price_b : array_like of float, shape (n,)
        Prices at the same times, in the same unit.
    lags : int, default 5
        How many changes back the model reaches, in rows.
    window : int, optional
        Rows of each of the consecutive windows that have shares of their own; all rows are one if left out.

    Returns
    -------
    ndarray of float64, shape (2,) or (n // window, 2)
        The shares of a and b; NaN where there are too few rows for the model, or the prices do not move.

    Raises
    ------
    DataError
        If the prices are not of one dimension and one length.
    ParameterError
        If `lags` or `window` is not a whole number within its bounds.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> random = np.random.default_rng(0)
    >>> leader = 100 + np.cumsum(random.normal(size=5000))
    >>> follower = np.append(leader[0], leader[:-1]) + random.normal(scale=0.5, size=5000)
    >>> ft.component_share(leader, follower).round(2)
    array([ 1.07, -0.07])
    """
    shares = np.array([_weights(*model) for model in _models(price_a, price_b, lags, window)]).reshape(-1, 2)
    return shares[0] if window is None else shares


@component_share.oracle
def _(price_a: Any, price_b: Any, *, lags: int = 5) -> Any:
    impact, _ = _long_run(price_a, price_b, lags)
    return impact / impact.sum()


@plain_kernel(
    kind="matrix",
    reads=["price_a", "price_b"],
    gives=["lower", "upper", "mid"],
    source="Hasbrouck (1995), Journal of Finance 50",
)
def information_share(price_a: Any, price_b: Any, *, lags: int = 5, window: int | None = None) -> InformationShare:
    """Information share of each of two prices of one thing: its part in the variance of their common price's news.

    ``(ψ M)_j² / ψ Ω ψ'``, with ψ the component shares, Ω the covariance of the news ε, and ``M M' = Ω`` triangular.
    News that comes to both prices within a row belongs to whichever is put first, so that there are bounds, which are
    narrow where rows are short. A row in which either price is missing (NaN or infinite) is left out.

    Parameters
    ----------
    price_a, price_b : array_like of float, shape (n,)
        Prices at the same times, in the same unit.
    lags : int, default 5
        How many changes back the model reaches, in rows.
    window : int, optional
        Rows of each of the consecutive windows that have shares of their own; all rows are one if left out.

    Returns
    -------
    InformationShare
        Bounds and their middle, float64 arrays of shape (2,) or (n // window, 2); NaN where there are too few rows for
        the model, or the prices do not move.

    Raises
    ------
    DataError
        If the prices are not of one dimension and one length.
    ParameterError
        If `lags` or `window` is not a whole number within its bounds.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> random = np.random.default_rng(0)
    >>> leader = 100 + np.cumsum(random.normal(size=5000))
    >>> follower = np.append(leader[0], leader[:-1]) + random.normal(scale=0.5, size=5000)
    >>> ft.information_share(leader, follower).mid.round(2)
    array([1., 0.])
    """
    models = _models(price_a, price_b, lags, window)
    last = np.empty((len(models), 2))
    for row, (alpha, omega) in enumerate(models):
        (a, b), ((aa, ab), (_, bb)) = _weights(alpha, omega), omega
        # The news of each that the other one has not, over all.
        own = np.array([a * a * (aa - ab * ab / bb), b * b * (bb - ab * ab / aa)]) if aa and bb else np.full(2, np.nan)
        last[row] = own / (a * a * aa + 2 * a * b * ab + b * b * bb)
    last = last[0] if window is None else last
    first = 1.0 - last[..., ::-1]
    lower, upper = np.minimum(last, first), np.maximum(last, first)
    return InformationShare(lower, upper, (lower + upper) / 2)


@information_share.oracle
def _(price_a: Any, price_b: Any, *, lags: int = 5) -> Any:
    impact, omega = _long_run(price_a, price_b, lags)
    shares = []
    for order in ([0, 1], [1, 0]):
        factor = np.linalg.cholesky(omega[np.ix_(order, order)])
        parts = (impact[order] @ factor) ** 2
        shares.append((parts / parts.sum())[order])
    return np.min(shares, axis=0), np.max(shares, axis=0), np.mean(shares, axis=0)


def _whole(name: str, value: Any, least: int, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise ParameterError(f"{name}={value!r} must be a whole number from {least} to {most:g}.")


def _models(price_a: Any, price_b: Any, lags: int, window: int | None) -> list[tuple[Any, Any]]:
    """Return α and Ω of each window."""
    a, b = np.asarray(price_a, float), np.asarray(price_b, float)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(
            f"price_a and price_b must be arrays of one dimension and one length, not {a.shape}, {b.shape}."
        )
    _whole("lags", lags, 0, MOST_LAGS)
    if window is not None:
        _whole("window", window, 1, np.inf)
    size = len(a) if window is None else window
    count = 1 if window is None else len(a) // window
    return [_model(a[j * size : (j + 1) * size], b[j * size : (j + 1) * size], lags) for j in range(count)]


def _model(a: Any, b: Any, lags: int) -> tuple[Any, Any]:
    known = np.isfinite(a) & np.isfinite(b)
    prices = np.column_stack([a[known], b[known]])
    changes = np.diff(prices, axis=0)
    rows, unknowns = len(changes) - lags, 2 + 2 * lags
    if rows <= unknowns:
        return np.full(2, np.nan), np.full((2, 2), np.nan)
    before = [changes[lags - i : len(changes) - i] for i in range(1, lags + 1)]
    difference = prices[lags:-1, 0] - prices[lags:-1, 1]
    explaining = np.column_stack([difference - difference.mean(), np.ones(rows), *before])
    found = np.linalg.lstsq(explaining, changes[lags:], rcond=None)[0]
    news = changes[lags:] - explaining @ found
    return found[0], news.T @ news / rows


def _weights(alpha: Any, omega: Any) -> Any:
    """Return the shares in the common component; NaN where nothing is corrected, or nothing moves."""
    correction = alpha[1] - alpha[0]
    moves = np.all(np.diag(omega) > 0) and correction != 0
    return np.array([alpha[1], -alpha[0]]) / correction if moves else np.full(2, np.nan)


def _long_run(price_a: Any, price_b: Any, lags: int) -> Any:
    """Let news of 1 come to each price of the fitted model, once, and wait until both prices have settled."""
    prices = np.column_stack([price_a, price_b]).astype(float)
    changes = np.diff(prices, axis=0)
    rows = [
        [1.0, prices[t, 0] - prices[t, 1], *(changes[t - i, k] for i in range(1, lags + 1) for k in (0, 1))]
        for t in range(lags, len(changes))
    ]
    x, y = np.array(rows), changes[lags:]
    beta = np.linalg.solve(x.T @ x, x.T @ y)
    news = y - x @ beta
    impact = np.empty(2)
    for which in (0, 1):
        path = np.zeros((lags + 2, 2))
        path[-1, which] = 1.0
        for _ in range(5_000):
            past = [path[-i] - path[-i - 1] for i in range(1, lags + 1)]
            step = np.concatenate([[path[-1, 0] - path[-1, 1]], *past]) @ beta[1:]
            path = np.vstack([path[1:], path[-1] + step])
        impact[which] = path[-1].mean()
    return impact, news.T @ news / len(news)
