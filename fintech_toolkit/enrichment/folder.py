"""A folder of quotes, securities and trades, enriched into another one: file by file, and on from where it was cut."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import fintech_toolkit as ft
from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.engines.memory.whole_file import alone, write_text
from fintech_toolkit.enrichment.checks import NOT_FIRM, Before, Known
from fintech_toolkit.enrichment.intake import (
    NAMES,
    REJECTED,
    TAKEN,
    File,
    Taken,
    before_each,
    files_of,
    repeated_symbols,
    survey,
    take_in,
    total,
    write_rows,
)
from fintech_toolkit.enrichment.market import Enrichment
from fintech_toolkit.enrichment.plans import ENRICHED, columns_needed, flows_for
from fintech_toolkit.errors import DataError
from fintech_toolkit.progress import Progress

MANIFEST, PLAN = "_manifest.json", "_plan.json"


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    inputs : dict of str to Taken
        For each data set, its rows and what became of them.
    outputs : dict of str to int
        The rows of each frame that was written.
    found : int
        How many files were there already.
    """

    inputs: Mapping[str, Taken]
    outputs: Mapping[str, int]
    found: int


def enrich_folder(
    folder: str | Path,
    out: str | Path,
    client: Any,
    *,
    every: str = "5min",
    progress: Progress = lambda what, done, of: None,
) -> Summary:
    """Enrich the files of a folder on Dask, and write what comes out as Parquet.

    First each file is parted into rows that are taken and rows that are rejected. Then the flows of
    `fintech_toolkit.enrichment.dataflows` run one after the other, over what was taken and what the earlier ones wrote.
    Every file takes its name when it is whole, and the manifest comes last: the same call goes on where an earlier one
    was cut off, and gives the same bytes, on however many workers.

    Parameters
    ----------
    folder : str or Path
        Holds ``quotes``, ``securities`` and ``trades``, each a folder of files of Parquet or CSV, those of quotes and
        trades in order of time.
    out : str or Path
        Where the frames go, each a folder; ``rejected`` holds the rejected rows with file, row and reason.
    client : distributed.Client
        On what it runs. Its workers must see both folders.
    every : str
        How long windows of quotes are.
    progress : callable
        Is told how far the run is.

    Returns
    -------
    Summary

    Raises
    ------
    FintechToolkitError
        If a file cannot be used, a column is missing or of another type, `out` holds something else, lies among the
        inputs or is written to by another run, or the disk is full. What was finished is kept.

    Examples
    --------
    >>> import data_generators, tempfile
    >>> from distributed import Client
    >>> from fintech_toolkit.enrichment import enrich_folder
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("quotes", "securities", "trades"):
    ...     _ = data_generators.write(name, f"{folder}/market/{name}", 500, symbols=8)
    >>> with Client(processes=False, dashboard_address="127.0.0.1:0") as client:
    ...     summary = enrich_folder(f"{folder}/market", f"{folder}/enriched", client)
    >>> summary.inputs["quotes"].rows, summary.outputs["quotes"]
    (500, 500)
    """
    folder, out = Path(folder), Path(out).absolute()  # workers may stand elsewhere
    for name in NAMES:
        if (folder / name).resolve() in (out.resolve(), *out.resolve().parents):
            raise DataError(f"{out} lies among the {name} that are read; choose another folder.")
    files = {name: files_of(folder, name) for name in NAMES}
    plan = {
        "every": every,
        "files": {file.called: _stamp(file) for each in files.values() for file in each},
    }
    # What cannot be run leaves nothing in `out` that another try would have to fit.
    columns = {name: each[0].empty().column_names for name, each in files.items()}
    flows = flows_for(columns["quotes"], every)
    needed = columns_needed(columns, flows)
    files = {name: [replace(file, columns=tuple(needed[name])) for file in each] for name, each in files.items()}
    with alone(out):
        now, done = _prepared(out, plan)
        if done is not None:
            return done
        run = _Run(out, client, progress)
        inputs = _take_in(files, out, now, run)
        outputs = {name: _write(name, flow, out, run) for name, flow in flows.items()}
        _check_counts(inputs, outputs)
        summary = Summary(inputs, outputs, run.found)
        write_text(out / MANIFEST, json.dumps({"plan": plan, **asdict(summary)}, indent=1))
        _clear(out)
        return summary


def _clear(out: Path) -> None:
    """Remove what was needed to go on only."""
    (out / PLAN).unlink(missing_ok=True)
    shutil.rmtree(out / TAKEN, ignore_errors=True)


def _stamp(file: File) -> list[int]:
    about = Path(file.path).stat()
    return [about.st_size, about.st_mtime_ns]


def _prepared(out: Path, plan: dict[str, Any]) -> tuple[int, Summary | None]:
    """Look at what a folder holds, and return the time before which all data is, or what is whole already.

    The time is that of the first start: which rows are in the future must not change when a run goes on.
    """
    names = {path.name for path in out.iterdir()}
    last = MANIFEST if MANIFEST in names else PLAN
    if last in names:
        held = json.loads((out / last).read_text())
        if held["plan"] != plan:
            raise DataError(f"{out} holds what came of other files or windows; choose another folder, or remove it.")
        if last == MANIFEST:
            _clear(out)
            return 0, _summary(held, out)
        for path in out.rglob(".*"):
            if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name):  # what a killed process had not finished
                path.unlink()
        return int(held["now"]), None
    if names:
        raise DataError(f"{out} holds other data ({min(names)}); choose another folder.")
    now = time.time_ns()
    write_text(out / PLAN, json.dumps({"plan": plan, "now": now}))
    return now, None


