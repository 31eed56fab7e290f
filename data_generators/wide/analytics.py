"""What a bond is worth at a yield, and what follows from that: yield, duration, convexity, DV01."""

from typing import Any

import numpy as np

from data_generators.compilation import compiled

_STEP = 1e-4


@compiled
def _price(coupon: float, years: float, market_yield: float, frequency: float, redemption: float) -> Any:
    """Return the price per 100 of face; coupon in percent, the yield as a fraction."""
    rate = market_yield / frequency
    periods = frequency * years
    growth = (1 + rate) ** -periods
    annuity = (1 - growth) / rate if abs(rate) > 1e-9 else periods
    return coupon / frequency * annuity + redemption * growth


@compiled
def _yield(price: float, coupon: float, years: float, frequency: float, redemption: float) -> Any:
    """Return the yield as a fraction by Newton's method: the price is convex in it, so it never overshoots for long."""
    guess = coupon / price + (redemption - price) / (100 * years)
    guess = min(max(guess, -0.5), 2.0)
    for _ in range(50):
        here = _price(coupon, years, guess, frequency, redemption)
        slope = (_price(coupon, years, guess + 1e-6, frequency, redemption) - here) / 1e-6
        step = (price - here) / slope
        guess = min(max(guess + step, -0.9), 10.0)
        if abs(step) < 1e-12:
            break
    return guess


@compiled
def _fill_prices(
    coupon: np.ndarray, years: np.ndarray, yields: np.ndarray, frequency: np.ndarray, out: np.ndarray
) -> None:
    for row in range(len(out)):
        out[row] = _price(coupon[row], years[row], yields[row] / 100, frequency[row], 100.0)


@compiled
def _fill_yields(
    price: np.ndarray,
    coupon: np.ndarray,
    years: np.ndarray,
    frequency: np.ndarray,
    redemption: np.ndarray,
    out: np.ndarray,
) -> None:
    for row in range(len(out)):
        out[row] = 100 * _yield(price[row], coupon[row], years[row], frequency[row], redemption[row])


@compiled
def _fill_sensitivities(
    coupon: np.ndarray, years: np.ndarray, yields: np.ndarray, frequency: np.ndarray, out: np.ndarray
) -> None:
    for row in range(len(coupon)):
        here = yields[row] / 100
        low = _price(coupon[row], years[row], here + _STEP, frequency[row], 100.0)
        middle = _price(coupon[row], years[row], here, frequency[row], 100.0)
        high = _price(coupon[row], years[row], here - _STEP, frequency[row], 100.0)
        out[0, row] = (high - low) / (2 * _STEP)
        out[1, row] = (high + low - 2 * middle) / _STEP**2


def _floats(*columns: Any) -> list[Any]:
    return [np.ascontiguousarray(column, dtype=float) for column in columns]


def prices(coupon: Any, years: Any, yields: Any, frequency: Any) -> Any:
    """Return clean prices per 100 of face.

    Parameters
    ----------
    coupon, years, yields, frequency : ndarray of float64, shape (n,)
        Percent a year, years to maturity (above 0), percent a year compounded as often as coupons are paid, and
        coupons a year.

    Returns
    -------
    ndarray of float64, shape (n,)
        The sum of the discounted cash flows where the years are whole periods, smooth in between.

    Examples
    --------
    >>> prices([5.0], [10.0], [5.0], [2.0]).round(6)
    array([100.])
    """
    columns = _floats(coupon, years, yields, frequency)
    out = np.empty(len(columns[0]))
    _fill_prices(*columns, out)
    return out


def yields_of(price: Any, coupon: Any, years: Any, frequency: Any, redemption: Any) -> Any:
    """Return the yields in percent at which bonds have their clean prices; see `prices`.

    Examples
    --------
    >>> yields_of([100.0], [5.0], [10.0], [2.0], [100.0]).round(6)
    array([5.])
    """
    columns = _floats(price, coupon, years, frequency, redemption)
    out = np.empty(len(columns[0]))
    _fill_yields(*columns, out)
    return out


def sensitivities(coupon: Any, years: Any, yields: Any, frequency: Any, dirty: Any) -> tuple[Any, Any, Any]:
    """Return modified durations in years, convexities, and DV01s per 100 of face.

    Parameters
    ----------
    coupon, years, yields, frequency : ndarray of float64, shape (n,)
        As in `prices`.
    dirty : ndarray of float64, shape (n,)
        Price with accrued interest, to which durations and convexities refer.

    Returns
    -------
    (ndarray, ndarray, ndarray)
        From the prices one basis point to either side.
    """
    columns = _floats(coupon, years, yields, frequency)
    out = np.empty((2, len(columns[0])))
    _fill_sensitivities(*columns, out)
    return out[0] / dirty, out[1] / dirty, out[0] * 1e-4
