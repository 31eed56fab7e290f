"""The commands ``fintech-toolkit signals``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from data_generators.cli import hourly
from fintech_toolkit.engines.dask.workers import connected
from fintech_toolkit.errors import ParameterError
from fintech_toolkit.signals.configuration import PREFIX

if TYPE_CHECKING:
    from fintech_toolkit.signals.record import Record

app = typer.Typer(
    help="Signals of contracts against the S&P 500 and the VIX: a run for all, in parallel on Dask.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("generate")(hourly)
Output = Annotated[
    str, typer.Option(envvar=f"{PREFIX}OUTPUT", help="Folder of results and runs: a path, or a URL such as s3://….")
]
_OUTPUT = "signals-output"


@app.command()
def run(
    input: Annotated[
        str | None, typer.Option(envvar=f"{PREFIX}INPUT", help="Folder of prices, VIX and S&P 500: a path, or a URL.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(envvar=f"{PREFIX}OUTPUT", help=f"Folder of results and runs, likewise; {_OUTPUT} if left out."),
    ] = None,
    contracts: Annotated[int | None, typer.Option(min=1, help="How many contracts, the first by name.")] = None,
    contract: Annotated[list[str] | None, typer.Option(help="A contract by name; may be given again.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="The first stamp to write; UTC if without a zone.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last stamp to write.")] = None,
    at: Annotated[str | None, typer.Option(help="The one stamp to write.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="compacted: a file for each contract; stamps: one for each contract and stamp.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A file of settings, signals.yaml; options go before it.")] = None,
    retry: Annotated[
        str | None, typer.Option(help="A run of which what failed is done again, as it was asked.")
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="local: processes on this machine; or the address of a Dask scheduler: tcp://…")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; as many as it has processors, if left out.")
    ] = None,
) -> None:
    """Compute the signals of contracts; exit code 1 if one failed, 130 if interrupted."""
    from fintech_toolkit.signals.configuration import run_settings
    from fintech_toolkit.signals.orchestrator import retried_settings
    from fintech_toolkit.signals.orchestrator import run as run_all

    if contracts is not None and contract:
        raise ParameterError("--contracts says how many, --contract which: give one of them.")
    asked = {
        "contracts": contract or contracts,
        "since": since,
        "until": until,
        "at": at,
        "layout": layout,
    }
    if retry is None:
        settings = run_settings(config, input=input, output=output, **asked)
    elif config is not None or any(asked.values()):
        raise ParameterError("--retry does again what a run was asked to do: give it with --output only.")
    else:
        settings = retried_settings(output or _OUTPUT, retry)
    here = os.cpu_count() if scheduler == "local" and workers is None else workers
    with connected(scheduler, here) as client, _bar() as progress:
        record = run_all(settings, client, retry=retry, progress=progress)
    _show(record)
    raise typer.Exit(130 if record.interrupted else int(bool(record.of("failed"))))


@app.command()
def runs(output: Output = _OUTPUT) -> None:
    """List the runs that wrote to a folder."""
    from fintech_toolkit.signals.record import read_record
    from fintech_toolkit.signals.record import runs as runs_of

    table = Table(
        "run", "in", "done", "failed", "skipped", "seconds", "", box=None, pad_edge=False, header_style="bold"
    )
    for name in runs_of(output):
        record = read_record(output, name)
        notes = ["interrupted"] * record.interrupted + [f"of {record.retry_of} again"] * (record.retry_of is not None)
        table.add_row(name, *map(str, record.counts.values()), f"{record.seconds:.1f}", ", ".join(notes))
    Console().print(table)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="Its name, as `signals runs` lists it.")], output: Output = _OUTPUT
) -> None:
    """Show what a run did, contract by contract."""
    from fintech_toolkit.signals.record import read_record

    _show(read_record(output, run), every=True)


@app.command()
def manifests(
    image: Annotated[str, typer.Option(help="A container image that has this package.")],
    input: Annotated[str | None, typer.Option(envvar=f"{PREFIX}INPUT", help="As for run: a URL.")] = None,
    output: Annotated[str | None, typer.Option(envvar=f"{PREFIX}OUTPUT", help="As for run: a URL.")] = None,
    contract: Annotated[list[str] | None, typer.Option(help="A contract by name; may be given again.")] = None,
    config: Annotated[Path | None, typer.Option(help="A file of settings; options go before it.")] = None,
    name: Annotated[str, typer.Option(help="What all of it is called.")] = "signals",
    secret: Annotated[str, typer.Option(help="The Secret that holds the store's credentials.")] = "signals-store",  # noqa: S107
    workers: Annotated[int, typer.Option(min=1, help="Pods of the Dask cluster.")] = 2,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="A pod for each contract, and so many at the same time, without Dask.")
    ] = None,
) -> None:
    """Print manifests for Kubernetes: a Dask cluster and a Job for a run, or a Job of a pod for each contract."""
    from fintech_toolkit.signals.configuration import run_settings
    from fintech_toolkit.signals.manifests import manifests as render

    settings = run_settings(config, input=input, output=output, contracts=contract or None)
    typer.echo(render(settings, image, name=name, secret=secret, workers=workers, at_once=at_once), nl=False)


@contextmanager
def _bar() -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        shown = bars.add_task("contracts", total=None)

        def progress(states: Mapping[str, int], of: int) -> None:
            told = ", ".join(f"{count} {state}" for state, count in states.items())
            bars.update(shown, description=f"contracts: {told}", completed=sum(states.values()), total=of)

        yield progress


def _show(record: Record, every: bool = False) -> None:
    """Print what failed and why, or every contract, and the counts."""
    console = Console()
    colours = {"done": "green", "failed": "red", "skipped": "yellow"}
    head = ("contract", "state", "gate", "rows", "seconds", "tries", "why")
    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for outcome in record.outcomes if every else record.of("failed"):
        reasons = () if outcome.verdict is None else [f"{each.status}: {each.text}" for each in outcome.verdict.reasons]
        table.add_row(
            outcome.contract,
            f"[{colours[outcome.state]}]{outcome.state}",
            "" if outcome.verdict is None else outcome.verdict.status,
            f"{outcome.counts.rows:,}",
            f"{outcome.seconds:.2f}",
            str(outcome.attempts),
            outcome.why or "; ".join(reasons),
        )
    if table.rows:
        console.print(table)
    counts = record.counts
    console.print(
        f"{counts['in']} contracts in = {counts['done']} done + {counts['failed']} failed + {counts['skipped']} skipped"
        f", in {record.seconds:.1f} s",
        highlight=False,
    )
    console.print(f"run {record.run} in {record.settings.output}", highlight=False, soft_wrap=True)
