"""The commands that write data sets; mounted by the toolkit as ``fintech-toolkit generate``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_generators.datasets import DATASETS, find_dataset, make_market
from data_generators.errors import GeneratorError
from data_generators.faults import Faults
from data_generators.hourly import write_hourly
from data_generators.orders import write_orders
from data_generators.writing import Report, write

app = typer.Typer(
    name="generate",
    help="Synthetic market data, of bonds and of shares hour by hour: the same bytes for the same seed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_console = Console(stderr=True)


@contextmanager
def _errors() -> Iterator[None]:
    """End with one clear line and a code other than 0 where a request cannot be met."""
    try:
        yield
    except GeneratorError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted: finished files are kept; run the same command again to go on", err=True)
        raise typer.Exit(130) from None


class Format(StrEnum):
    """File formats."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"
    arrow = "arrow"


class Profile(StrEnum):
    """Widths of the data."""

    narrow = "narrow"
    wide = "wide"


def _count(text: str | int) -> int:
    """Read a whole number that may be written as 1.2e6 or 1_200_000."""
    try:
        number = Decimal(str(text))
        if number == number.to_integral_value() and abs(number) < 10**20:
            return int(number)
    except InvalidOperation:
        pass
    raise typer.BadParameter(f"{text!r} is not a whole number (1.2e6 is one too)")


Out = Annotated[Path, typer.Option(help="Folder for the data; made if it does not exist.")]
Rows = Annotated[int | None, typer.Option(parser=_count, metavar="N", help="Rows, such as 1.2e6.")]
Seed = Annotated[int, typer.Option(parser=_count, metavar="N", help="The same seed gives the same bytes.")]
Symbols = Annotated[int, typer.Option(parser=_count, metavar="N", help="Quoted instruments.")]
FileFormat = Annotated[
    Format,
    typer.Option("--format", help="Parquet and Arrow: canonical columns; CSV and JSON lines: wire names."),
]
Width = Annotated[Profile, typer.Option("--profile", help="wide: one-sided quotes and the columns that feeds have.")]
Partitions = Annotated[
    int | None,
    typer.Option(parser=_count, metavar="N", help="Files; by default one a trading day or 524,288 rows."),
]
Workers = Annotated[int, typer.Option(parser=_count, metavar="N", help="Processes that work side by side.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Remove the files that the folder holds.")]
Late = Annotated[float, typer.Option(metavar="SHARE", help="Share of records that are late by 60 s or more.")]
OutOfOrder = Annotated[float, typer.Option(metavar="SHARE", help="Share of records that come after newer ones.")]
Duplicate = Annotated[float, typer.Option(metavar="SHARE", help="Share of records that come twice.")]
Crossed = Annotated[float, typer.Option(metavar="SHARE", help="Share of quotes with the bid above the ask.")]
Malformed = Annotated[float, typer.Option(metavar="SHARE", help="Share of records with an impossible value.")]
Sentinel = Annotated[float, typer.Option(metavar="SHARE", help="Share of records whose price stands for none.")]
NullText = Annotated[float, typer.Option(metavar="SHARE", help="Share of records with the text NULL for a name.")]
ZeroSize = Annotated[float, typer.Option(metavar="SHARE", help="Share of records with a size of 0.")]
Withdrawn = Annotated[float, typer.Option(metavar="SHARE", help="Share of wide quotes that are withdrawn.")]

_CORES = os.cpu_count() or 1


