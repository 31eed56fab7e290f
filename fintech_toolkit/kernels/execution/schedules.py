"""Plans of an order: how to cut it, and what a cut costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fintech_toolkit.authoring import Count, Number, plain_kernel
from fintech_toolkit.errors import DataError, ParameterError

Array = np.ndarray[Any, Any]


@plain_kernel(
    kind="plan",
    reads=["quantity", "horizon", "slices"],
    gives="slices",
    source="Almgren and Chriss (2001), Journal of Risk 3, eq. 13 to 19",
)
def optimal_ac_schedule(
    quantity: float,
    *,
    horizon: float,
    slices: int,
    sigma: float,
    eta: float,
    gamma: float = 0.0,
    lamb: float = 0.0,
) -> Array:
    """Almgren and Chriss's optimal schedule: the slices of an order whose expected cost plus `lamb` times its variance
    is least, under linear impact.

    With ``τ = horizon / slices`` and ``η' = eta - gamma τ / 2``, what is left after slice j is
    ``quantity sinh(κ (horizon - j τ)) / sinh(κ horizon)``, where ``2 (cosh(κ τ) - 1) / τ² = lamb sigma² / η'``. Without
    risk aversion the slices are equal.

    Parameters
    ----------
    quantity : float
        What is to be traded; negative to sell.
    horizon : float
        Time until all is to be traded, in any unit: that of `sigma` and `eta`.
    slices : int
        How many there are, of equal length.
    sigma : float
        Volatility of the price, in its unit, per square root of the unit of time.
    eta : float
        Temporary impact: by how much the price is worse per unit traded in a unit of time.
    gamma : float, default 0
        Permanent impact: by how much the price stays moved per unit traded.
    lamb : float, default 0
        Risk aversion: what a unit of the cost's variance is worth.

    Returns
    -------
    ndarray of float64, shape (slices,)
        How much to trade in each; they add up to the quantity. No schedule holds missing values (NaN).

    Raises
    ------
    ParameterError
        If a parameter is not finite or outside its bounds, or ``eta`` is at most ``gamma τ / 2``.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.optimal_ac_schedule(1e6, horizon=5, slices=5, sigma=0.95, eta=2.5e-6, gamma=2.5e-7, lamb=1e-6).round()
    array([458044., 252101., 141957.,  85756.,  62142.])
    """
    _number("quantity", quantity)
    for name, value in (("horizon", horizon), ("eta", eta)):
        Number(name, "", above=0).check(value)
    for name, value in (("sigma", sigma), ("gamma", gamma), ("lamb", lamb)):
        Number(name, "", at_least=0).check(value)
    n = Count("slices", "").check(slices)
    step = horizon / n
    slope = eta - gamma * step / 2
    if slope <= 0:
        raise ParameterError(
            f"eta={eta!r} must be more than gamma times half a slice, {gamma * step / 2:g}: else waiting costs nothing."
        )
    urgency = np.arccosh(1 + lamb * sigma**2 / slope * step**2 / 2)  # κ τ
    left = np.arange(n, -1, -1.0)
    if urgency * n < 1e-6:
        kept = left / n
    else:  # sinh(a) / sinh(b), of which neither needs to be finite
        kept = np.exp(urgency * (left - n)) * np.expm1(-2 * urgency * left) / np.expm1(-2 * urgency * n)
    sizes: Array = -np.diff(quantity * kept)
    return sizes


@optimal_ac_schedule.oracle
def _(
    quantity: float, *, horizon: float, slices: int, sigma: float, eta: float, gamma: float = 0.0, lamb: float = 0.0
) -> Any:
    """The least of the cost as equations 8 and 5 of the paper have it, a quadratic form, among all that add up."""
    step = horizon / slices
    held = np.triu(np.ones((slices, slices)), 1)  # what is left after each slice
    cost = (eta / step - gamma / 2) * np.eye(slices) + lamb * sigma**2 * step * held.T @ held
    system = np.block([[2 * cost, np.ones((slices, 1))], [np.ones((1, slices)), np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(np.zeros(slices), quantity))[:-1]


class Simulated(NamedTuple):
    """What came of a schedule.

    Attributes
    ----------
    fills : ndarray
        How much was traded in each interval.
    cost : float
        What that cost more than at the arrival price; negative if less.
    unfilled : float
        What was left at the end.
    """

    fills: Array
    cost: float
    unfilled: float


@plain_kernel(
    kind="plan",
    reads=["schedule", "price", "volume"],
    gives=["fills", "cost", "unfilled"],
    source="Perold (1988), Journal of Portfolio Management 14, on the cost; definition",
)
def schedule_simulator(
    schedule: Any, price: Any, volume: Any, *, participation: float = 1.0, arrival: float | None = None
) -> Simulated:
    """Trade a schedule along a path of prices and volumes: what is filled, and at what cost.

    In each interval what is scheduled, and what is left over from before, is filled at the interval's price, up to
    `participation` times its volume. The cost is ``Σ fill (price - arrival)``. An interval whose price or volume is
    missing (NaN or infinite) fills nothing.

    Parameters
    ----------
    schedule : array_like of float, shape (n,)
        How much is to be traded in each interval; all of one sign, negative to sell.
    price, volume : array_like of float, shape (n,)
        Price and traded volume of each interval.
    participation : float, default 1
        Share of an interval's volume that can be had, above 0, at most 1.
    arrival : float, optional
        Price against which the cost is; the first known one if left out.

    Returns
    -------
    Simulated
        Fills (float64, shape (n,)), cost in the unit of price times quantity, NaN if no price is known, and what is
        unfilled.

    Raises
    ------
    DataError
        If the arrays are not of one dimension and one length, the schedule is not finite or not of one sign, or a
        volume is negative.
    ParameterError
        If `participation` or `arrival` is outside its bounds.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.schedule_simulator([50, 50, 0], [10.0, 10.5, 11.0], [400, 100, 400], participation=0.25)
    Simulated(fills=array([50., 25., 25.]), cost=np.float64(37.5), unfilled=np.float64(0.0))
    """
    wanted, prices, volumes = (np.asarray(values, float) for values in (schedule, price, volume))
    if wanted.ndim != 1 or not wanted.shape == prices.shape == volumes.shape:
        shapes = ", ".join(str(values.shape) for values in (wanted, prices, volumes))
        raise DataError(f"schedule, price and volume must be arrays of one dimension and one length, not {shapes}.")
    wrong = ~np.isfinite(wanted) | (wanted * np.sign(wanted.sum()) < 0)
    for name, values, bad in (("schedule", wanted, wrong), ("volume", volumes, volumes < 0)):
        if bad.any():
            row = int(np.argmax(bad))
            must = "be finite and of one sign" if name == "schedule" else "not be negative"
            raise DataError(f"{name} holds {values[row]} at row {row}; it must {must}.")
    share = Number("participation", "", above=0, at_most=1).check(participation)
    traded = np.isfinite(prices) & np.isfinite(volumes)
    if arrival is None:
        arrival = prices[np.argmax(traded)] if traded.any() else np.nan
    else:
        _number("arrival", arrival)
    most = np.where(traded, share * volumes, 0.0)
    sizes, fills, left = np.abs(wanted), np.empty(len(wanted)), 0.0
    for i in range(len(wanted)):
        left += sizes[i]
        fills[i] = min(left, most[i])
        left -= fills[i]
    sign = np.sign(wanted.sum())
    cost = np.sum(sign * fills[traded] * (prices[traded] - arrival)) if traded.any() else np.float64(np.nan)
    return Simulated(sign * fills, cost, np.float64(sign * left))


@schedule_simulator.oracle
def _(schedule: Any, price: Any, volume: Any, *, participation: float = 1.0, arrival: float | None = None) -> Any:
    """What is filled by an interval is the least of what could have been since the queue was last empty."""
    sign = np.sign(np.sum(schedule))
    price = np.asarray(price)
    traded = np.isfinite(price) & np.isfinite(volume)
    wanted = np.append(0.0, np.cumsum(np.abs(schedule)))
    could = np.append(0.0, np.cumsum(np.where(traded, participation * np.asarray(volume), 0)))
    done = np.array([min(wanted[j] + could[i] - could[j] for j in range(i + 1)) for i in range(len(wanted))])
    fills = sign * np.diff(done)
    start = price[traded][0] if arrival is None else arrival
    return fills, np.sum(fills[traded] * (price[traded] - start)), sign * (wanted[-1] - done[-1])


@plain_kernel(
    kind="plan",
    reads=["quantity", "display"],
    gives="slices",
    source="definition; Esser and Mönch (2007), Finance Research Letters 4, on iceberg orders",
)
def iceberg_slicer(quantity: int, display: int, *, jitter: float = 0.0, seed: int = 0) -> Array:
    """Slices in which a hidden order shows itself: about `display` each, off by a random share of it that makes them
    harder to tell; all together exactly the quantity.

    A slice is ``display (1 + jitter u)`` with u between -1 and 1, rounded, and at least 1; the last is the rest. No
    slice is missing (NaN).

    Parameters
    ----------
    quantity : int
        The whole order, in the smallest unit that can be traded.
    display : int
        What a slice shows, in the same unit.
    jitter : float, default 0
        Greatest share of `display` by which a slice differs from it, from 0 to below 1.
    seed : int, default 0
        What decides all that is left to chance.

    Returns
    -------
    ndarray of int64
        The slices, in their order.

    Raises
    ------
    ParameterError
        If a parameter is not a whole number where it has to be, or outside its bounds.

    Examples
    --------
    >>> import fintech_toolkit as ft
    >>> ft.iceberg_slicer(1000, 300)
    array([300, 300, 300, 100])
    """
    rest, shown = Count("quantity", "").check(quantity), Count("display", "").check(display)
    share = Number("jitter", "", at_least=0, below=1).check(jitter)
    random = np.random.default_rng(Count("seed", "", at_least=0).check(seed))
    parts: list[Array] = []
    while rest > 0:
        draws = 2.0 * random.random(rest // shown + 1) - 1.0
        part = np.maximum(np.rint(shown * (1.0 + share * draws)), 1.0).astype(np.int64)
        part = part[: np.searchsorted(np.cumsum(part), rest) + 1]
        parts.append(part)
        rest -= int(part.sum())
    parts[-1][-1] += rest
    return np.concatenate(parts)


@iceberg_slicer.oracle
def _(quantity: int, display: int, *, jitter: float = 0.0, seed: int = 0) -> Any:
    """One slice after the other."""
    random, slices = np.random.default_rng(seed), list[int]()
    while (rest := quantity - sum(slices)) > 0:
        for _ in range(rest // display + 1):
            size = max(round(display * (1 + jitter * (2 * random.random() - 1))), 1)
            slices.append(min(size, quantity - sum(slices)))
            if sum(slices) == quantity:
                break
    return np.array(slices)


def _number(name: str, value: Any) -> None:
    Number(name, "").check(value)
