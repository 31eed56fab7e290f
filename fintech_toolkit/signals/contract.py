"""One contract of a run, from its prices to its file: the task that a worker is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import TypeVar

import pandas as pd

from fintech_toolkit.errors import DataError, FintechToolkitError
from fintech_toolkit.retries import retrying
from fintech_toolkit.signals.configuration import RunSettings
from fintech_toolkit.signals.features import signals
from fintech_toolkit.signals.gate import Verdict, check
from fintech_toolkit.signals.inputs import File, Inputs, Market, Prices, read_market, read_own, read_prices
from fintech_toolkit.signals.record import Counts, Outcome
from fintech_toolkit.signals.results import in_scope, write_results
from fintech_toolkit.signals.storage import Store

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What all contracts of a run have in common."""

    source: Store
    target: Store
    settings: RunSettings


def load_market(job: Job, inputs: Inputs) -> Market:
    """Read what all contracts are seen beside."""
    return retrying(job.settings.attempts)(read_market, job.source, inputs)


def load_prices(job: Job, file: File) -> Prices:
    """Read the one file that holds the prices of all contracts."""
    return retrying(job.settings.attempts)(read_prices, job.source, file)


def run_contract(job: Job, contract: str, prices: File | Prices, market: Market) -> Outcome:
    """Read, check, compute and write a contract, and return what became of it; nothing is raised."""
    began, start = datetime.now(UTC), time.perf_counter()
    tries = retrying(job.settings.attempts)
    why, verdict, counts = "", None, Counts()
    try:
        verdict, counts = tries(_one_try, job, contract, prices, market)
        if verdict.status == "FAIL":
            why = "; ".join(reason.text for reason in verdict.reasons if reason.status == "FAIL")
    except (FintechToolkitError, OSError) as error:
        why = str(error)
    except Exception as error:  # whatever it is, it is this contract's alone
        why = f"{type(error).__name__}: {error}"
    return Outcome(
        contract=contract,
        state="failed" if why else "done",
        why=why,
        verdict=verdict,
        counts=counts,
        began=began,
        seconds=time.perf_counter() - start,
        attempts=tries.statistics["attempt_number"],
        worker=_worker(),
    )


def _worker() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _one_try(job: Job, contract: str, prices: File | Prices, market: Market) -> tuple[Verdict, Counts]:
    verdict, frame = within(job.settings.timeout, partial(_computed, job, contract, prices, market))
    if frame is None:
        return verdict, Counts()
    # After the time limit: what took too long must not write when it comes to its end at last.
    write_results(job.target, contract, frame, job.settings)
    return verdict, _counts(frame)


def _computed(job: Job, contract: str, prices: File | Prices, market: Market) -> tuple[Verdict, pd.DataFrame | None]:
    held = prices if isinstance(prices, Prices) else read_own(job.source, prices, contract)
    rows = held.of(contract)
    made_with = job.settings.signals
    verdict = check(rows, *market, job.settings.calendar, max_age=made_with.max_age)
    if verdict.status == "FAIL":
        return verdict, None
    if not rows["timestamp"].is_monotonic_increasing:
        rows = rows.sort_values("timestamp", kind="stable", ignore_index=True)
    return verdict, in_scope(signals(rows, *market, made_with), job.settings)


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what a function returns, unless it takes too long: it is left to itself then.

    Raises
    ------
    DataError
        If it takes too long.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():
            raise  # its own
        raise DataError(f"It took longer than {seconds:g} s; set a longer timeout, or see what it waits for.") from None


def _counts(frame: pd.DataFrame) -> Counts:
    signal, quality = frame["signal"], frame["trade_quality"]
    traded = (signal.abs() == 1) & frame["next_price_change_pct"].notna()
    return Counts(
        rows=len(frame),
        **{name: int((signal == side).sum()) for name, side in (("buy", 1), ("sell", -1), ("hold", 0))},
        **{name: int((traded & (quality == name)).sum()) for name in ("good", "bad", "neutral")},
    )
