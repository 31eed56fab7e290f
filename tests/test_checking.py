"""Checking a kernel of one's own: what is wrong with it is found, and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fintech_toolkit as ft
from fintech_toolkit.authoring import Kernel, Number, Window, helper, plain_kernel

CHECKS = [
    "computes",
    "missing values stated",
    "agrees with its oracle",
    "any split",
    "tick by tick",
    "any interleaving",
    "no look ahead",
    "recovers after missing values",
    "recovers after infinities",
    "short groups",
    "input left alone",
    "Arrow",
    "Dask, 1 partition",
    "Dask, 7 partitions",
    "Dask, shuffled",
    "live",
    "saved and gone on with",
]


def count(gives: str = "count", **declared: Any) -> Kernel:
    @ft.tick_kernel(reads="x", gives=gives, state=[("n", "i8")], **declared)
    def own_count(s: Any, x: float) -> float:
        """Rows with a value so far; missing ones do not count."""
        s.n += np.isfinite(x)
        return s.n

    return own_count


def test_a_kernel_that_is_right_passes() -> None:
    kernel = count()
    kernel.oracle(lambda x: np.cumsum(np.isfinite(x)).astype(float))
    found = ft.check_kernel(kernel, raises=True)
    assert found.passed
    assert found.frame.index.tolist() == CHECKS
    assert set(found.frame["result"]) == {"passed"}
    assert not found.frame["why"].any()


@pytest.mark.parametrize("name", ["rolling_max", "realized_spread"])
def test_those_of_the_library_pass(name: str) -> None:
    assert ft.check_kernel(getattr(ft, name), seed=3).passed


def test_an_oracle_is_asked_where_there_is_one() -> None:
    found = ft.check_kernel(count())
    assert found.passed
    result, why = found.frame.loc["agrees with its oracle"]
    assert (result, why) == ("not checked", "it has none: mark an independent definition with @own_count.oracle")
    kernel = count()
    kernel.oracle(lambda x: np.arange(1.0, len(x) + 1))
    found = ft.check_kernel(kernel)
    assert found.failed.index.tolist() == ["agrees with its oracle"]
    assert "Not equal to tolerance" in found.failed.iloc[0]


@ft.tick_kernel(reads="x", gives="y", state=[("sum", "f8")])
def spoilt(s: Any, x: float) -> float:
    """A sum that one missing value spoils for ever."""
    s.sum += x
    return s.sum


@ft.tick_kernel(reads="x", gives="y", parameters=[Number("k", "a factor")], cases=[{"k": 2}, {"k": "two"}])
def mistaken_case(x: float, k: float) -> float:
    """Missing stays missing."""
    return k * x


@helper
def _enter(s: Any, x: float) -> None:
    s.n += 1


@ft.window_kernel(reads="x", gives="y", enter=_enter, state=[("n", "i8")], parameters=[Window()], cases=[{"window": 3}])
def placed(s: Any, x: float) -> float:
    """Where the symbol keeps its ring, which depends on other symbols; NaN counts as missing."""
    return s.start


@ft.tick_kernel(reads="x", gives="y")
def uncompiled(x: float) -> float:
    """Missing or not."""
    return x.mean()  # type: ignore[attr-defined]


@ft.tick_kernel(reads="x", gives="y")
def undocumented(x: float) -> float:
    return x


@pytest.mark.parametrize(
    ("kernel", "failures"),
    [
        (
            spoilt,
            {
                "recovers after missing values": "y is not finite again after 20 rows of nan",
                "recovers after infinities": "y is not finite again after 20 rows of inf",
            },
        ),
        (placed, {"any interleaving": "Arrays are not equal"}),
        (uncompiled, {"computes": "uncompiled cannot be compiled.; File"}),
        (undocumented, {"missing values stated": "it has no docstring"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_found(kernel: Kernel, failures: dict[str, str]) -> None:
    found = ft.check_kernel(kernel)
    assert not found.passed
    assert set(failures) <= set(found.failed.index)
    for name, why in failures.items():
        assert why in found.failed[name]
        assert why in repr(found)
        assert f"<td>{why.partition(';')[0]}" in found._repr_html_() or "Arrays" in why
    with pytest.raises(ft.KernelError, match=f"{kernel.name} failed") as caught:
        ft.check_kernel(kernel, raises=True)
    assert all(why in str(caught.value) for why in failures.values())


def test_nothing_else_is_tried_where_nothing_is_computed() -> None:
    assert ft.check_kernel(uncompiled).frame.index.tolist() == ["computes"]


def test_the_case_that_fails_is_named() -> None:
    found = ft.check_kernel(mistaken_case)
    assert found.failed.to_dict() == {"computes": "mistaken_case: k='two' must be a number. (with k='two')"}


def test_a_seed_draws_the_same() -> None:
    first, same, other = (ft.check_kernel(placed, seed=seed).failed["any interleaving"] for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.raises(ft.KernelError, match="is not a kernel; declare it"):
        ft.check_kernel(np.mean)  # type: ignore[arg-type]
    whole = plain_kernel(kind="matrix", reads="x", gives="y", source="NumPy")(np.cumsum)
    with pytest.raises(ft.KernelError, match="cumsum takes whole arrays"):
        ft.check_kernel(whole)
