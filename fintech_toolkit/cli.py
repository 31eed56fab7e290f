"""The command line: ``fintech-toolkit``, or ``python -m fintech_toolkit``."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from data_generators.cli import app as generate
from fintech_toolkit.engines.memory.files import write_table
from fintech_toolkit.enrichment.command import enrich
from fintech_toolkit.errors import FintechToolkitError, ParameterError, did_you_mean
from fintech_toolkit.orders.command import app as orders
from fintech_toolkit.signals.command import app as signals

app = typer.Typer(
    name="fintech-toolkit",
    help="Market-data analytics: one kernel, the same number on an array, a frame, a Dask cluster and a live feed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
kernels = typer.Typer(help="The catalogue of kernels.", no_args_is_help=True)
app.add_typer(kernels, name="kernels")
app.add_typer(generate, name="generate")
app.add_typer(orders, name="orders")
app.add_typer(signals, name="signals")


def main() -> None:
    """Run the command line; what a user can cause ends with one line and exit code 2."""
    try:
        app()
    except FintechToolkitError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None


def _version(wanted: bool) -> None:
    if wanted:
        import fintech_toolkit

        typer.echo(fintech_toolkit.__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="About how long it takes; by default the dashboard stays up until Ctrl-C."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1_000, help="Quotes to make.")] = 200_000,
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The dashboard's port; 0 takes a free one.")] = 0,
) -> None:
    """Run one pipeline on pandas, on a Dask cluster and live, with a dashboard, and compare them to the last bit."""
    from fintech_toolkit.demo import run

    raise typer.Exit(run(seconds=seconds, rows=rows, browser=browser, port=port))


@app.command()
def broker() -> None:
    """Run an embedded Kafka broker in the foreground, to try things out; what it holds is gone with it."""
    from fintech_toolkit.kafka.embedded_broker import EmbeddedBroker

    with EmbeddedBroker() as embedded:
        typer.echo(f"KAFKA_BOOTSTRAP_SERVERS={embedded.bootstrap_servers}")
        typer.echo(
            "It is librdkafka's mock cluster: in memory, about 5 MB a partition, no transactions. Ctrl-C stops it.",
            err=True,
        )
        try:
            embedded.wait()
        except KeyboardInterrupt:
            return
    typer.echo("error: the broker has ended", err=True)
    raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Show what the machine has of what the toolkit needs; exit code 1 if something is wrong."""
    from fintech_toolkit.doctor import examine

    marks = {"ok": Text("✓", "green"), "optional": Text("–", "yellow"), "problem": Text("✗", "red")}
    table = Table(box=None, show_header=False, pad_edge=False)
    topic = None
    findings = list(examine())
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            table.add_row("", Text(topic, "bold"))
        table.add_row(marks[finding.verdict], f"  {finding.name}", Text(finding.found, overflow="fold"))
    Console().print(table)
    raise typer.Exit(int(any(finding.verdict == "problem" for finding in findings)))


@app.command()
def flow(
    description: Annotated[
        Path, typer.Argument(help="The flow: YAML or JSON, as flow.to_yaml() and to_json() write it.")
    ],
    inputs: Annotated[list[str] | None, typer.Argument(help="Its sources, such as quotes=quotes.parquet.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A Parquet file for the result; by default the first rows are shown.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show how it would run, and run nothing.")] = False,
) -> None:
    """Run a dataflow over files and folders of Parquet or CSV."""
    import fintech_toolkit as ft

    try:
        text = description.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{description} cannot be read: {getattr(error, 'strerror', 'it is no text')}.") from None
    found = ft.Flow.from_json(text) if description.suffix == ".json" else ft.Flow.from_yaml(text)
    given = dict(item.partition("=")[::2] for item in inputs or [])
    wrong = next((name for name, path in given.items() if not path), None)
    if wrong is not None:
        raise ParameterError(f"{wrong!r} gives no path; name each source and its files: quotes=quotes.parquet.")
    if explain:
        typer.echo(found.explain(**given))
        return
    result = found(**given)
    if out is not None:
        write_table(result, out)
        typer.echo(f"{result.num_rows:,} rows of {result.num_columns} columns in {out}")
        return
    typer.echo(result.slice(0, 10).to_pandas().to_string(index=False))
    typer.echo(f"{result.num_rows:,} rows of {result.num_columns} columns")


app.command()(enrich)


@kernels.command("list")
def list_kernels(
    family: Annotated[str | None, typer.Option(help="Only this family, such as microstructure.")] = None,
    search: Annotated[str | None, typer.Option(help="Only kernels that mention this, such as spread.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """List the kernels: what each reads and gives."""
    from fintech_toolkit.kernels import catalogue

    frame = catalogue(search)
    if frame.empty:
        raise ParameterError(f"No kernel mentions {search!r}.")
    if family is not None:
        families = set(catalogue()["family"])
        if family not in families:
            raise ParameterError(f"There is no family {family!r}. {did_you_mean(family, families)}")
        frame = frame[frame["family"] == family]
    if as_json:
        typer.echo(json.dumps(frame.reset_index().to_dict("records"), indent=2))
        return
    columns = ["family", "kind", "reads", "gives", "parameters"]
    table = Table("kernel", *columns, box=None, pad_edge=False, header_style="bold")
    for name, row in frame.sort_values("family", kind="stable").iterrows():
        table.add_row(str(name), *(str(row[column]) for column in columns))
    Console().print(table)


@kernels.command()
def show(
    name: Annotated[str, typer.Argument(help="A kernel's name, such as ewma.")],
    loop: Annotated[bool, typer.Option("--loop", help="The loop that is compiled around the kernel.")] = False,
) -> None:
    """Show a kernel's definition, parameters, outputs, source and an example."""
    from fintech_toolkit.kernels import find
    from fintech_toolkit.scan.loops import loop_text

    try:
        found = find(name)
    except AttributeError as error:
        raise ParameterError(str(error)) from None
    if loop:
        typer.echo(loop_text(found).strip())
        return
    console = Console()
    console.print(Text.assemble((found.name, "bold green"), f"{inspect.signature(found)}  ", (found.family, "dim")))
    for part in _render(found.__doc__ or ""):
        console.print(part)


def _render(docstring: str) -> list[RenderableType]:
    """Set a numpydoc text for the terminal: its headings bold, its examples as code."""
    lead, *sections = re.split(r"^(\w[\w ]*)\n-{3,}\n", docstring, flags=re.MULTILINE)
    parts: list[RenderableType] = [Text("\n" + lead.strip())]
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        parts.append(Text(f"\n{heading}", "bold"))
        text = body.strip("\n")
        parts.append(Syntax(text, "pycon", background_color="default") if heading == "Examples" else Text(text))
    return parts