@app.command()
def quotes(
    out: Out,
    rows: Rows = None,
    seed: Seed = 0,
    symbols: Symbols = 1_000,
    profile: Width = Profile.narrow,
    format: FileFormat = Format.parquet,
    partitions: Partitions = None,
    workers: Workers = _CORES,
    late: Late = 0.0,
    out_of_order: OutOfOrder = 0.0,
    duplicate: Duplicate = 0.0,
    crossed: Crossed = 0.0,
    malformed: Malformed = 0.0,
    sentinel: Sentinel = 0.0,
    null_text: NullText = 0.0,
    zero_size: ZeroSize = 0.0,
    withdrawn: Withdrawn = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """Write dealers' quotes (1.2 million by default, or 2.64 million wide one-sided rows)."""
    with _errors():
        faults = Faults(late, out_of_order, duplicate, crossed, malformed, sentinel, null_text, zero_size, withdrawn)
        _write(["quotes"], [out], [rows], seed, symbols, profile, format, partitions, workers, faults, overwrite)


@app.command()
def securities(
    out: Out,
    rows: Rows = None,
    seed: Seed = 0,
    profile: Width = Profile.narrow,
    format: FileFormat = Format.parquet,
    partitions: Partitions = None,
    workers: Workers = _CORES,
    duplicate: Duplicate = 0.0,
    malformed: Malformed = 0.0,
    sentinel: Sentinel = 0.0,
    null_text: NullText = 0.0,
    zero_size: ZeroSize = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """Write a security master (10 million securities by default)."""
    with _errors():
        faults = Faults(0.0, 0.0, duplicate, 0.0, malformed, sentinel, null_text, zero_size)
        _write(["securities"], [out], [rows], seed, 1_000, profile, format, partitions, workers, faults, overwrite)


@app.command()
def trades(
    out: Out,
    rows: Rows = None,
    seed: Seed = 0,
    symbols: Symbols = 1_000,
    profile: Width = Profile.narrow,
    format: FileFormat = Format.parquet,
    partitions: Partitions = None,
    workers: Workers = _CORES,
    late: Late = 0.0,
    out_of_order: OutOfOrder = 0.0,
    duplicate: Duplicate = 0.0,
    malformed: Malformed = 0.0,
    sentinel: Sentinel = 0.0,
    null_text: NullText = 0.0,
    zero_size: ZeroSize = 0.0,
    overwrite: Overwrite = False,
) -> None:
    """Write trades on the quotes of the same seed and symbols (1 million by default)."""
    with _errors():
        faults = Faults(late, out_of_order, duplicate, 0.0, malformed, sentinel, null_text, zero_size)
        _write(["trades"], [out], [rows], seed, symbols, profile, format, partitions, workers, faults, overwrite)


@app.command()
def hourly(
    out: Out,
    contracts: Annotated[int, typer.Option(parser=_count, metavar="N", help="Contracts.")] = 10,
    days: Annotated[int, typer.Option(parser=_count, metavar="N", help="Trading days of eight stamps.")] = 252,
    seed: Seed = 0,
    start: Annotated[str, typer.Option(metavar="DATE", help="The first day.")] = "2011-01-03",
    overwrite: Overwrite = False,
) -> None:
    """Write hourly prices of contracts, the S&P 500, the VIX, and the betas that were planted."""
    with _errors():
        for part, path in write_hourly(out, contracts, days, seed, start, overwrite).items():
            typer.echo(f"wrote {part}: {path} ({path.stat().st_size / 1e6:,.1f} MB)")


class OrderFormat(StrEnum):
    """Formats of an exchange's files."""

    csv = "csv"
    gz = "csv.gz"
    parquet = "parquet"


@app.command()
def orders(
    out: Out,
    securities: Annotated[int, typer.Option(parser=_count, metavar="N", help="Securities.")] = 10,
    days: Annotated[int, typer.Option(parser=_count, metavar="N", help="Business days.")] = 5,
    states: Annotated[
        int, typer.Option(parser=_count, metavar="N", help="Order states of a security and day, about; 130 bytes each.")
    ] = 20_000,
    seed: Seed = 0,
    format: Annotated[OrderFormat, typer.Option("--format", help="Of orders, trades and quotes.")] = OrderFormat.csv,
) -> None:
    """Write an exchange's order states, trades and best bids and offers, and beside them the truth."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _errors(), Progress(*columns, console=_console) as bars:
        bar = bars.add_task("days", total=days)
        report = write_orders(
            out, securities, days, states, seed, format=format.value, progress=partial(bars.advance, bar)
        )
        typer.echo(
            f"{report.files} files in {out} ({report.bytes / 1e6:,.1f} MB), {report.found} of them found there; wrote "
            f"{report.states:,} order states and {report.trades:,} sides of trades"
        )


@app.command("all")
def everything(
    out: Out,
    quotes_rows: Rows = None,
    securities_rows: Rows = None,
    trades_rows: Rows = None,
    seed: Seed = 0,
    symbols: Symbols = 1_000,
    profile: Width = Profile.narrow,
    format: FileFormat = Format.parquet,
    workers: Workers = _CORES,
    overwrite: Overwrite = False,
) -> None:
    """Write all three, a folder each (12.2 million rows by default, 13.64 million wide ones)."""
    with _errors():
        rows = {"quotes": quotes_rows, "securities": securities_rows, "trades": trades_rows}
        needed = make_market(seed, symbols).universe.master_rows
        if securities_rows is not None and securities_rows < needed:
            raise GeneratorError(
                f"the {symbols:,} quoted instruments need a security master of at least {needed:,} rows"
            )
        _write(
            list(DATASETS),
            [out / name for name in DATASETS],
            [rows[name] for name in DATASETS],
            seed,
            symbols,
            profile,
            format,
            None,
            workers,
            Faults(),
            overwrite,
        )


def _write(
    names: list[str],
    folders: list[Path],
    rows: list[int | None],
    seed: int,
    symbols: int,
    profile: Profile,
    format: Format,
    partitions: int | None,
    workers: int,
    faults: Faults,
    overwrite: bool,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console) as bars:
        for name, folder, count in zip(names, folders, rows, strict=True):
            bar = bars.add_task(name, total=find_dataset(name, profile.value).default_rows if count is None else count)
            report = write(
                name,
                folder,
                count,
                seed=seed,
                symbols=symbols,
                profile=profile.value,
                format=format.value,
                partitions=partitions,
                workers=workers,
                faults=faults,
                overwrite=overwrite,
                progress=partial(bars.advance, bar),
            )
            typer.echo(_sentence(name, report))


def _sentence(name: str, report: Report) -> str:
    size = f"{report.partitions} files, {report.size / 1e6:,.1f} MB"
    held = f"{report.rows:,} {name} in {report.folder} ({size})"
    if report.found == report.partitions:
        return f"nothing to do: {held}"
    if report.found:
        return f"went on from {report.found} finished files: {held}"
    return f"wrote {held}"
