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
KERNELS = Path(__file__).with_name("KERNELS.md")
LONG = {"every_kernel", "every_window"}
"""Tables with a row for every kernel: they have a document of their own."""
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


def between(text: str, mark: str) -> tuple[int, int]:
    """Return where what is between a document's markers ``<!-- mark -->`` and ``<!-- /mark -->`` begins and ends.

    Raises
    ------
    ValueError
        If the document does not hold each marker once.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    first, last = text.find(begin), text.find(end)
    if text.count(begin) != 1 or text.count(end) != 1 or first > last:
        raise ValueError(f"the document must hold {begin} and then {end}, each once")
    return first + len(begin), last


def insert(text: str, mark: str, tables: str) -> str:
    """Return a document with what stands between its two markers replaced."""
    begin, end = between(text, mark)
    return f"{text[:begin]}\n{tables}\n{text[end:]}"


def tables_in(text: str) -> dict[str, str]:
    """Return the tables that a document shows, by their titles."""
    begin, end = between(text, "bench")
    titles_and_tables = re.split(r"^\*\*(.+)\*\*\n\n", text[begin:end], flags=re.MULTILINE)[1:]
    return {name: table.strip() for name, table in zip(titles_and_tables[::2], titles_and_tables[1::2], strict=True)}


def main(
    short: Annotated[
        bool, typer.Option("--short", help="Few rows, to see that all of it works; prints and leaves README.md alone.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A table, by its name in tables.py; others stay as they are.")
    ] = None,
) -> None:
    """Measure against Polars, DuckDB, pandas, TA-Lib and others, and write the tables in README.md and KERNELS.md."""
    known = {table.__name__: table for table in TABLES}
    if unknown := [name for name in only or () if name not in known]:
        raise typer.BadParameter(f"there is no table {unknown[0]!r}; known: {', '.join(known)}", param_hint="--only")
    measured = {}
    for name in only or known:
        table = known[name]
        print(f"{title(table)} …", file=sys.stderr, flush=True)
        # A process of its own: no table inherits the memory, the threads or the warm caches of another.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            measured[title(table)] = markdown(alone.submit(table, short).result())
        print(f"**{title(table)}**\n\n{measured[title(table)]}", end="\n\n", flush=True)
    if differ := [name for name, table in measured.items() if "**no**" in table]:
        raise SystemExit(f"Somebody came to another result: {'; '.join(differ)}")
    for document in () if short else (README, KERNELS):
        own = [title(table) for table in TABLES if (table.__name__ in LONG) == (document == KERNELS)]
        if not measured.keys() & set(own):
            continue
        shown = tables_in(document.read_text()) | measured
        parts = [f"**{name}**\n\n{shown[name]}" for name in own if name in shown]
        tables = "\n\n".join([environment("numba", "dask", *PEERS), *parts])
        document.write_text(insert(document.read_text(), "bench", tables))


if __name__ == "__main__":
    typer.run(main)
