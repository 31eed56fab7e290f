"""What became of each job: a record of each, by which a run goes on, and the manifest of all that was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from fintech_toolkit.engines.memory.whole_file import write_whole
from fintech_toolkit.errors import DataError
from fintech_toolkit.orders.jobs import Job
from fintech_toolkit.orders.outputs import stamp

RECORDS, PLAN, MANIFEST = "jobs", "plan.json", "manifest.json"


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    security : int
    day : str
    state : {"done", "failed"}
    seconds : float
        How long it took.
    settings : str
        Checksum of the settings and of the rows that it came of.
    counts : dict of str to int
        Rows that came in, went out and were left out, by what they are.
    files : dict of str to dict
        By the path of each file that it wrote, seen from the output, its ``bytes`` and ``sha256``.
    cause : str
        Why it failed.
    """

    security: int
    day: str
    state: Literal["done", "failed"]
    seconds: float
    settings: str
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    cause: str = ""

    @property
    def name(self) -> str:
        """Such as ``110621/2024-09-05``."""
        return f"{self.security}/{self.day}"

    def came_of(self, settings: str) -> bool:
        """Whether it is done, under settings and of rows of this checksum."""
        return self.state == "done" and self.settings == settings


def folder_of(job: Job | Outcome) -> str:
    """Return where a job's files are, seen from the output."""
    return f"by_security/SEC_{job.security}/{job.day}"


def summary_of(job: Job | Outcome) -> str:
    """Return where what goes into the figures of all is, seen from the output."""
    return f"{RECORDS}/SEC_{job.security}/{job.day}"


def record_of(job: Job | Outcome, output: Path) -> Path:
    """Return where the record of a job is."""
    return output / f"{summary_of(job)}.json"


def write_json(content: Any, path: Path) -> None:
    """Write JSON whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda aside: aside.write_text(json.dumps(content, indent=1, sort_keys=True)))


def read_outcome(job: Job, output: Path) -> Outcome | None:
    """Return what became of a job, if it ended."""
    try:
        return Outcome(**json.loads(record_of(job, output).read_text()))
    except FileNotFoundError:
        return None


def outcomes_of(jobs: Iterable[Job], output: Path) -> list[Outcome]:
    """Return what became of those that ended."""
    found = (read_outcome(job, output) for job in jobs)
    return [outcome for outcome in found if outcome is not None]


def still_there(outcome: Outcome, output: Path) -> bool:
    """Whether the files of a job are as they were written."""
    return all((output / name).is_file() and stamp(output / name) == told for name, told in outcome.files.items())


def write_plan(jobs: Iterable[Job], output: Path) -> None:
    """Write which jobs a run has, before the first starts."""
    write_json([{**asdict(job), "day": str(job.day)} for job in jobs], output / PLAN)


def read_plan(output: Path) -> list[Job]:
    """Return which jobs the last run had.

    Raises
    ------
    DataError
        If there was none.
    """
    try:
        held = json.loads((output / PLAN).read_text())
    except FileNotFoundError:
        raise DataError(f"{output} holds no run; start one with `fintech-toolkit orders run`.") from None
    return [Job(**{**each, "day": date.fromisoformat(each["day"])}) for each in held]


def write_manifest(outcomes: Iterable[Outcome], aggregated: Mapping[str, Any], output: Path) -> None:
    """Write what the files of finished jobs and the aggregated ones hold; no time, so that it is the same each time."""
    jobs = {
        outcome.name: {"settings": outcome.settings, "counts": outcome.counts, "files": outcome.files}
        for outcome in outcomes
        if outcome.state == "done"
    }
    write_json({"jobs": jobs, "aggregated": aggregated}, output / MANIFEST)
