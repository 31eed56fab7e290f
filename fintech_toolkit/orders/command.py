"""The commands ``fintech-toolkit orders …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fintech_toolkit.errors import DataError
from fintech_toolkit.progress import progress_bars

if TYPE_CHECKING:
    from fintech_toolkit.orders.config import OrdersConfig
    from fintech_toolkit.orders.jobs import Job
    from fintech_toolkit.orders.manifest import Outcome
    from fintech_toolkit.orders.run import Ran

app = typer.Typer(
    help="From order states and trades to what fills would have cost in the dark pool.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="The settings: orders.yaml.")]
Only = Annotated[
    list[str] | None, typer.Option(help="A security and day, such as 110621/2024-09-05; may be given several times.")
]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, over that of the settings: tcp://…")]
SHOWN = 10
"""How many jobs of a sort are shown."""


@app.command()
def plan(file: File, only: Only = None) -> None:
    """Show the jobs, a security and a day each, with sizes and an estimate of the time; compute nothing."""
    from fintech_toolkit.orders.manifest import outcomes_of
    from fintech_toolkit.orders.run import chosen, estimate, planned

    config = _config(file)
    found, known = planned(config)
    jobs = chosen(found, only or ())
    console = Console()
    days = sorted({job.day for job in jobs})
    matrix = Table("order states", *map(str, days), "all", box=None, pad_edge=False, header_style="bold")
    for security in sorted({job.security for job in jobs}):
        rows = {job.day: job.order_rows for job in jobs if job.security == security}
        matrix.add_row(
            str(security),
            *(f"{rows[day]:,}" if day in rows else "-" for day in days),
            f"{sum(rows.values()):,}",
        )
    console.print(matrix)
    if not known:
        console.print("estimated from how the files begin; known when `run` has taken them in", highlight=False)
    done = sum(outcome.state == "done" for outcome in outcomes_of(jobs, config.output))
    rows, trades = (sum(getattr(job, name) for job in jobs) for name in ("order_rows", "trade_rows"))
    largest = max((job.memory for job in jobs), default=0)
    console.print(
        f"{len(jobs):,} jobs, {done:,} of them done; {rows:,} order states and {trades:,} sides of trades",
        highlight=False,
    )
    console.print(
        f"about {_duration(estimate(jobs, config, taken_in=known))} on {config.workers} workers; "
        f"the largest job needs about {largest / 1e9:.1f} GB",
        highlight=False,
    )


@app.command()
def run(file: File, only: Only = None, scheduler: Scheduler = None) -> None:
    """Take the files in, analyse each security on each day, and write outputs and report; goes on where it was cut."""
    _run(file, only or (), scheduler)


@app.command()
def resume(file: File, only: Only = None, scheduler: Scheduler = None) -> None:
    """Go on with a run that was cut, and try again the jobs that failed."""
    config = _config(file)
    if not config.output.is_dir():
        raise DataError(f"{config.output} holds no run; start one with `fintech-toolkit orders run`.")
    _run(file, only or (), scheduler)


@app.command()
def status(file: File) -> None:
    """Show how far a run is: jobs done, failed and waiting, the fastest and the slowest."""
    from fintech_toolkit.orders.manifest import outcomes_of, read_plan

    output = _config(file).output
    jobs = read_plan(output)
    outcomes = outcomes_of(jobs, output)
    _show_state(jobs, outcomes)
    raise typer.Exit(int(any(outcome.state == "failed" for outcome in outcomes)))


@app.command()
def report(file: File) -> None:
    """Write the aggregated tables and the report again, from the jobs that are done."""
    from fintech_toolkit.orders.manifest import outcomes_of, read_plan
    from fintech_toolkit.orders.run import put_together

    config = _config(file)
    put_together(outcomes_of(read_plan(config.output), config.output), config)
    Console().print(f"report: {config.output / 'report.html'}", highlight=False, soft_wrap=True)


def _run(file: Path, only: Sequence[str], scheduler: str | None) -> None:
    from fintech_toolkit.orders.jobs import cluster
    from fintech_toolkit.orders.run import run_orders

    config = _config(file)
    try:
        with cluster(config, scheduler) as client:
            Console(stderr=True).print(f"Dask's dashboard: {client.dashboard_link}", highlight=False, soft_wrap=True)
            with progress_bars() as progress:
                ran = run_orders(config, client, only=only, progress=progress)
    except KeyboardInterrupt:
        typer.echo("interrupted: finished jobs are kept; `fintech-toolkit orders resume` goes on", err=True)
        raise typer.Exit(130) from None
    _show(ran, config.output)
    raise typer.Exit(int(bool(ran.failed)))


def _show(ran: Ran, output: Path) -> None:
    console = Console()
    files = Table("", "rows", "taken", "rejected", box=None, pad_edge=False, header_style="bold")
    for each in ran.ingested.files:
        files.add_row(Path(each.file).name, f"{each.rows:,}", f"{each.taken:,}", f"{sum(each.rejected.values()):,}")
    console.print(files)
    for each in ran.ingested.files:
        for reason, count in sorted(each.rejected.items()):
            console.print(f"  {count:,} of {Path(each.file).name} rejected: {reason}", highlight=False, soft_wrap=True)
    _show_state(ran.jobs, ran.outcomes)
    console.print(f"report: {output / 'report.html'}", highlight=False, soft_wrap=True)


def _show_state(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    console = Console()
    done = sorted((each for each in outcomes if each.state == "done"), key=lambda each: each.seconds)
    failed = [each for each in outcomes if each.state == "failed"]
    waiting = len(jobs) - len(outcomes)
    console.print(
        f"{len(jobs):,} jobs: {len(done):,} done, {len(failed):,} failed, {waiting:,} waiting", highlight=False
    )
    if done:
        for what, each in (("fastest", done[0]), ("slowest", done[-1])):
            console.print(f"  {what}: {each.name} in {each.seconds:.2f} s", highlight=False)
    for each in failed[:SHOWN]:
        console.print(f"  failed: {each.name}: {each.cause}", highlight=False, soft_wrap=True, markup=False)
    if len(failed) > SHOWN:
        console.print(f"  and {len(failed) - SHOWN:,} more failed", highlight=False)


def _config(file: Path) -> OrdersConfig:
    from fintech_toolkit.orders.config import OrdersConfig

    return OrdersConfig.load(file)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
