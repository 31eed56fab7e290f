"""Tests of pairs, groups and trends, against statsmodels, published numbers and counting."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from fintech_toolkit.errors import ColumnError, DataError
from fintech_toolkit.orders.comparison import compare
from fintech_toolkit.orders.inference import adjusted, anova, anova_tests, paired, paired_tests, trend
from fintech_toolkit.orders.settings import Market
from tests.orders.measured import drawn

# Student (1908): hours of sleep that ten patients gained by two drugs; t = -4.0621, p = 0.002833, and of R's manual
# ?sleep the 95 % interval (-2.4598858, -0.7001142).
SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
# Hollander and Wolfe (1973), 29: depression before and after tranquilizers; V = 40, exact one-sided p = 0.01953.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
# Dobson (1983): weights of plants under three treatments; F = 4.846 with 2 and 27 degrees of freedom, p = 0.01591.
PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}


def test_published_numbers() -> None:
    sleep = paired(*SLEEP)
    assert (round(sleep.t, 4), round(sleep.p_t, 6), sleep.pairs) == (-4.0621, 0.002833, 10)
    assert (round(sleep.low, 7), round(sleep.high, 7)) == (-2.4598858, -0.7001142)
    depression = paired(BEFORE, AFTER)
    assert depression.wilcoxon == 45 - 40  # of the two rank sums, SciPy's is the smaller one
    assert round(depression.p_wilcoxon / 2, 5) == 0.01953
    weights = pd.DataFrame([(name, value) for name, values in PLANTS.items() for value in values])
    plants = anova(weights[1], weights[0])
    assert (round(plants.f, 3), round(plants.p, 5), plants.groups, plants.values) == (4.846, 0.01591, 3, 30)


def test_pairs_as_statsmodels_sees_them() -> None:
    rng = np.random.default_rng(3)
    real = rng.normal(5, 2, 200)
    simulated = real - rng.normal(0.4, 1.5, 200)
    found = paired(np.append(real, [np.nan, 1, np.inf]), np.append(simulated, [1, np.nan, 2]), 0.9)
    differences = DescrStatsW(real - simulated)
    t, p, freedom = differences.ttest_mean()
    assert (found.pairs, found.left_out, freedom) == (200, 3, 199)
    np.testing.assert_allclose([found.t, found.p_t], [t, p], rtol=1e-9)
    np.testing.assert_allclose([found.low, found.high], differences.tconfint_mean(0.1), rtol=1e-9)
    spread = np.sqrt((np.var(real, ddof=1) + np.var(simulated, ddof=1)) / 2)
    assert found.d_pooled == pytest.approx((real.mean() - simulated.mean()) / spread)
    assert found.d_pairs == pytest.approx(t / np.sqrt(200))
    back = paired(simulated, real)
    assert (back.t, back.d_pairs, back.low) == pytest.approx((-found.t, -found.d_pairs, -paired(real, simulated).high))


def test_what_cannot_be_tested_says_why() -> None:
    assert paired([], []).note == "no pairs"
    assert paired([np.nan], [1.0]) == paired([1.0], [np.inf])
    assert (paired([np.nan], [1.0]).note, paired([np.nan], [1.0]).left_out) == ("no pairs", 1)
    one = paired([2.0], [1.5])
    assert (one.note, one.mean_difference) == ("one pair: nothing to test", 0.5)
    assert np.isnan([one.t, one.low, one.p_wilcoxon, one.d_pairs]).all()
    equal = paired([1000.1, 1000.2, 1000.3], [1000.0, 1000.1, 1000.2])  # but for rounding
    assert equal.note == "all differences are equal: t is undefined"
    assert np.isnan([equal.t, equal.p_t, equal.low, equal.high, equal.d_pairs, equal.d_pooled]).all()
    assert equal.wilcoxon == 0  # no rank is below
    same = paired([1.0, 2.0], [1.0, 2.0])
    assert (same.mean_difference, same.note) == (0.0, "all differences are equal: t is undefined")
    assert np.isnan([same.t, same.p_wilcoxon]).all()
    with pytest.raises(DataError, match=r"shape \(2,\), simulated ones \(1,\)"):
        paired([1.0, 2.0], [1.0])


def test_groups_that_are_too_small_are_named() -> None:
    nothing = anova(pd.Series([1.0, 2.0, np.nan]), pd.Series(["a", "b", "b"]))
    assert (nothing.groups, nothing.values, nothing.note) == (0, 0, "fewer than two groups; too small: a, b")
    flat = anova(pd.Series([1.0, 1.0, 2.0, 2.0]), pd.Series([1, 1, 2, 2]))
    assert (flat.note, np.isnan(flat.f)) == ("no variation within groups", True)
    absent = anova(pd.Series([1.0, 2.0, 2.0, 4.0, 7.0]), pd.Series(["a", "a", "b", "b", None]))
    assert (absent.groups, absent.values, absent.note) == (2, 4, "")


def test_adjusted_as_statsmodels_does() -> None:
    p = np.random.default_rng(1).uniform(0, 0.2, 40)
    with_holes = np.insert(p, [0, 7, 40], np.nan)
    np.testing.assert_allclose(adjusted(with_holes)[~np.isnan(with_holes)], multipletests(p, method="fdr_bh")[1])
    assert np.isnan(adjusted([np.nan])).all()
    assert len(adjusted([])) == 0


def test_a_trend_by_counting_pairs_of_days() -> None:
    rng = np.random.default_rng(5)
    days = pd.Series(pd.bdate_range("2024-09-02", periods=40).date)
    values = pd.Series(rng.normal(0, 1, 40) + np.arange(40) * 0.1)
    values.iloc[[3, 20]] = np.nan, 500.0
    found = trend(days, values)
    known = [(day.toordinal(), value) for day, value in zip(days, values, strict=True) if not np.isnan(value)]
    pairs = list(itertools.combinations(known, 2))
    assert found.slope == pytest.approx(np.median([(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs]))
    assert found.tau == pytest.approx(sum(np.sign(b[1] - a[1]) for a, b in pairs) / len(pairs))
    assert (found.days, found.low < found.slope < found.high, found.p < 0.01) == (39, True, True)
    assert trend(days[:2], values[:2]).note == "fewer than three days"
    flat = trend(days, values * 0)
    assert (flat.slope, flat.note, np.isnan(flat.p)) == (0, "all days are equal: tau is undefined", True)


def test_tables_of_tests() -> None:
    market = drawn(1)
    to_fill = market["final"].set_index("order_id")["quantity"]
    metrics = compare(market["final"], market["real"], {"mid": market["simulated"]}, market["nbbo"], Market(), to_fill)
    metrics.loc[[4, 5], "real_cost_bps"] = np.nan
    table = paired_tests(metrics, ["size", "participantid"], ["cost_bps", "weighted_seconds"])
    assert len(table) == 2 * (1 + 3 + 4)
    row = table.set_index(["measure", "by", "group"]).loc[("cost_bps", "size", "small")]
    mine = metrics[(metrics["size"] == "small") & (metrics["quantity"] > 0)]
    difference = (mine["real_cost_bps"] - mine["simulated_cost_bps"]).dropna()
    assert (row["t"], row["p_t"]) == pytest.approx(DescrStatsW(difference).ttest_mean()[:2])
    assert row["left_out"] == len(mine) - len(difference) > 0
    np.testing.assert_allclose(table["q_t"], multipletests(table["p_t"], method="fdr_bh")[1])
    groups = anova_tests(metrics, ["size"], ["cost_bps"]).iloc[0]
    both = metrics[metrics["quantity"] > 0].assign(d=lambda frame: frame["real_cost_bps"] - frame["simulated_cost_bps"])
    model = anova_lm(ols("d ~ C(size)", both.dropna(subset="d")).fit())
    assert (groups["f"], groups["p"]) == pytest.approx((model.loc["C(size)", "F"], model.loc["C(size)", "PR(>F)"]))
    assert groups["eta_squared"] == pytest.approx(model.loc["C(size)", "sum_sq"] / model["sum_sq"].sum())
    nothing = paired_tests(metrics.assign(quantity=0))
    assert len(nothing) == len(anova_tests(metrics.assign(quantity=0))) == 0
    with pytest.raises(ColumnError, match=r"no column 'sizes'\. Did you mean 'size'"):
        paired_tests(metrics, ["sizes"])
