"""What a run did: for each contract, and in all."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from fintech_toolkit.errors import DataError, ParameterError, did_you_mean
from fintech_toolkit.signals.configuration import RunSettings
from fintech_toolkit.signals.gate import Verdict
from fintech_toolkit.signals.storage import Store

State = Literal["done", "failed", "skipped"]
RUNS, ASKED, RECORD, CONTRACTS, REPORT = "runs", "asked.json", "record.json", "contracts.parquet", "report.html"


class Counts(BaseModel):
    """What signals there are among the rows that were written, and what came of trades: those of a known next price."""

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    buy: int = 0
    sell: int = 0
    hold: int = 0
    good: int = 0
    bad: int = 0
    neutral: int = 0


class Outcome(BaseModel):
    """What became of a contract.

    Attributes
    ----------
    contract : str
        Its name.
    state : {"done", "failed", "skipped"}
        Skipped is what the run did not get to, or what was done before.
    why : str
        What it failed of, or why it was skipped.
    verdict : Verdict, optional
        What the gate said, if it got to it.
    counts : Counts
        What was written.
    began : datetime, optional
        When its task began.
    seconds : float
        How long that took.
    attempts : int
        How often it was tried.
    worker : str
        Where it ran.
    """

    model_config = ConfigDict(frozen=True)

    contract: str
    state: State
    why: str = ""
    verdict: Verdict | None = None
    counts: Counts = Counts()
    began: datetime | None = None
    seconds: float = 0.0
    attempts: int = 0
    worker: str = ""


class Record(BaseModel):
    """What a run was asked to do, and did: every contract is done, failed or skipped.

    Attributes
    ----------
    run : str
        Its name: when it began, and something that no other has.
    settings : RunSettings
        What it was asked to do.
    began, ended : datetime
        When, in UTC.
    interrupted : bool
        Whether it was, before all contracts had their turn.
    retry_of : str, optional
        The run whose failures it tried again.
    outcomes : tuple of Outcome
        What became of each contract, by name.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    settings: RunSettings
    began: datetime
    ended: datetime
    interrupted: bool = False
    retry_of: str | None = None
    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many contracts came in, and are in each state."""
        states = Counter(outcome.state for outcome in self.outcomes)
        return {"in": len(self.outcomes), **{state: states[state] for state in ("done", "failed", "skipped")}}

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.began).total_seconds()

    def of(self, state: State) -> list[Outcome]:
        """Return the contracts in a state."""
        return [outcome for outcome in self.outcomes if outcome.state == state]

    def frame(self) -> pd.DataFrame:
        """Return a row for each contract."""
        rows = [
            {
                **outcome.model_dump(exclude={"verdict", "counts"}),
                "verdict": None if outcome.verdict is None else outcome.verdict.status,
                "reasons": [] if outcome.verdict is None else [reason.text for reason in outcome.verdict.reasons],
                **outcome.counts.model_dump(),
            }
            for outcome in self.outcomes
        ]
        frame = pd.DataFrame(rows)
        trades = frame["good"] + frame["bad"] + frame["neutral"]
        return frame.assign(win_rate=100 * frame["good"] / trades.where(trades > 0))


def new_run() -> str:
    """Return the name of a run that begins now."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"


def begin_record(store: Store, run: str, settings: RunSettings) -> None:
    """Write what a run is asked to do: before all else, so that an output that cannot be written to is told at once."""
    store.write(f"{RUNS}/{run}/{ASKED}", settings.model_dump_json(indent=1).encode())


def write_record(store: Store, record: Record, report: str) -> None:
    """Write what a run did; the record comes last, so that a run without one was cut."""
    folder = f"{RUNS}/{record.run}"
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(record.frame(), preserve_index=False), sink)
    store.write(f"{folder}/{CONTRACTS}", sink.getvalue().to_pybytes())
    store.write(f"{folder}/{REPORT}", report.encode())
    store.write(f"{folder}/{RECORD}", record.model_dump_json(indent=1).encode())


def runs(url: str) -> list[str]:
    """Return the runs that wrote to a folder and came to their end, the first first."""
    store = Store(url)
    return [run for run in store.names(RUNS) if store.has(f"{RUNS}/{run}/{RECORD}")]


def read_record(url: str, run: str) -> Record:
    """Return what a run did.

    Raises
    ------
    ParameterError
        If there is no such run.
    DataError
        If its record is damaged.
    """
    store = Store(url)
    if not re.fullmatch(r"[\w-]+", run) or not store.has(f"{RUNS}/{run}/{RECORD}"):
        raise ParameterError(f"{store.url} holds no run {run!r}. {did_you_mean(run, runs(url))}")
    try:
        return Record.model_validate_json(store.read(f"{RUNS}/{run}/{RECORD}"))
    except ValidationError as error:
        raise DataError(f"{store.url}/{RUNS}/{run}/{RECORD} is damaged: {error.errors()[0]['msg']}.") from None
