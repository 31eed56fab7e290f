"""What parameters accept and what the loops get: bounds to the last bit, decays as in pandas, windows of both sorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fintech_toolkit as ft
from fintech_toolkit.scan.parameters import Choice, Count, Decay, Duration, Flag, Number, Window

SECOND = 1_000_000_000
ABOVE, BELOW = np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0)


def resolved(parameter: Any, **given: Any) -> Any:
    return parameter.resolve({**parameter.keywords, **given})


@pytest.mark.parametrize(
    ("parameter", "good", "bad", "words"),
    [
        (Number("k", "times", above=1), [ABOVE, 5], [1, 1.0, BELOW], "greater than 1"),
        (Number("k", "times", below=1), [BELOW, -5], [1, ABOVE], "less than 1"),
        (Number("k", "times", at_least=1), [1, 1.0, ABOVE], [BELOW, 0], "at least 1"),
        (Number("k", "times", at_most=1), [1, 1.0, BELOW], [ABOVE, 2], "at most 1"),
        (Number("k", "times", above=0, at_most=1), [BELOW, 1], [0, ABOVE], ""),
        (Count("k", "rows"), [1, 2.0, 10**12], [0, -1], "at least 1"),
        (Count("k", "rows", at_least=0), [0, 1], [-1], "at least 0"),
        (Count("k", "rows"), [3], [1.5, ABOVE], "must be a whole number"),
        (Number("k", "times"), [0, -1.5], [np.nan, np.inf, -np.inf], "must be finite"),
        (Number("k", "times"), [0], ["1", None, True, [True, False]], "must be a number"),
        (Count("k", "rows"), [1], ["1", True], "must be a whole number"),
        (Flag("f", "whether"), [True, False], [1, 0, "yes", None], "must be True or False"),
        (Choice("c", "which", options=("a", "b")), ["a", "b"], ["c", 0, "A", ""], "is not known; one of 'a', 'b'"),
        (Duration("d", "how long"), ["1ns", "5s", "2D"], ["0s", "-1s", "x", None], ""),
    ],
)
def test_bounds_are_exact(parameter: Any, good: list[Any], bad: list[Any], words: str) -> None:
    for value in good:
        resolved(parameter, **{parameter.name: value})
    for value in bad:
        with pytest.raises(ft.ParameterError, match=words) as caught:
            resolved(parameter, **{parameter.name: value})
        assert parameter.name in str(caught.value)


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Number("k", "times"), 3, 3.0),
        (Count("k", "rows"), 3.0, 3),
        (Flag("k", "whether"), np.True_, True),
        (Choice("k", "which", options=("a", "b")), "b", 1),
        (Duration("k", "how long"), "5s", 5 * SECOND),
    ],
)
def test_loops_get_plain_numbers(parameter: Any, value: Any, expected: Any) -> None:
    got = resolved(parameter, k=value)["k"]
    assert got == expected
    assert type(got) is type(expected)


def test_sweeps_keep_their_shape() -> None:
    assert_array_equal(resolved(Number("k", "times"), k=[[1, 2], [3, 4]])["k"], [[1.0, 2.0], [3.0, 4.0]])
    assert resolved(Number("k", "times"), k=[1, 2])["k"].dtype == np.float64
    assert resolved(Count("k", "rows"), k=[1, 2.0])["k"].dtype == np.int64
    assert_array_equal(resolved(Flag("k", "whether"), k=[True, False])["k"], [True, False])
    with pytest.raises(ft.ParameterError, match="at least 1"):
        resolved(Count("k", "rows"), k=[1, 0, 2])


def test_what_has_no_default_is_required() -> None:
    with pytest.raises(ft.ParameterError, match="k is required: how many times"):
        resolved(Number("k", "how many times"))
    with pytest.raises(ft.ParameterError, match="window is required"):
        resolved(Window())
    assert resolved(Number("k", "times", default=2)) == {"k": 2.0}


@pytest.mark.parametrize("given", [{"alpha": 0.3}, {"span": 9}, {"span": 1}, {"halflife": 2.5}, {"com": 0}, {"com": 7}])
def test_decays_are_those_of_pandas(given: dict[str, float]) -> None:
    alpha = resolved(Decay(), **given)["alpha"]
    values = pd.Series(np.random.default_rng(0).normal(size=20))
    expected = values.ewm(**given, adjust=False).mean()
    mine = [values[0]]
    for value in values[1:]:
        mine.append((1 - alpha) * mine[-1] + alpha * value)
    np.testing.assert_allclose(mine, expected, rtol=1e-13)
    swept = resolved(Decay(), **{name: [value, value] for name, value in given.items()})["alpha"]
    assert_array_equal(swept, [alpha, alpha])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alpha": 0}, "greater than 0"),
        ({"alpha": ABOVE}, "at most 1"),
        ({"span": BELOW}, "at least 1"),
        ({"halflife": 0}, "greater than 0"),
        ({"com": -0.1}, "at least 0"),
        ({}, "got none"),
        ({"span": 3, "com": 1}, "got span and com"),
    ],
)
def test_decays_are_within_bounds_and_given_once(given: dict[str, float], words: str) -> None:
    with pytest.raises(ft.ParameterError, match=words):
        resolved(Decay(), **given)
    assert resolved(Decay(), alpha=1)["alpha"] == 1.0


@pytest.mark.parametrize(
    ("window", "given", "expected"),
    [
        (Window(), {"window": 5}, {"window": 5, "min_periods": 5}),
        (Window(), {"window": 5, "min_periods": 0}, {"window": 5, "min_periods": 0}),
        (Window(), {"window": 5, "min_periods": 5}, {"window": 5, "min_periods": 5}),
        (Window(), {"window": "5s"}, {"window": 5 * SECOND, "min_periods": 1}),
        (Window(), {"window": "5s", "min_periods": 100}, {"window": 5 * SECOND, "min_periods": 100}),
        (Window(), {"window": pd.Timedelta("1ms")}, {"window": 10**6, "min_periods": 1}),
        (Window(default=None), {}, {"window": 0, "min_periods": 1}),
        (Window(default=None), {"min_periods": 9}, {"window": 0, "min_periods": 9}),
        (Window(default=7), {}, {"window": 7, "min_periods": 7}),
        (Window(min_periods=False), {"window": 5}, {"window": 5}),
        (Window(keyword="horizon", min_periods=False), {"horizon": "2s"}, {"window": 2 * SECOND}),
    ],
)
def test_windows_are_rows_or_nanoseconds(window: Window, given: dict[str, Any], expected: dict[str, int]) -> None:
    assert resolved(window, **given) == expected


@pytest.mark.parametrize(
    ("window", "given", "words"),
    [
        (Window(), {"window": None}, "window=None is not allowed here"),
        (Window(), {"window": 0}, "window=0 must be at least 1"),
        (Window(), {"window": 5, "min_periods": 6}, "min_periods=6 must be at most window=5"),
        (Window(), {"window": 5, "min_periods": -1}, "min_periods=-1 must be at least 0"),
        (Window(), {"window": [5, 3], "min_periods": 4}, "must be at most window"),
        (Window(keyword="horizon"), {"horizon": 0}, "horizon=0 must be at least 1"),
    ],
)
def test_windows_that_cannot_be_are_refused(window: Window, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ft.ParameterError, match=words):
        resolved(window, **given)


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        (Number("k", "times"), "k : float"),
        (Number("k", "times", default=2.5), "k : float, default 2.5"),
        (Count("k", "rows", default=3), "k : int, default 3"),
        (Flag("k", "whether", default=False), "k : bool, default False"),
        (Choice("k", "which", options=("a", "b")), "k : {'a', 'b'}"),
        (Duration("k", "how long", default="1s"), "k : duration, default '1s'"),
        (Window(), "window : int or duration"),
        (Window(default=14), "window : int or duration, default 14"),
    ],
)
def test_parameters_document_themselves(parameter: Any, line: str) -> None:
    assert parameter.documentation[0][0] == line
    names = [name for line, _ in parameter.documentation for name in line.split(" : ")[0].split(", ")]
    assert names == list(parameter.keywords)
    assert all(meaning for _, meaning in parameter.documentation)
