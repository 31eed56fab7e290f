"""The command ``fintech-toolkit enrich``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fintech_toolkit.engines.dask.workers import connected
from fintech_toolkit.progress import progress_bars


def enrich(
    folder: Annotated[Path, typer.Argument(help="Holds quotes/, securities/ and trades/: files of Parquet or CSV.")],
    out: Annotated[Path, typer.Option(help="Folder for what comes out; a run that was cut goes on there.")],
    scheduler: Annotated[
        str, typer.Option(help="local: in this process; or the address of a Dask scheduler: tcp://…")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine that work side by side.")
    ] = None,
    every: Annotated[str, typer.Option(help="How long windows of quotes are.")] = "5min",
    explain: Annotated[bool, typer.Option("--explain", help="Show how it would run, and compute nothing.")] = False,
) -> None:
    """Enrich quotes, securities and trades, and write Parquet, rejected rows and a summary."""
    from fintech_toolkit.enrichment.folder import enrich_folder, read_enriched
    from fintech_toolkit.enrichment.plans import explain_folder
    from fintech_toolkit.enrichment.report import Report

    if explain:
        typer.echo(explain_folder(folder, every=every))
        return
    try:
        with connected(scheduler, workers) as client, progress_bars() as progress:
            summary = enrich_folder(folder, out, client, every=every, progress=progress)
            Report(read_enriched(out)[0], summary.inputs).save(out / "report.html")
    except KeyboardInterrupt:
        typer.echo("interrupted: finished files are kept; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    _show(summary, out)


def _show(summary: Any, out: Path) -> None:
    console = Console()
    rows = Table("", "in", "out", "rejected", "put in order", box=None, pad_edge=False, header_style="bold")
    for name, each in summary.inputs.items():
        rejected = sum(each.reasons.values())
        rows.add_row(name, *(f"{n:,}" for n in (each.rows, each.taken, rejected, each.reordered)))
    console.print(rows)
    for name, each in summary.inputs.items():
        for reason, count in sorted(each.reasons.items()):
            console.print(f"  {count:,} {name} rejected: {reason}", highlight=False, soft_wrap=True)
        for note, count in sorted(each.notes.items()):
            console.print(f"  {count:,} {name} taken: {note}", highlight=False, soft_wrap=True)
    written = ", ".join(f"{rows:,} {name}" for name, rows in summary.outputs.items())
    console.print(f"report: {out / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"in = out + rejected; written to {out}: {written}", highlight=False, soft_wrap=True)
    if summary.found:
        console.print(f"{summary.found} files were there already", highlight=False, soft_wrap=True)
