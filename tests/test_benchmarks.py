"""The benchmarks' tables: each is measured in its short form, and the document that shows them is written safely."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fintech_toolkit as ft
from benchmarks import bench_live, bench_modes
from benchmarks.__main__ import KERNELS, LONG, README, insert, markdown, tables_in, title
from benchmarks.bench_catalogue import Ticks, calls
from benchmarks.parity.__main__ import PARITY
from benchmarks.parity.market import market
from benchmarks.parity.pair import Pair, run
from benchmarks.parity.pairs import PAIRS
from benchmarks.parity.peers import MODULES
from benchmarks.tables import TABLES
from tests.stress import stress

BENCHMARKS = Path(bench_live.__file__).parent
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def short_form(module: str, tables: Iterable[Callable[..., Any]], **environment: str) -> str:
    """What a benchmark's short form prints, each table of it filled; it leaves the README alone."""
    before = README.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", module, "--short"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert README.read_bytes() == before
    parts = done.stdout.split("\n\n")
    for table in tables:
        lines = parts[parts.index(f"**{title(table)}**") + 1].splitlines()
        assert len(lines) >= 3, "a head, a rule and at least one row"
        assert len({line.count("|") for line in lines}) == 1
    assert "**no**" not in done.stdout, f"somebody came to another result: {done.stderr[-3000:]}"
    return done.stdout


@stress
@pytest.mark.timeout(900)
def test_the_short_form_fills_every_table_and_leaves_the_readme_alone() -> None:
    for peer in ("polars", "duckdb", "numbagg", "bottleneck"):
        pytest.importorskip(peer, reason="the benchmarks' peers come with: make bench ARGS=--short")
    short_form("benchmarks", TABLES)


@stress  # compiles every kernel
def test_kernels_are_measured_on_columns_of_which_something_comes() -> None:
    """Bars whose high is below their low, or books of no side, cost next to nothing."""
    ticks, nothing = Ticks(20_000, 20), {"fix_impact"}  # few rows last less than from one fix to the next
    for what, name, parameters in calls():
        made = ticks.call(getattr(ft, name), parameters)()
        columns = [np.asarray(values) for values in (made if isinstance(made, tuple) else [made])]
        some = [values for values in columns if len(values) and (values.dtype.kind != "f" or np.isfinite(values).any())]
        assert some or name in nothing, what


@stress
def test_the_short_form_of_the_live_benchmark_fills_every_table_with_right_values(kafka_broker: str) -> None:
    said = short_form("benchmarks.bench_live", bench_live.TABLES, KAFKA_BOOTSTRAP_SERVERS=kafka_broker)
    assert "| yes |" in said


