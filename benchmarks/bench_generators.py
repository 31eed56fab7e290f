"""The generators: rows per second and peak memory by format, at full size, and against the number of rows."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

_ROOT = Path(__file__).parents[1]
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(_ROOT)}
_STREAM = """
import sys, data_generators
rows = sum(batch.num_rows for batch in data_generators.stream(sys.argv[1], int(sys.argv[2])))
assert rows == int(sys.argv[2])
"""


def measured(command: list[str]) -> dict[str, float]:
    """Run a command and return its seconds, those of processor time, and the peak of its memory."""
    start, used = time.perf_counter(), _processor_seconds()
    process = psutil.Popen(
        [sys.executable, *command], env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0
    while process.poll() is None:
        resident = 0
        for member in [process, *_children(process)]:
            try:
                resident += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, resident)
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {process.stderr.read().decode()}")
    return {"seconds": seconds, "processor_seconds": _processor_seconds() - used, "peak_mb": peak / 1e6}


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def cases(share: float, workers: int, out: Path) -> list[tuple[str, int, list[str]]]:
    """Return what is measured, its rows and its command, at a share of the full size."""
    sizes = {"quotes": int(1_200_000 * share), "securities": int(10_000_000 * share), "trades": int(1_000_000 * share)}
    found = []
    options = [f"--{name}-rows={rows}" for name, rows in sizes.items()]
    for format in ("parquet", "arrow", "csv", "jsonl"):
        command = ["-m", "data_generators", "all", *options, f"--workers={workers}", f"--format={format}"]
        found.append((f"all three to {format}", sum(sizes.values()), [*command, f"--out={out / format}"]))
    for name, rows in sizes.items():
        # As many rows of wide quotes as of narrow ones: of fewer days, since each is a side of a quote.
        command = ["-m", "data_generators", name, f"--rows={rows}", f"--workers={workers}"]
        found.append((f"{name} to parquet", rows, [*command, f"--out={out / name}"]))
        wide = [*command, "--profile=wide", f"--out={out / f'wide_{name}'}"]
        found.append((f"wide {name} to parquet", rows, wide))
    for name in ("quotes", "securities"):
        for rows in (1_000_000, 10_000_000, 100_000_000):
            scaled = int(rows * share)
            found.append((f"{name} streamed, one process", scaled, ["-c", _STREAM, name, str(scaled)]))
    return found


def run(chosen: list[tuple[str, int, list[str]]]) -> list[dict[str, Any]]:
    """Measure cases one after another, once what they compile is cached."""
    measured(["-c", _STREAM, "quotes", "1"])
    measured(["-c", _STREAM, "securities", "1"])
    results = []
    for name, rows, command in chosen:
        results.append({"case": name, "rows": rows, **measured(command)})
        print(table(results[-1:]).splitlines()[-1], file=sys.stderr)
    return results


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| what | rows | seconds | processor seconds | million rows/s | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        rate = result["rows"] / result["seconds"] / 1e6
        lines.append(
            f"| {result['case']} | {result['rows']:,} | {result['seconds']:.1f} | {result['processor_seconds']:.1f} "
            f"| {rate:.2f} | {result['peak_mb']:,.0f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the results as JSON")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full size, for a short form")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = run(cases(chosen.share, chosen.workers, Path(folder)))
    print(table(results))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
