"""A run: every contract is a task on Dask, and what becomes of one costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.retries import retrying
from fintech_toolkit.signals.configuration import RunSettings
from fintech_toolkit.signals.contract import Job, load_market, load_prices, run_contract
from fintech_toolkit.signals.inputs import chosen, contracts_of, find_inputs
from fintech_toolkit.signals.record import Outcome, Record, begin_record, new_run, read_record, write_record
from fintech_toolkit.signals.report import report
from fintech_toolkit.signals.storage import Store

Progress = Callable[[Mapping[str, int], int], None]
"""Called with how many contracts are in each state, and of how many."""


def run(
    settings: RunSettings,
    client: Any,
    *,
    retry: str | None = None,
    progress: Progress = lambda states, of: None,
) -> Record:
    """Compute the signals of contracts on Dask, and write them, the run's record and its report.

    Parameters
    ----------
    settings : RunSettings
        What is read, computed and written.
    client : distributed.Client
        On what it runs. Its workers must see input and output.
    retry : str, optional
        A run whose failed and interrupted contracts are tried again; those that are done are skipped. With
        `retried_settings` of that run.
    progress : callable
        Is told how far the run is.

    Returns
    -------
    Record
        Of every contract whether it is done, failed or skipped, and why. An interrupted run has one, too.

    Raises
    ------
    FintechToolkitError
        If an input is missing or damaged that all contracts need, a contract is unknown, or the output cannot be
        written to: before any contract is computed.

    Examples
    --------
    >>> from fintech_toolkit.signals.configuration import run_settings
    >>> from distributed import Client
    >>> with Client(processes=False, dashboard_address="127.0.0.1:0") as client:
    ...     run(run_settings(input="no-such-folder"), client)
    Traceback (most recent call last):
    fintech_toolkit.errors.DataError: ... lacks spx_holdings_hourly.parquet ...
    """
    name, began = new_run(), datetime.now(UTC)
    tries = retrying(settings.attempts)
    job = Job(Store(settings.input), Store(settings.output), settings)
    inputs = tries(find_inputs, job.source)
    market = _loaded(client.submit(load_market, job, inputs, key=f"market-{name}", pure=False))
    prices: Mapping[str, Any] = inputs.by_contract
    if inputs.prices is not None:
        every = _loaded(client.submit(load_prices, job, inputs.prices, key=f"prices-{name}", pure=False))
        prices = dict.fromkeys(client.submit(contracts_of, every).result(), every)
    contracts = chosen(settings.contracts, list(prices), job.source.url)
    before = set() if retry is None else {each.contract for each in read_record(settings.output, retry).of("done")}
    outcomes = {
        contract: Outcome(contract=contract, state="skipped", why=f"done in run {retry}")
        for contract in contracts
        if contract in before
    }
    tries(begin_record, job.target, name, settings)
    futures = {
        client.submit(
            run_contract, job, contract, prices[contract], market, key=(f"signals-{name}", contract), pure=False
        ): contract
        for contract in contracts
        if contract not in before
    }
    interrupted = False
    try:
        _collect(futures, outcomes, len(contracts), progress)
    except KeyboardInterrupt:
        interrupted = True
        client.cancel(list(futures))
    for contract in contracts:
        outcomes.setdefault(contract, Outcome(contract=contract, state="skipped", why="the run was interrupted"))
    record = Record(
        run=name,
        settings=settings,
        began=began,
        ended=datetime.now(UTC),
        interrupted=interrupted,
        retry_of=retry,
        outcomes=tuple(outcomes[contract] for contract in contracts),
    )
    tries(write_record, job.target, record, tries(report, record).html())
    return record


def retried_settings(output: str, retry: str) -> RunSettings:
    """Return what a run was asked to do, for the contracts that it had: others may have come since."""
    record = read_record(output, retry)
    if not record.of("failed") and not record.interrupted:
        raise ParameterError(f"Nothing failed in run {retry}; there is nothing to try again.")
    contracts = [outcome.contract for outcome in record.outcomes]
    return record.settings.model_copy(update={"contracts": contracts})


def _loaded(task: Any) -> Any:
    """Wait for what all contracts need; it stays with the workers, and is read again if they are lost."""
    from distributed import wait

    wait(task)  # type: ignore[no-untyped-call]
    if task.status == "error":
        task.result()  # raises: no contract could do without
    return task


def _collect(futures: Mapping[Any, str], outcomes: dict[str, Outcome], of: int, progress: Progress) -> None:
    from distributed import as_completed

    def tell() -> None:
        states = [outcome.state for outcome in outcomes.values()]
        progress({state: states.count(state) for state in ("done", "failed", "skipped")}, of)

    tell()
    for future, answer in as_completed(list(futures), with_results=True, raise_errors=False):  # type: ignore[no-untyped-call]
        contract = futures[future]
        lost = future.status != "finished"
        outcomes[contract] = Outcome(contract=contract, state="failed", why=_lost(future)) if lost else answer
        tell()


def _lost(future: Any) -> str:
    """Say why a task has no outcome: its workers ended under it, or the scheduler did."""
    from distributed.scheduler import KilledWorker

    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return "Workers ended while they computed it, again and again: it may need more memory than they have."
    return f"The task was lost: {error or future.status}."
