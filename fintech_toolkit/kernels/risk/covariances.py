"""Covariance matrices of returns, and the weights that share risk out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import Decay, plain_kernel
from fintech_toolkit.errors import DataError


def _returns(returns: Any) -> Any:
    """Return the rows of a matrix that have all of their values."""
    values = np.asarray(returns, float)
    if values.ndim != 2 or not values.shape[1]:
        raise DataError(f"returns must have two dimensions, rows and symbols, not the shape {values.shape}.")
    return values[np.isfinite(values).all(axis=1)]


@plain_kernel(kind="matrix", reads="returns", gives="covariance", source="pandas, DataFrame.ewm(...).cov()")
def ewcov_matrix(
    returns: Any,
    *,
    alpha: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    com: float | None = None,
    bias: bool = False,
) -> Any:
    """Exponentially weighted covariance matrix of returns, as of the last row.

    ``Σ w (x - mean)(x - mean)' / Σ w`` with weights ``w = (1 - alpha)^age``; without `bias` times ``(Σ w)² / ((Σ w)² -
    Σ w²)``. A row in which a return is missing (NaN or infinite) is left out whole, so that the matrix is one of a
    sample, and never has a negative eigenvalue but by rounding.

    Parameters
    ----------
    returns : array_like of float, shape (n, k)
        Returns of k symbols, the oldest first.
    alpha, span, halflife, com : float
        Exactly one, as for `ewma`.
    bias : bool, default False
        Whether to leave the bias of a small sample in.

    Returns
    -------
    ndarray of float64, shape (k, k)
        The covariances; NaN with fewer than two rows.

    Raises
    ------
    DataError
        If `returns` does not have two dimensions.
    ParameterError
        If not exactly one of the four is given, or it is out of its bounds.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.ewcov_matrix([[0.01, 0.02], [0.03, 0.02], [-0.02, 0.0]], alpha=0.5).round(6)
    array([[0.000871, 0.000371],
           [0.000371, 0.000171]])
    """
    decay = Decay().resolve({"alpha": alpha, "span": span, "halflife": halflife, "com": com})["alpha"]
    values = _returns(returns)
    if len(values) < 2:
        return np.full((values.shape[1], values.shape[1]), np.nan)
    weights = (1.0 - decay) ** np.arange(len(values) - 1, -1, -1.0)
    weights /= weights.sum()
    centred = values - weights @ values
    covariance = (centred * weights[:, None]).T @ centred
    left = 1.0 - np.sum(weights**2)
    if bias:
        return covariance
    return covariance / left if left > 0 else np.full_like(covariance, np.nan)


@ewcov_matrix.oracle
def _(returns: Any, bias: bool = False, **decay: Any) -> Any:
    import pandas as pd

    frame = pd.DataFrame(returns).replace([np.inf, -np.inf], np.nan).dropna()
    return frame.ewm(**decay).cov(bias=bias).to_numpy()[-frame.shape[1] :]


class Shrinkage(NamedTuple):
    """A covariance matrix that was shrunk.

    Attributes
    ----------
    covariance : ndarray
        The matrix.
    shrinkage : float
        The weight of the target in it, between 0 and 1.
    """

    covariance: np.ndarray[Any, Any]
    shrinkage: float


@plain_kernel(
    kind="matrix",
    reads="returns",
    gives=["covariance", "shrinkage"],
    source="Ledoit and Wolf (2004), Journal of Multivariate Analysis 88",
)
def ledoit_wolf_shrinkage(returns: Any) -> Shrinkage:
    """Covariance matrix of returns, shrunk towards a multiple of the identity as far as is best for large samples.

    ``(1 - δ) S + δ μ I``: S is the sample covariance with divisor n, μ the mean of its diagonal, and
    ``δ = min(b², d²) / d²`` with ``d² = |S - μ I|²`` and ``b² = Σ |x x' - S|² / n²``, norms by Frobenius. The same as
    ``LedoitWolf`` of scikit-learn. A row in which a return is missing (NaN or infinite) is left out whole.

    Parameters
    ----------
    returns : array_like of float, shape (n, k)
        Returns of k symbols.

    Returns
    -------
    Shrinkage
        The matrix, float64 of shape (k, k), and δ; NaN with fewer than two rows.

    Raises
    ------
    DataError
        If `returns` does not have two dimensions.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> returns = np.random.default_rng(0).normal(scale=0.01, size=(60, 20))
    >>> round(ft.ledoit_wolf_shrinkage(returns).shrinkage, 2)
    0.87
    """
    values = _returns(returns)
    n, k = values.shape
    if n < 2:
        return Shrinkage(np.full((k, k), np.nan), np.nan)
    centred = values - values.mean(axis=0)
    sample = centred.T @ centred / n
    mu = np.trace(sample) / k
    distance = np.sum((sample - mu * np.eye(k)) ** 2)
    # Σ |x x' - S|² = Σ |x|⁴ - n |S|², which needs no matrix a row.
    noise = (np.sum(np.sum(centred**2, axis=1) ** 2) - n * np.sum(sample**2)) / n**2
    share = min(max(noise, 0.0) / distance, 1.0) if distance > 0 else 0.0
    return Shrinkage((1 - share) * sample + share * mu * np.eye(k), float(share))


@ledoit_wolf_shrinkage.oracle
def _(returns: Any) -> Any:
    """The formulas of the paper, with its norm ``|A|² = tr(A A') / k`` and a matrix a row."""
    n, k = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = np.cov(centred.T, bias=True)
    mu = np.trace(sample) / k

    def norm(matrix: Any) -> float:
        return float(np.trace(matrix @ matrix.T) / k)

    d2 = norm(sample - mu * np.eye(k))
    b2 = min(sum(norm(np.outer(row, row) - sample) for row in centred) / n**2, d2)
    return b2 / d2 * mu * np.eye(k) + (d2 - b2) / d2 * sample, b2 / d2


MOST_ROUNDS, CLOSE = 10_000, 1e-12


@plain_kernel(
    kind="matrix",
    reads="covariance",
    gives="weights",
    source="Maillard, Roncalli and Teïletche (2010), Journal of Portfolio Management 36; Spinu (2013) on the solution",
)
def risk_parity_weights(covariance: Any, budgets: Any = None) -> Any:
    """Weights of a portfolio, all positive, in which each symbol contributes its share of the risk.

    ``w_i (Σ w)_i / w' Σ w = b_i``, by the minimum of ``x' Σ x / 2 - Σ b ln x`` (Spinu 2013), one coordinate after the
    other (Griveau-Billion, Richard and Roncalli 2013), scaled to a sum of 1. There is exactly one solution. What is
    missing is an error.

    Parameters
    ----------
    covariance : array_like of float, shape (k, k)
        Symmetric and positive definite.
    budgets : array_like of float, shape (k,), optional
        Shares of the risk, positive; scaled to a sum of 1. Equal shares if left out.

    Returns
    -------
    ndarray of float64, shape (k,)
        The weights.

    Raises
    ------
    DataError
        If the matrix is not square, finite, symmetric and positive definite, or the budgets do not fit it.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.risk_parity_weights([[0.04, 0.0], [0.0, 0.01]]).round(6)
    array([0.333333, 0.666667])
    """
    matrix = np.asarray(covariance, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise DataError(f"covariance must be a square matrix, not of the shape {matrix.shape}.")
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, rtol=1e-9, atol=0.0):
        raise DataError("covariance must be finite and symmetric.")
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise DataError("covariance must be positive definite; ledoit_wolf_shrinkage gives one that is.") from None
    k = len(matrix)
    share = np.full(k, 1.0 / k) if budgets is None else np.asarray(budgets, float)
    if share.shape != (k,) or not (np.isfinite(share) & (share > 0)).all():
        raise DataError(f"budgets must be {k} positive numbers, one for each symbol.")
    share = share / share.sum()
    # In units of each symbol's own deviation, so that one threshold suits all.
    deviation = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(deviation, deviation)
    x = np.sqrt(share)
    for _ in range(MOST_ROUNDS):
        for j in range(k):
            others = correlation[j] @ x - x[j]
            x[j] = (np.sqrt(others**2 + 4 * share[j]) - others) / 2
        if np.max(np.abs(x * (correlation @ x) - share)) <= CLOSE:
            break
    weights = x / deviation
    return weights / weights.sum()


@risk_parity_weights.oracle
def _(covariance: Any, budgets: Any = None) -> Any:
    """By a solver for equations in general."""
    from scipy.optimize import root

    matrix = np.asarray(covariance, float)
    share = np.full(len(matrix), 1 / len(matrix)) if budgets is None else np.asarray(budgets) / np.sum(budgets)
    x = np.exp(root(lambda log: np.exp(log) * (matrix @ np.exp(log)) - share, -0.5 * np.log(np.diag(matrix))).x)
    return x / x.sum()
