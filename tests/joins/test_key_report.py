"""Why keys do not match: each reason in a pair of frames that has it, and none in those that have not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import fintech_toolkit as ft

ISINS = ["US0378331005", "US5949181045", "US88160R1014", "XS2010028699", "DE0005190003"]


def explain(left: Any, right: Any) -> ft.KeyReport:
    return ft.explain_keys(pd.DataFrame({"k": left}), "k", pd.DataFrame({"k": right}))


CASES = {
    "nothing": (ISINS, ISINS, set(), 5),
    "white space": ([isin + " " for isin in ISINS], ISINS, {"white space"}, 0),
    "white space on the right": (ISINS, ["\t" + isin for isin in ISINS], {"white space"}, 0),
    "case": ([isin.lower() for isin in ISINS], ISINS, {"case"}, 0),
    "check digit on the right": ([isin[:-1] for isin in ISINS], ISINS, {"check digit"}, 0),
    "check digit on the left": (ISINS, [isin[:-1] for isin in ISINS], {"check digit"}, 0),
    "a CUSIP of an ISIN": ([isin[2:11] for isin in ISINS], ISINS, {"identifiers"}, 0),
    "an ISIN of a CUSIP": (ISINS, [isin[2:11] for isin in ISINS], {"identifiers"}, 0),
    "leading zeros": (["007", "12"], ["7", "0012"], {"leading zeros"}, 0),
    "types": ([7, 12], ["7", "13"], {"types", "texts"}, 0),
    "types and zeros": ([7, 12], ["007", "0012"], {"types", "leading zeros"}, 0),
    "nulls": (["a", None], ["a", None], {"nulls"}, 1),
    "duplicates": (["a"], ["a", "b", "b"], {"duplicates"}, 1),
    "prefixes": (["US1", "US2"], ["XS1", "DE2"], {"prefixes"}, 0),
    "strangers": (["A1", "A2"], ["A3", "A1"], set(), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_each_reason_is_found_where_it_is(case: str) -> None:
    left, right, findings, matched = CASES[case]
    report = explain(left, right)
    assert set(report.findings) == findings
    assert report.matched == matched
    assert report.rows == len(left)
    assert report.share == matched / len(left)


def test_it_counts_rows_and_shows_what_it_speaks_of() -> None:
    report = explain(["us1"] * 3 + ["US2", "zz9"], ["US1", "US2", "US2", None])
    assert repr(report).splitlines() == [
        "1 of 5 rows of the left have a key of the right (20.00 %).",
        "- nulls: 0 rows of the left and 1 of the right have no key, and match nothing.",
        "- duplicates: 1 rows of the right repeat a key; the first is 'US2' at row 2, which is at row 1 too.",
        "- case: with case ignored 1 more of 2 different keys looked at are on the right.",
        "- prefixes: those of the left begin with 'zz', none of the right does; they with 'US'.",
        "Left:  'us1', 'zz9'",
        "Right: 'US1', 'US2'",
    ]
    shown = report._repr_html_()
    assert "<li>case: with case ignored 1 more" in shown
    assert "&#x27;us1&#x27;" in shown


def test_keys_of_several_columns() -> None:
    left = pa.table({"a": ["x ", "y"], "b": pa.array([1, 2], pa.int32())})
    right = pa.table({"c": ["x", "y"], "d": [1, 2]})
    report = ft.explain_keys(left, ["a", "b"], right, ["c", "d"])
    assert report.matched == 1
    assert set(report.findings) == {"white space"}
    assert report.left == ["('x ', 1)"]


@pytest.mark.parametrize("rows", [(0, 3), (3, 0), (0, 0)])
def test_no_rows(rows: tuple[int, int]) -> None:
    report = explain(pd.Series(["a"] * rows[0], dtype="str"), pd.Series(list("abc")[: rows[1]], dtype="str"))
    assert report.matched == 0
    assert (report.left, report.right) == (["'a'"] * (rows[0] > 0), [f"'{c}'" for c in "abc"[: rows[1]]])


@pytest.mark.parametrize("kind", ["category", "object", "string[python]"])
def test_every_dtype_of_texts(kind: str) -> None:
    report = explain(pd.Series(["A", "b"], dtype=kind), pd.Series(["a", "b"], dtype=kind))
    assert report.matched == 1
    assert set(report.findings) == {"case"}


def test_many_rows_of_few_keys_are_looked_at_once() -> None:
    report = explain(np.repeat(["a ", "b "], 50_000), ["a", "b"])
    assert "2 more of 2 different keys" in report.findings["white space"]


def test_what_cannot_be_a_key_is_an_error() -> None:
    with pytest.raises(ft.DataError, match="float64 cannot keep keys exact"):
        explain([1.5], [1])
    with pytest.raises(ft.ColumnError, match="no column 'q' on the right"):
        ft.explain_keys(pd.DataFrame({"k": [1]}), "k", pd.DataFrame({"k": [1]}), "q")
    with pytest.raises(ft.ParameterError, match="as many columns"):
        ft.explain_keys(pd.DataFrame({"k": [1]}), "k", pd.DataFrame({"k": [1]}), ["k", "q"])
