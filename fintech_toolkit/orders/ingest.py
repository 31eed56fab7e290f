"""Files of any size into a store by security and local day: in bounded memory, and on from where it was cut."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.engines.memory.whole_file import alone, write_text
from fintech_toolkit.errors import DataError, ParameterError
from fintech_toolkit.orders.intake import (
    BASE,
    BY_DAY,
    EPOCH,
    REJECTED,
    RUNS,
    Run,
    Selection,
    Taken,
    cut,
    put_together,
    run_all,
)
from fintech_toolkit.orders.reading import Source, look_at, parts_of, stamp_of
from fintech_toolkit.orders.settings import Market
from fintech_toolkit.orders.store import MANIFEST, SecurityDay, Store
from fintech_toolkit.progress import Progress

PLAN, CUTS = "_plan.json", "cuts-"
_ASIDE = re.compile(r"\..+\.([0-9a-f]{32}|parquet)")
"""What files are called that a killed process had not finished."""

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    files : list of Taken
        What became of the rows of each file: ``rows = taken + left_out + sum(rejected.values())``.
    days : list of SecurityDay
        What the store holds.
    """

    files: list[Taken]
    days: list[SecurityDay]


def ingest(
    orders: Paths,
    trades: Paths,
    store: str | os.PathLike[str],
    *,
    quotes: Paths | None = None,
    market: Market | None = None,
    chunk_bytes: int = 512 << 20,
    client: Any = None,
    progress: Progress = lambda what, done, of: None,
    only: Selection | None = None,
) -> Ingested:
    """Bring files of order states, trades and quotes into a store by security and local day.

    Each row becomes canonical or is rejected with file, line and reason, in ``STORE/rejected``; so is a side of a trade
    whose other side is in none of the files. Files are read in pieces, so memory depends neither on their size nor on
    `chunk_bytes`: only on the largest security and day. Every file of the store takes its name when it is whole, and
    the manifest comes last: the same call goes on where an earlier one was cut off, and gives the same bytes, on
    however many workers and in whatever chunks. With more files than the store came of, as on the next day, the new
    ones are added, and only theirs are read.

    Parameters
    ----------
    orders, trades : path, or sequence of them
        Files, folders or patterns of any file system that fsspec knows: CSV (``.csv``, ``.csv.gz``), else Parquet.
    store : str or path
        The folder that is written: ``security=110621/day=2024-09-05/orders.parquet``, trades and quotes beside it.
    quotes : path, or sequence of them, optional
        National best bids and offers.
    market : Market, optional
        Its zone tells the local day of a time.
    chunk_bytes : int
        How much of a file is read by one task.
    client : distributed.Client, optional
        On what it runs, and its workers must see all files; by default on threads of this process, four at most.
    progress : callable
        Is told how far it is.
    only : Selection, optional
        Which securities and days are taken. Other rows are counted.

    Returns
    -------
    Ingested

    Raises
    ------
    FintechToolkitError
        If a file cannot be read, a column is missing or lost values, `store` holds something else, came of files that
        have changed or are not given, or is written to by another run, or the disk is full. The other files are
        finished first.

    Examples
    --------
    >>> import tempfile
    >>> from data_generators.orders import write_orders
    >>> from fintech_toolkit.orders import ingest
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_orders(folder, securities=2, days=1, states=1_000)
    >>> ingested = ingest(f"{folder}/orders", f"{folder}/trades", f"{folder}/store")
    >>> [file.kind for file in ingested.files], [sum(file.rejected.values()) for file in ingested.files]
    (['orders', 'trades'], [0, 0])
    """
    if chunk_bytes < 1:
        raise ParameterError(f"chunk_bytes={chunk_bytes!r} must be at least 1.")
    root, zone, only = Path(store).absolute(), (market or Market()).zone, only or Selection()
    given = {"orders": orders, "trades": trades, "quotes": quotes}
    sources = _listed({kind: paths for kind, paths in given.items() if paths is not None})
    plan = {
        "files": [[source.kind, source.path, stamp_of(source)] for source in sources],
        "zone": zone,
        "only": [_sorted(only.securities), _sorted(only.days)],
    }
    for source in sources:
        look_at(source)  # what cannot be read leaves nothing in the store
    with alone(root):
        held = _read(root / MANIFEST)
        if held is None or held["plan"] != plan:
            begun = _prepared(root, plan, held)
            done = _ingest(sources, root, zone, only, begun, chunk_bytes, client, progress)
            held = {"plan": plan, "files": [asdict(each) for each in done.files], "days": _days(done.days)}
            write_text(root / MANIFEST, json.dumps(held, indent=1))
        _clear(root)
        return Ingested([Taken(**each) for each in held["files"]], Store(root).days())