def test_the_short_form_of_parity_finds_that_peers_agree_and_writes_nothing() -> None:
    before = PARITY.read_bytes()
    command = [sys.executable, "-m", "benchmarks.parity", "--short"]
    done = subprocess.run(command, cwd=README.parent, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("| agrees |") >= 8
    assert PARITY.read_bytes() == before


def midprices(call: Callable[..., Any], **explained: Any) -> Any:
    """What comes of comparing mid prices with something else."""
    pair = Pair("midprice", {}, ("bid", "ask"), "NumPy", "mid", call, **explained)
    return run(pair, symbols=2, rows=50, patience=0.0, repeats=1)


def test_what_agrees_needs_no_reason() -> None:
    found = midprices(lambda bid, ask: 0.5 * (bid + ask))
    assert (found.verdict, found.digits, found.warmup, found.only_one) == ("agrees", 17, (0, 0), 0)
    assert found.ours > 0
    assert found.peer > 0


def test_a_difference_that_nothing_explains_is_found() -> None:
    found = midprices(lambda bid, ask: (bid + ask) * 0.5000001)
    assert found.verdict == "unexplained"
    assert 6.5 < found.digits < 7


@pytest.mark.parametrize(
    ("explained", "verdict"),
    [
        ({"reason": "in half units", "mend": lambda mid, *_: mid / 2}, "explained"),
        ({"reason": "in thirds", "mend": lambda mid, *_: mid / 3}, "unexplained"),
        ({"reason": "as it is"}, "unexplained"),
        ({"mend": lambda mid, *_: mid / 2}, "unexplained"),
        ({"reason": "rounds", "mend": lambda mid, *_: mid / 2.0000001, "digits": 7}, "rounding"),
        ({"reason": "rounds", "mend": lambda mid, *_: mid / 2.0000001, "digits": 8}, "unexplained"),
        ({"reason": "the sum of both", "digits": 0}, "another definition"),
    ],
)
def test_a_reason_is_checked_and_not_believed(explained: dict[str, Any], verdict: str) -> None:
    assert midprices(lambda bid, ask: bid + ask, **explained).verdict == verdict


def test_later_first_values_are_said_and_gaps_are_a_difference() -> None:
    def from_row(first: int, gap: int, bid: Any, ask: Any) -> Any:
        mid = (bid + ask) / 2
        mid[:first] = mid[gap] = np.nan
        return mid

    late = midprices(lambda *columns: from_row(3, 0, *columns))
    assert (late.verdict, late.warmup, late.only_one) == ("agrees", (0, 3), 0)
    assert midprices(lambda *columns: from_row(3, 10, *columns)).verdict == "unexplained"
    assert midprices(lambda bid, ask: bid * np.nan).verdict == "unexplained"


def test_rows_until_a_seed_is_forgotten_are_skipped_if_a_reason_says_so() -> None:
    def seeded(bid: Any, ask: Any) -> Any:
        mid = (bid + ask) / 2
        mid[:20] += 1
        return mid

    assert midprices(seeded, reason="begins elsewhere", skip=20).verdict == "explained"
    assert midprices(seeded, reason="begins elsewhere", skip=19).verdict == "unexplained"


def test_pairs_are_of_kernels_libraries_and_columns_that_there_are() -> None:
    kernels, columns = set(ft.catalogue().index), set(market(1, 2))
    for pair in PAIRS:
        assert pair.kernel in kernels
        assert pair.library in MODULES
        assert set(pair.reads) <= columns
        assert pair.reason or not (pair.mend or pair.skip or pair.digits < 12), pair


def test_the_document_of_parity_holds_every_pair() -> None:
    rows = [line.split(" | ") for line in PARITY.read_text().splitlines() if line.startswith("| ")]
    written = [(row[0].removeprefix("| ").split()[0], row[1]) for row in rows]
    for pair in PAIRS:
        assert (pair.kernel, pair.peer) in written
    assert not any("unexplained" in cell for row in rows for cell in row)


@pytest.mark.parametrize("path", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.stem)
def test_what_is_measured_is_what_users_call(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "fintech_toolkit"}
    assert ours <= {"fintech_toolkit", "fintech_toolkit.live", "fintech_toolkit.orders"}


@pytest.mark.parametrize("mark", ["bench", "bench-live", "parity"])
def test_the_readme_has_a_place_for_the_tables(mark: str) -> None:
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    text = README.read_text()
    written = insert(text, mark, "| a |")
    before, after = text.split(begin)[0], text.split(end)[1]
    assert written == f"{before}{begin}\n| a |\n{end}{after}"
    assert insert(written, mark, "| a |") == written


def test_tables_of_every_kernel_have_a_document_of_their_own() -> None:
    long = {title(table) for table in TABLES if table.__name__ in LONG}
    assert tables_in(KERNELS.read_text()).keys() == long
    assert not long & tables_in(README.read_text()).keys()


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        insert(text, "bench", "| a |")


def test_tables_that_stay_are_those_of_the_document() -> None:
    text = insert(README.read_text(), "bench", "where\n\n**A**\n\n| a |\n\n**B, with C**\n\n| b |\n| c |")
    assert tables_in(text) == {"A": "| a |", "B, with C": "| b |\n| c |"}


def test_rows_become_a_table() -> None:
    rows = [{"what": "a", "peak_mb": 1234.5, "agrees": True, "note": ""}, {"what": "b", "rows": 1_000, "agrees": False}]
    assert markdown(rows).splitlines() == [
        "| what | peak mb | agrees | rows |",
        "| --- | --- | --- | --- |",
        "| a | 1,234 | yes |  |",
        "| b |  | **no** | 1,000 |",
    ]


@pytest.mark.parametrize(
    ("ratios", "said"), [([0.1, 0.9], "above 1,000"), ([0.1, 1.2], "10 to 1,000"), ([1.0, 0.9], "below 10")]
)
def test_a_crossover_lies_between_the_sizes_where_the_faster_one_changes(ratios: list[float], said: str) -> None:
    assert bench_modes.crossover([10, 1_000], ratios) == said
