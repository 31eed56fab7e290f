"""``make bench``: all measurements, each in a process of its own, as the tables that README.md shows."""

from __future__ import annotations

import multiprocessing
import platform
import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.tables import TABLES, Rows

README = Path(__file__).parents[1] / "README.md"
PEERS = ("polars", "duckdb", "pandas", "numbagg", "bottleneck", "TA-Lib")


def title(table: Callable[..., Rows]) -> str:
    """Return what a table is about."""
    return (table.__doc__ or "").strip().rstrip(".")


def markdown(rows: Rows) -> str:
    """Return rows as a Markdown table; columns that are empty throughout are left out."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    columns = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    lines = [[name.replace("_", " ") for name in columns], ["---"] * len(columns)]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def environment(*packages: str) -> str:
    """Return a sentence on where the numbers come from: the machine and the versions."""
    import psutil

    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, {versions}."


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def insert(text: str, mark: str, tables: str) -> str:
    """Return a document with what stands between its two markers, ``<!-- mark -->`` and ``<!-- /mark -->``, replaced.

    Raises
    ------
    ValueError
        If the document does not hold each marker once.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", flags=re.DOTALL)
    if text.count(begin) != 1 or text.count(end) != 1 or not pattern.search(text):
        raise ValueError(f"the document must hold {begin} and then {end}, each once")
    return pattern.sub(lambda _: f"{begin}\n{tables}\n{end}", text)


def main(
    short: Annotated[
        bool, typer.Option("--short", help="Few rows, to see that all of it works; prints and leaves README.md alone.")
    ] = False,
) -> None:
    """Measure against Polars, DuckDB, pandas, TA-Lib, numbagg and bottleneck, and write the tables in README.md."""
    parts = [environment("numba", "dask", *PEERS)]
    for table in TABLES:
        print(f"{title(table)} …", file=sys.stderr, flush=True)
        # A process of its own: no table inherits the memory, the threads or the warm caches of another.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            part = f"**{title(table)}**\n\n{markdown(alone.submit(table, short).result())}"
        print(part, end="\n\n", flush=True)
        parts.append(part)
    if not short:
        README.write_text(insert(README.read_text(), "bench", "\n\n".join(parts)))


if __name__ == "__main__":
    typer.run(main)