def _ingest(
    sources: list[Source],
    root: Path,
    zone: str,
    only: Selection,
    begun: Begun,
    chunk_bytes: int,
    client: Any,
    progress: Progress,
) -> Ingested:
    for name in (RUNS, REJECTED):
        (root / name).mkdir(exist_ok=True)
    files = [Taken(**each) for each in begun.files]
    earlier, there = len(files), {(file.kind, file.file) for file in files}
    added = [source for source in sources if (source.kind, source.path) not in there]
    added = [replace(source, number=number) for number, source in enumerate(added, earlier)]
    files += [Taken(source.path, source.kind) for source in added]
    parts = [part for each in _parts(added, root, chunk_bytes, client, progress) for part in each]
    called = [f"{part.kind}-{part.number:05d}-{_mark(part, zone, only)}" for part in parts]
    _remove_others(root, {*called, *begun.kept})
    found = run_all(
        client,
        cut,
        [(part, root, name, zone, only) for part, name in zip(parts, called, strict=True)],
        lambda count: progress("read", count, len(parts)),
    )
    places: dict[tuple[str, int, int], list[tuple[str, str, list[int]]]] = defaultdict(list)
    for part, (taken, run) in zip(parts, found, strict=True):
        files[part.number].add(taken)
        for key, batches in _batches(part.kind, run).items():
            places[key].append((run.path, run.file, batches))
    keys, rows = sorted(places), begun.rows
    written = run_all(
        client,
        put_together,
        [
            (kind, security, day, places[kind, security, day], root, earlier, kind in rows[security, day])
            for kind, security, day in keys
        ],
        lambda count: progress("sort", count, len(keys)),
    )
    file_of = {(file.kind, file.file): file for file in files}
    for (kind, security, day), (count, rejected) in zip(keys, written, strict=True):
        if count:
            rows[security, day][kind] = count
        for (path, reason), many in rejected.items():
            file = file_of[kind, path]
            file.taken -= many
            file.rejected[reason] = file.rejected.get(reason, 0) + many
    _check_counts(files, rows.values())
    given = {(source.kind, source.path): number for number, source in enumerate(sources)}
    files.sort(key=lambda file: given[file.kind, file.file])
    return Ingested(files, [_security_day(root, *key, held) for key, held in sorted(rows.items()) if held])


def _listed(given: dict[str, Paths]) -> list[Source]:
    """Return all files, numbered in the order in which they were given."""
    listed = []
    for kind, paths in given.items():
        each = [paths] if isinstance(paths, str | os.PathLike) else paths
        listed += [(kind, url) for path in each for url in Files(path).urls]
    twice = next((url for kind, url in listed if listed.count((kind, url)) > 1), None)
    if twice is not None:
        raise ParameterError(f"{twice} is given twice; name it once.")
    return [Source(url, kind, number) for number, (kind, url) in enumerate(listed)]


def _sorted(chosen: Iterable[int] | Iterable[date] | None) -> list[str] | None:
    return None if chosen is None else sorted(map(str, chosen))


def _mark(source: Source, *others: Any) -> str:
    """Return what tells a part of a file from others, and from the same part once the file has changed."""
    text = repr((source, stamp_of(source), *others))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Begun:
    """What a store held before the files that are added to it.

    Attributes
    ----------
    plan : dict
        What is under way.
    before : dict or None
        The manifest of what it held; None if it was empty.
    kept : list of str
        Its rejected rows: names of files without their ending.
    """

    plan: dict[str, Any]
    before: dict[str, Any] | None = None
    kept: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[dict[str, Any]]:
        """What became of the rows of its files."""
        return [] if self.before is None else self.before["files"]

    @property
    def rows(self) -> dict[tuple[int, int], dict[str, int]]:
        """The rows of each kind that it held, by security and day."""
        rows: dict[tuple[int, int], dict[str, int]] = defaultdict(dict)
        for each in [] if self.before is None else self.before["days"]:
            counts = {kind: each[f"{kind.removesuffix('s')}_rows"] for kind in ("orders", "trades", "quotes")}
            day = (date.fromisoformat(each["day"]) - EPOCH).days
            rows[each["security"], day] = {kind: count for kind, count in counts.items() if count}
        return rows


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None


