"""Whether real and simulated fills differ, and by how much: SciPy's tests, over pairs and over groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fintech_toolkit.errors import ColumnError, DataError, did_you_mean

TESTED = (
    "cost_bps",
    "weighted_cost_bps",
    "effective_spread_bps",
    "shortfall_bps",
    "improvement_bps",
    "first_fill_seconds",
    "weighted_seconds",
)
"""Measures whose real and simulated values are held against each other."""
FACTORS = ("arrival_hour", "size", "volume_quartile", "participantid", "side")
"""What orders are grouped by, in tests."""
_FEW = 50
_SAME = 1e-12
"""Differences that differ by less, relative to what was subtracted, do so by rounding."""


@dataclass(frozen=True)
class Paired:
    """Real against simulated values of the same orders; a test that cannot be made is NaN, and `note` says why.

    Attributes
    ----------
    pairs, left_out : int
        Orders that have both values, and those that lack one.
    mean_real, mean_simulated, mean_difference : float
        Means; the difference is real - simulated.
    low, high : float
        Interval of the mean difference, by the t distribution.
    t, p_t : float
        Paired t-test, with ``pairs - 1`` degrees of freedom.
    wilcoxon, p_wilcoxon : float
        Signed-rank test; differences of 0 are left out. Exact up to 50 differences without ties, else by the normal
        distribution.
    d_pairs : float
        Mean difference over the standard deviation of the differences (Cohen's d of pairs).
    d_pooled : float
        Mean difference over the pooled standard deviation of both sides: ``sqrt((var_real + var_simulated) / 2)``.
    note : str
        Why a test is missing; empty if none is.
    """

    pairs: int
    left_out: int
    mean_real: float = np.nan
    mean_simulated: float = np.nan
    mean_difference: float = np.nan
    low: float = np.nan
    high: float = np.nan
    t: float = np.nan
    p_t: float = np.nan
    wilcoxon: float = np.nan
    p_wilcoxon: float = np.nan
    d_pairs: float = np.nan
    d_pooled: float = np.nan
    note: str = ""


def paired(real: npt.ArrayLike, simulated: npt.ArrayLike, confidence: float = 0.95) -> Paired:
    """Test whether two values of the same orders differ.

    Parameters
    ----------
    real, simulated : array_like of float
        A value for each order; those where either is NaN or infinite are left out and counted.
    confidence : float
        Of the interval.

    Returns
    -------
    Paired

    Raises
    ------
    DataError
        If the two are not of one length.

    Examples
    --------
    >>> from fintech_toolkit.orders.inference import paired
    >>> found = paired([3.0, 5.0, 4.0, 8.0], [1.0, 4.0, 4.0, 5.0])
    >>> found.mean_difference, round(found.t, 3), round(found.d_pairs, 3)
    (1.5, 2.324, 1.162)
    >>> paired([3.0, 4.0], [1.0, 2.0]).note
    'all differences are equal: t is undefined'
    """
    from scipy import stats

    a, b = np.asarray(real, "float64"), np.asarray(simulated, "float64")
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"Real values have shape {a.shape}, simulated ones {b.shape}; a pair needs one of each.")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    pairs, left_out = len(a), int(len(known) - len(a))
    if not pairs:
        return Paired(0, left_out, note="no pairs")
    difference = a - b
    mean = float(difference.mean())
    means = {"mean_real": float(a.mean()), "mean_simulated": float(b.mean()), "mean_difference": mean}
    if pairs == 1:
        return Paired(pairs, left_out, **means, note="one pair: nothing to test")
    found: dict[str, float] = {}
    note = ""
    if np.ptp(difference) <= _SAME * max(np.abs(a).max(), np.abs(b).max()):
        note = "all differences are equal: t is undefined"
    else:
        test = stats.ttest_rel(a, b)
        interval = test.confidence_interval(confidence)
        deviation = float(difference.std(ddof=1))
        found = {"t": test.statistic, "p_t": test.pvalue, "low": interval.low, "high": interval.high}
        found |= {"d_pairs": mean / deviation, "d_pooled": mean / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)}
    moved = np.abs(difference[difference != 0])
    if len(moved):
        exact = len(moved) <= _FEW and len(np.unique(moved)) == len(moved)
        ranks = stats.wilcoxon(difference, method="exact" if exact else "asymptotic")
        found |= {"wilcoxon": ranks.statistic, "p_wilcoxon": ranks.pvalue}
    return Paired(pairs, left_out, **means, **{name: float(value) for name, value in found.items()}, note=note)


@dataclass(frozen=True)
class Anova:
    """One-way analysis of variance.

    Attributes
    ----------
    groups, values : int
        How many took part: groups of two and more, and the values in them.
    f, p : float
        The test; NaN where it cannot be made.
    eta_squared : float
        Share of the variance that lies between groups.
    note : str
        Which groups were too small, or why there is no test; empty if there is nothing to say.
    """

    groups: int
    values: int
    f: float = np.nan
    p: float = np.nan
    eta_squared: float = np.nan
    note: str = ""


def anova(values: pd.Series, groups: pd.Series) -> Anova:
    """Test whether groups have different means.

    Parameters
    ----------
    values : pandas.Series of float
        NaN and infinite ones are left out.
    groups : pandas.Series
        Of each value; those without are left out. Groups of one value are left out, and named.

    Returns
    -------
    Anova

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.orders.inference import anova
    >>> found = anova(pd.Series([1.0, 2.0, 3.0, 5.0, 9.0]), pd.Series(["a", "a", "b", "b", "c"]))
    >>> found.groups, found.values, round(found.f, 3), found.note
    (2, 4, 5.0, 'too small: c')
    """
    from scipy import stats

    known = np.isfinite(values.to_numpy("float64")) & groups.notna().to_numpy()
    split = {key: part.to_numpy("float64") for key, part in values[known].groupby(groups[known], observed=True)}
    small = [str(key) for key, part in split.items() if len(part) < 2]
    parts = [part for part in split.values() if len(part) >= 2]
    note = f"too small: {', '.join(small)}" if small else ""
    many = sum(map(len, parts))
    if len(parts) < 2:
        return Anova(len(parts), many, note="; ".join(filter(None, ["fewer than two groups", note])))
    every = np.concatenate(parts)
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    total = float(((every - every.mean()) ** 2).sum())
    if all(np.ptp(part) <= _SAME * np.abs(every).max() for part in parts):
        return Anova(len(parts), many, note="; ".join(filter(None, ["no variation within groups", note])))
    test = stats.f_oneway(*parts)
    return Anova(len(parts), many, float(test.statistic), float(test.pvalue), 1 - within / total, note)


def adjusted(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Adjust the p-values of many tests after Benjamini and Hochberg (1995).

    Parameters
    ----------
    p : array_like of float
        NaN where there was no test; such a one stays NaN and does not count.

    Returns
    -------
    numpy.ndarray of float64
        The false discovery rate at which each would be called significant.

    Examples
    --------
    >>> import numpy as np
    >>> from fintech_toolkit.orders.inference import adjusted
    >>> adjusted([0.01, 0.04, np.nan, 0.03])
    array([0.03, 0.04,  nan, 0.04])
    """
    from scipy import stats

    made = np.array(p, "float64")
    known = ~np.isnan(made)
    if known.any():
        made[known] = stats.false_discovery_control(made[known])
    return made


def paired_tests(
    metrics: pd.DataFrame, by: Sequence[str] = FACTORS, measures: Sequence[str] = TESTED, confidence: float = 0.95
) -> pd.DataFrame:
    """Test every measure, in every scenario, over all orders and over each group of them.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `compare` gives it. Rows of quantity 0 have nothing to compare and are passed over.
    by : sequence of str
        Columns to group by, one at a time.
    measures : sequence of str
        Columns without their ``real_`` and ``simulated_``.
    confidence : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``scenario``, ``measure``, ``by``, ``group`` and the fields of `Paired`, besides ``q_t`` and ``q_wilcoxon``:
        p-values adjusted over all rows.

    Raises
    ------
    ColumnError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> metrics = pd.DataFrame({"scenario": "mid", "quantity": 100, "size": ["tiny", "tiny", "small", "small"],
    ...                         "real_cost_bps": [3.0, 5.0, 4.0, 8.0], "simulated_cost_bps": [1.0, 4.0, 4.0, 5.0]})
    >>> found = orders.paired_tests(metrics, by=["size"], measures=["cost_bps"])
    >>> found[["by", "group", "pairs", "mean_difference", "p_t", "q_t"]].round(3)
         by  group  pairs  mean_difference    p_t    q_t
    0   all             4              1.5  0.103  0.307
    1  size  small      2              1.5  0.500  0.500
    2  size   tiny      2              1.5  0.205  0.307
    """
    _present(metrics, [*by, *(f"{side}_{name}" for side in ("real", "simulated") for name in measures)])
    rows = []
    for scenario, part in metrics[metrics["quantity"] > 0].groupby("scenario", sort=False):
        groups = [("all", "", part)]
        groups += [(name, str(key), each) for name in by for key, each in part.groupby(name, observed=True)]
        for measure in measures:
            for name, key, each in groups:
                found = paired(each[f"real_{measure}"], each[f"simulated_{measure}"], confidence)
                rows.append({"scenario": scenario, "measure": measure, "by": name, "group": key, **asdict(found)})
    columns = ["scenario", "measure", "by", "group", *Paired.__dataclass_fields__]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(q_t=adjusted(table["p_t"]), q_wilcoxon=adjusted(table["p_wilcoxon"]))


def anova_tests(metrics: pd.DataFrame, by: Sequence[str] = FACTORS, measures: Sequence[str] = TESTED) -> pd.DataFrame:
    """Test whether real - simulated differs between groups.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `compare` gives it.
    by, measures : sequence of str
        As of `paired_tests`.

    Returns
    -------
    pandas.DataFrame
        ``scenario``, ``measure``, ``by``, the fields of `Anova` and ``q``: p-values adjusted over all rows.

    Raises
    ------
    ColumnError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit import orders
    >>> metrics = pd.DataFrame({"scenario": "mid", "quantity": 100, "size": ["tiny", "tiny", "small", "small"],
    ...                         "real_cost_bps": [3.0, 5.0, 4.0, 8.0], "simulated_cost_bps": [1.0, 4.0, 4.0, 5.0]})
    >>> orders.anova_tests(metrics, by=["size"], measures=["cost_bps"])[["by", "groups", "values", "f"]].round(3)
         by  groups  values    f
    0  size       2       4  0.0
    """
    _present(metrics, [*by, *(f"{side}_{name}" for side in ("real", "simulated") for name in measures)])
    rows = [
        {"scenario": scenario, "measure": measure, "by": name, **asdict(anova(difference, part[name]))}
        for scenario, part in metrics[metrics["quantity"] > 0].groupby("scenario", sort=False)
        for measure in measures
        for difference in [part[f"real_{measure}"] - part[f"simulated_{measure}"]]
        for name in by
    ]
    table = pd.DataFrame(rows, columns=["scenario", "measure", "by", *Anova.__dataclass_fields__])
    return table.assign(q=adjusted(table["p"]))


@dataclass(frozen=True)
class Trend:
    """How a series moves from day to day.

    Attributes
    ----------
    days : int
        Days with a value.
    slope, low, high : float
        Theil-Sen slope per calendar day (median of the slopes between all pairs of days), and its 95 % interval.
    tau, p : float
        Mann-Kendall test: Kendall's tau between day and value, and its p-value.
    note : str
        Why there is no test; empty if there is.
    """

    days: int
    slope: float = np.nan
    low: float = np.nan
    high: float = np.nan
    tau: float = np.nan
    p: float = np.nan
    note: str = ""


def trend(days: pd.Series, values: pd.Series) -> Trend:
    """Find the trend of daily values, whatever outliers there are.

    Parameters
    ----------
    days : pandas.Series of date
        One for each value.
    values : pandas.Series of float
        NaN and infinite ones are left out.

    Returns
    -------
    Trend

    Examples
    --------
    >>> import pandas as pd
    >>> from fintech_toolkit.orders.inference import trend
    >>> days = pd.Series(pd.date_range("2024-09-02", periods=5).date)
    >>> found = trend(days, pd.Series([1.0, 3.0, 2.0, 4.0, 90.0]))
    >>> found.slope, round(found.tau, 2)
    (2.0, 0.8)
    """
    from scipy import stats

    known = np.isfinite(values.to_numpy("float64"))
    y = values.to_numpy("float64")[known]
    x = pd.to_datetime(days[known]).to_numpy("datetime64[D]").view("int64")
    if len(y) < 3:
        return Trend(len(y), note="fewer than three days")
    line = stats.theilslopes(y, x)
    if np.ptp(y) == 0:
        return Trend(len(y), 0.0, 0.0, 0.0, note="all days are equal: tau is undefined")
    test = stats.kendalltau(x, y)
    found = (line.slope, line.low_slope, line.high_slope, test.statistic, test.pvalue)
    slope, low, high, tau, p = map(float, found)
    return Trend(len(y), slope, low, high, tau, p)


def _present(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in frame:
            raise ColumnError(f"There is no column {name!r}. {did_you_mean(name, map(str, frame.columns))}")
