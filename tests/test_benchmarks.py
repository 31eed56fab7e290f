"""The benchmarks' tables: each is measured in its short form, and the document that shows them is written safely."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_live, bench_modes
from benchmarks.__main__ import README, insert, markdown, title
from benchmarks.tables import TABLES

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
        timeout=280,
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


def test_the_short_form_fills_every_table_and_leaves_the_readme_alone() -> None:
    for peer in ("polars", "duckdb", "numbagg", "bottleneck"):
        pytest.importorskip(peer, reason="the benchmarks' peers come with: make bench ARGS=--short")
    short_form("benchmarks", TABLES)


def test_the_short_form_of_the_live_benchmark_fills_every_table_with_right_values(kafka_broker: str) -> None:
    said = short_form("benchmarks.bench_live", bench_live.TABLES, KAFKA_BOOTSTRAP_SERVERS=kafka_broker)
    assert "| yes |" in said


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_is_measured_is_what_users_call(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "fintech_toolkit"}
    assert ours <= {"fintech_toolkit", "fintech_toolkit.live", "fintech_toolkit.orders"}


@pytest.mark.parametrize("mark", ["bench", "bench-live"])
def test_the_readme_has_a_place_for_the_tables(mark: str) -> None:
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    text = README.read_text()
    written = insert(text, mark, "| a |")
    before, after = text.split(begin)[0], text.split(end)[1]
    assert written == f"{before}{begin}\n| a |\n{end}{after}"
    assert insert(written, mark, "| a |") == written


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must hold"):
        insert(text, "bench", "| a |")


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