def _prepared(root: Path, plan: dict[str, Any], held: dict[str, Any] | None) -> Begun:
    """Look at what a folder holds, remove what came of other files, and note what is under way."""
    if held is not None:
        _clear(root)  # what is left of the run that wrote it
        begun = Begun(plan, held, [path.stem for path in (root / REJECTED).glob("*")])
    else:
        found = _read(root / PLAN)
        names = {path.name for path in root.iterdir() if not _ASIDE.fullmatch(path.name)}
        if names and found is None:
            raise DataError(f"{root} holds other data ({min(names)}); choose another store.")
        begun = Begun(plan) if found is None else Begun(**found)
    if begun.before is not None and not _adds_to(plan, begun.before["plan"]):
        raise DataError(
            f"{root} holds what came of other files or settings. Files can be added to it, but all that it came of "
            "must be given again, and be as they were: choose another store, or remove it."
        )
    for path in root.rglob(".*"):
        if _ASIDE.fullmatch(path.name):
            path.unlink()
    if begun.plan != plan:
        _undo(root, begun)
        begun = replace(begun, plan=plan)
    write_text(root / PLAN, json.dumps(asdict(begun)))
    (root / MANIFEST).unlink(missing_ok=True)
    return begun


def _adds_to(plan: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether a plan has all files of one before, as they were, and its settings."""
    given = {tuple(map(str, file)) for file in plan["files"]}
    same = {**before, "files": []} == {**plan, "files": []}
    return same and all(tuple(map(str, file)) in given for file in before["files"])


def _undo(root: Path, begun: Begun) -> None:
    """Bring a store to what it held before other files were under way."""
    rows = begun.rows
    for path in root.glob("security=*/day=*/*.parquet"):
        security, day = (part.partition("=")[2] for part in path.parts[-3:-1])
        if path.stem not in rows[int(security), (date.fromisoformat(day) - EPOCH).days]:
            path.unlink()
    for path in (root / RUNS).glob(f"{BASE}*"):
        kind, security, day = path.stem.removeprefix(BASE).split("-", 2)
        path.replace(Store(root).path(kind, int(security), date.fromisoformat(day)))
    for path in (root / REJECTED).glob(f"{BY_DAY}*"):
        if path.stem not in begun.kept:
            path.unlink()


def _parts(sources: list[Source], root: Path, chunk_bytes: int, client: Any, progress: Progress) -> list[list[Source]]:
    """Return for each file the parts that tasks read; where these begin is looked for once."""
    tasks = [(source, chunk_bytes, root / RUNS / f"{CUTS}{_mark(source, chunk_bytes)}.json") for source in sources]
    return run_all(client, _cuts, tasks, lambda count: progress("look over", count, len(tasks)))


def _cuts(source: Source, chunk_bytes: int, path: Path) -> list[Source]:
    if not path.is_file():
        write_text(path, json.dumps([asdict(part) for part in parts_of(source, chunk_bytes)]))
    return [Source(**each) for each in json.loads(path.read_text())]


def _remove_others(root: Path, called: set[str]) -> None:
    """Remove what came of files as they were before, or of other parts of them."""
    for path in [*(root / RUNS).iterdir(), *(root / REJECTED).iterdir()]:
        if path.stem not in called and not path.name.startswith((CUTS, BY_DAY, BASE)):
            path.unlink()


def _batches(kind: str, run: Run) -> dict[tuple[str, int, int], list[int]]:
    places: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for number, (security, day, _) in enumerate(run.batches):
        places[kind, security, day].append(number)
    return places


def _check_counts(files: list[Taken], written: Iterable[dict[str, int]]) -> None:
    """Raise unless every row that came in is in the store, was rejected, or was not asked for."""
    wrong = [file.file for file in files if file.rows != file.taken + file.left_out + sum(file.rejected.values())]
    there = sum(sum(each.values()) for each in written)
    if wrong or there != sum(file.taken for file in files):
        raise DataError(f"Rows are missing ({', '.join(wrong)}): in = out + rejected does not hold. Report this.")


def _security_day(root: Path, security: int, day: int, rows: dict[str, int]) -> SecurityDay:
    when = EPOCH + timedelta(days=day)
    size = sum(Store(root).path(kind, security, when).stat().st_size for kind in rows)
    return SecurityDay(security, when, rows.get("orders", 0), rows.get("trades", 0), rows.get("quotes", 0), size)


def _days(days: list[SecurityDay]) -> list[dict[str, Any]]:
    return [{**asdict(each), "day": each.day.isoformat()} for each in days]


def _clear(root: Path) -> None:
    """Remove what was needed to go on only."""
    (root / PLAN).unlink(missing_ok=True)
    shutil.rmtree(root / RUNS, ignore_errors=True)
