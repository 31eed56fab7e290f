"""A folder that holds one generated data set: what is in it, and when it is whole."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from data_generators.errors import GeneratorError

MANIFEST = "_manifest.json"
PLAN = "_plan.json"
FAULTS = "_faults.csv"

Plan = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a folder held before a run: a whole data set of the same plan, or partitions to go on from."""

    whole: bool
    partitions: frozenset[int]


def part_name(partition: int, plan: Plan) -> str:
    """Return the file name of a partition."""
    return f"part-{partition:05d}.{plan['format']}"


def fragment_name(partition: int) -> str:
    """Return the name of the file that lists a partition's faults until the run ends."""
    return f".faults-{partition:05d}.arrow"


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name when all of it is on the disk, and leaves nothing if that fails."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def prepare(folder: Path, plan: Plan, overwrite: bool) -> Found:
    """Make a folder ready for a run, or say why it cannot be.

    Parameters
    ----------
    folder : Path
        Where the data set is to be; made if it does not exist.
    plan : dict
        All that the files depend on.
    overwrite : bool
        Remove the files that the folder holds. Sub-folders are never removed.

    Returns
    -------
    Found
        What the folder holds of this very plan.

    Raises
    ------
    GeneratorError
        If the folder holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise GeneratorError(f"{folder} is a file: name a folder for the data")
    folder.mkdir(parents=True, exist_ok=True)
    if overwrite:
        _clear(folder)
    names = {entry.name for entry in folder.iterdir()}
    if MANIFEST in names:
        manifest = _read(folder / MANIFEST)
        if manifest.get("plan") != plan:
            raise GeneratorError(f"{folder} holds {_describe(manifest.get('plan'))}: choose another or --overwrite")
        for file in manifest["files"]:
            path = folder / file["name"]
            if not path.exists() or path.stat().st_size != file["bytes"]:
                raise GeneratorError(f"{path} is missing or was changed since it was made: --overwrite makes it again")
        return Found(True, frozenset(range(len(manifest["files"]))))
    if PLAN in names:
        unfinished = _read(folder / PLAN)
        if unfinished != plan:
            raise GeneratorError(
                f"{folder} holds an unfinished run of {_describe(unfinished)}: "
                "finish that, choose another folder or --overwrite"
            )
        return Found(False, frozenset(_finished(folder, plan, names)))
    if names:
        raise GeneratorError(f"{folder} holds other data ({min(names)}): choose another folder or --overwrite")
    _write_json(folder / PLAN, plan)
    return Found(False, frozenset())


def finish(folder: Path, plan: Plan, rows: list[int], write_faults: Callable[[BinaryIO], None] | None) -> int:
    """Write what says that the data set is whole, last of all, and return the bytes of its partitions."""
    names = [part_name(partition, plan) for partition in range(len(rows))]
    sizes = [(folder / name).stat().st_size for name in names]
    if write_faults is not None:
        with written_aside(folder / FAULTS) as file:
            write_faults(file)
    columns = zip(names, rows, sizes, strict=True)
    files = [{"name": name, "rows": count, "bytes": size} for name, count, size in columns]
    _write_json(folder / MANIFEST, {"plan": plan, "rows": sum(rows), "files": files})
    for leftover in [PLAN, *(fragment_name(partition) for partition in range(len(rows)))]:
        (folder / leftover).unlink(missing_ok=True)
    return sum(sizes)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a `GeneratorError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason = f"no room left for {folder} ({os.strerror(error.errno)})"
            raise GeneratorError(
                f"{reason}: finished partitions are kept; make room and run the same command again to go on"
            ) from error
        raise GeneratorError(f"cannot write to {folder}: {error}") from error


def _finished(folder: Path, plan: Plan, names: set[str]) -> Iterator[int]:
    expected = {part_name(partition, plan): partition for partition in range(plan["partitions"])}
    ours = {PLAN, FAULTS, *expected, *(fragment_name(partition) for partition in range(plan["partitions"]))}
    for name in sorted(names - ours):
        if not (name.startswith(".") and name.endswith(".tmp")):
            raise GeneratorError(f"{folder} holds other data ({name}) beside an unfinished run: move it or --overwrite")
        # A process that was killed left a file half written.
        (folder / name).unlink()
    for name, partition in expected.items():
        if name in names and (not plan["faults"] or fragment_name(partition) in names):
            yield partition


def _clear(folder: Path) -> None:
    entries = list(folder.iterdir())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            raise GeneratorError(f"{folder} holds a folder ({entry.name}), which --overwrite does not remove")
    # The manifest goes first, so that what is left never looks whole.
    for entry in sorted(entries, key=lambda entry: entry.name != MANIFEST):
        entry.unlink()
        _sync_folder(folder)


def _describe(plan: Any) -> str:
    try:
        return f"{plan['rows']:,} rows of {plan['dataset']} with seed {plan['seed']} as {plan['format']}"
    except (TypeError, KeyError, ValueError):
        return "other data"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise GeneratorError(f"{path} cannot be read ({error}): choose another folder or --overwrite") from error
    if not isinstance(content, dict):
        raise GeneratorError(f"{path} is not what a generator writes: choose another folder or --overwrite")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with written_aside(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