def read_enriched(out: str | Path) -> tuple[Enrichment, Summary]:
    """Return what `enrich_folder` wrote: the frames, on Dask, and what the run did.

    Raises
    ------
    DataError
        If the folder is not one that a run finished.
    """
    try:
        held = json.loads((Path(out) / MANIFEST).read_text())
    except OSError as error:
        raise DataError(
            f"{out} holds no finished run ({error.strerror}); run `fintech-toolkit enrich` first."
        ) from error
    frames = {name: ft.source(name).dask(**{name: str(Path(out) / name)}) for name in held["outputs"]}
    return Enrichment(**frames), _summary(held, out)


def _summary(held: Mapping[str, Any], out: str | Path) -> Summary:
    inputs = {name: Taken(**taken) for name, taken in held["inputs"].items()}
    return Summary(inputs, held["outputs"], sum(1 for _ in Path(out).glob("*/part-*.parquet")))


class _Run:
    """Tasks on a cluster, counted."""

    def __init__(self, out: Path, client: Any, progress: Progress) -> None:
        self.client, self.progress, self.found = client, progress, 0
        for name in (REJECTED, *(f"{TAKEN}/{name}" for name in NAMES)):
            (out / name).mkdir(parents=True, exist_ok=True)

    def all(self, what: str, tasks: Sequence[Any]) -> list[Any]:
        """Return what tasks return, in their order."""
        from distributed import as_completed

        futures = self.client.compute(list(tasks))
        self.progress(what, 0, len(futures))
        for count, future in enumerate(as_completed(futures), 1):  # type: ignore[no-untyped-call]
            if future.status == "error":
                future.result()  # raises; the others are given up with their futures
            self.progress(what, count, len(futures))
        returned: list[Any] = self.client.gather(futures)
        return returned


def _take_in(files: Mapping[str, list[File]], out: Path, now: int, run: _Run) -> dict[str, Taken]:
    """Part all files into what is taken and what is rejected, and return the sums of each data set."""
    from dask.delayed import delayed

    ticks = [*files["quotes"], *files["trades"]]
    found = run.all("look over", [delayed(survey)(file, now) for file in ticks])
    surveys = dict(zip(ticks, found, strict=True))
    dealers = _each([surveys[file].dealers for file in files["quotes"]])
    symbols = _each([each.symbols for each in found])
    (repeated,) = run.all("keys of securities", [delayed(repeated_symbols)(files["securities"])])

    def take(name: str, befores: Sequence[Before], known: Known) -> list[Taken]:
        tasks = [delayed(take_in)(file, out, before, known) for file, before in zip(files[name], befores, strict=True)]
        return run.all(f"check {name}", tasks)

    taken = {"securities": take("securities", repeated, Known(symbols, now=now))}
    quoted = pa.array([symbol for each in taken["securities"] for symbol in each.symbols], pa.string())
    for name in ("quotes", "trades"):
        taken[name] = take(name, before_each([surveys[file] for file in files[name]]), Known(quoted, dealers, now))
    return {name: total(taken[name]) for name in NAMES}


def _each(arrays: Sequence[pa.Array]) -> pa.Array:
    return pa.chunked_array(arrays, pa.string()).unique()


def _write(name: str, flow: ft.Flow, out: Path, run: _Run) -> int:
    """Run a flow over what there is, write its partitions that are not there yet, and return the rows."""
    from dask.delayed import delayed

    (out / name).mkdir(exist_ok=True)
    paths = {source: str(place_of(source, out)) for source in flow.sources}
    lazy = flow.dask(**paths)
    schema = _schema(lazy._meta, paths.values())
    parts = {out / name / f"part-{number:05d}.parquet": part for number, part in enumerate(lazy.to_delayed())}
    there = [path for path in parts if path.is_file()]
    run.found += len(there)
    run.all(name, [delayed(write_part)(part, path, schema) for path, part in parts.items() if path not in there])
    return sum(pq.read_metadata(path).num_rows for path in parts)


def place_of(source: str, out: Path) -> Path:
    """Return where a source of a flow is read from."""
    return out / source.removeprefix(ENRICHED) if source.startswith(ENRICHED) else out / TAKEN / source


def write_part(frame: pd.DataFrame, path: Path, schema: pa.Schema) -> int:
    """Write a partition whole or not at all, and return its rows."""
    write_rows(pa.Table.from_pandas(frame, schema, preserve_index=False), path)
    return len(frame)


def _schema(empty: pd.DataFrame, paths: Collection[str]) -> pa.Schema:
    """Return what all files of a frame hold, also where a partition has no row or no value that would tell."""
    read = {field.name: field.type for path in paths for field in Files(path).schema}
    fields = []
    for field in pa.Schema.from_pandas(empty, preserve_index=False):
        kind = read.get(field.name, pa.string()) if pa.types.is_null(field.type) else field.type
        fields.append(field.with_type(pa.string() if pa.types.is_large_string(kind) else kind))
    return pa.schema(fields)


def _check_counts(inputs: Mapping[str, Taken], outputs: Mapping[str, int]) -> None:
    """Raise unless every row that came in went out, was rejected, or was noted as left out."""
    wrong = [name for name, each in inputs.items() if each.rows != each.taken + sum(each.reasons.values())]
    for name in ("quotes", "trades"):
        if outputs[name] != inputs[name].kept - inputs[name].notes.get(NOT_FIRM, 0):
            wrong.append(name)
    if wrong:
        raise DataError(f"Rows of {', '.join(wrong)} are missing: in = out + rejected does not hold. Report this.")
