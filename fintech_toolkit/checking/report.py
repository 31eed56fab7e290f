"""The contract of the library's kernels, on one of the user's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fintech_toolkit.checking import contract
from fintech_toolkit.checking.contract import Case
from fintech_toolkit.checking.ticks import drawn, dtypes_of, ticks
from fintech_toolkit.engines.memory.state import State
from fintech_toolkit.errors import KernelError
from fintech_toolkit.pipeline import Pipeline
from fintech_toolkit.scan.declaration import Kernel

Check = Callable[[Kernel, Case, np.random.Generator], None]

NOT_CHECKED = "not checked"
DRAWINGS = 5
"""How often ticks are drawn for a check, for each case."""


@dataclass(frozen=True)
class Checked:
    """What `check_kernel` found.

    Attributes
    ----------
    frame : DataFrame
        A row for each check: `result` is ``"passed"``, ``"failed"`` or ``"not checked"``, and `why` says why.
    """

    frame: pd.DataFrame

    @property
    def failed(self) -> pd.Series[str]:
        """Why each check that has failed did so."""
        return self.frame.loc[self.frame["result"] == "failed", "why"]

    @property
    def passed(self) -> bool:
        """Whether no check has failed."""
        return not len(self.failed)

    def __repr__(self) -> str:
        return self.frame.to_string(header=False, index_names=False)

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return self.frame.to_html()


def check_kernel(kernel: Kernel, *, seed: int = 0, raises: bool = False) -> Checked:
    """Hold a kernel to what the library's own are held to, under each of its `cases`: the same bits however the ticks
    are split, interleaved, saved and gone on with, tick by tick, on arrays, pandas, Arrow, Dask and live; no look at
    the future; a policy for missing values; and the numbers of its oracle, if it has one.

    Parameters
    ----------
    kernel : Kernel
        What a decorator such as `tick_kernel` made.
    seed : int
        Other ticks are drawn for another one, the same for the same one.
    raises : bool
        Raise, instead of only showing it, if a check has failed: for tests of your own.

    Returns
    -------
    Checked
        What was found: it prints as a table, with a row for each check. What is on Dask runs on the workers of the
        client, if there is one, or else on threads.

    Raises
    ------
    KernelError
        If it is no kernel, or takes whole arrays; or, with ``raises=True``, if it failed.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> @ft.tick_kernel(reads="x", gives="total", state=[("sum", "f8")])
    ... def running_total(s, x):
    ...     \"\"\"Sum so far.\"\"\"
    ...     s.sum += x
    ...     return s.sum
    >>> ft.check_kernel(running_total).failed.to_dict()
    {'missing values stated': 'its docstring says nothing about NaN or missing values',
     'recovers after missing values': 'total is not finite again after 20 rows of nan',
     'recovers after infinities': 'total is not finite again after 20 rows of inf'}
    """
    if not isinstance(kernel, Kernel):
        raise KernelError(f"{kernel!r} is not a kernel; declare it with a decorator such as @ft.tick_kernel(…).")
    if not kernel.tickwise:
        what = "looks across symbols" if kernel.kind == "cross" else "takes whole arrays"
        raise KernelError(f"{kernel.name} {what}; only what is called tick by tick can be checked.")
    rows = []
    for name, check, skipped in _checks(kernel):
        why = skipped or _failure(kernel, check, seed)
        result = NOT_CHECKED if skipped else "failed" if why else "passed"
        rows.append({"check": name, "result": result, "why": why})
        if name == "computes" and why:
            break
    found = Checked(pd.DataFrame(rows).set_index("check"))
    if raises and not found.passed:
        raise KernelError(f"{kernel.name} failed:\n{found.failed.to_string()}")
    return found


def _failure(kernel: Kernel, check: Check, seed: int) -> str:
    """Return why a check fails, and under which case; empty if it passes."""
    for case in kernel.cases:
        try:
            check(kernel.variant(case), case, np.random.default_rng(seed))
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            under = f" (with {', '.join(f'{name}={value!r}' for name, value in case.items())})" if case else ""
            return "; ".join(lines[:4]) + under
    return ""


def _checks(kernel: Kernel) -> Iterator[tuple[str, Check, str]]:
    """Name the checks, and why one is left out."""
    no_oracle = "" if kernel.oracles else f"it has none: mark an independent definition with @{kernel.name}.oracle"
    no_gap = "" if contract.reads_floats(kernel) else "it reads no floats, so nothing can be missing"
    yield "computes", lambda k, case, _: _discard(contract.on_arrays(k, case, ticks(dtypes_of(k), 50))), ""
    yield "missing values stated", lambda k, *_: contract.says_about_missing_values(k), ""
    yield "agrees with its oracle", _agrees_with_oracle, no_oracle
    yield "any split", _any_split, ""
    yield "tick by tick", _any_ticks, ""
    yield "any interleaving", _any_interleaving, ""
    yield "no look ahead", _no_look_ahead, ""
    yield "recovers after missing values", lambda k, case, _: contract.recovers_after_a_gap(k, case, np.nan), no_gap
    yield "recovers after infinities", lambda k, case, _: contract.recovers_after_a_gap(k, case, np.inf), no_gap
    yield "short groups", _short_groups, ""
    yield "input left alone", lambda k, case, _: contract.leaves_its_input_alone(k, case), ""
    for name, way in (
        ("Arrow", contract.as_arrow),
        ("Dask, 1 partition", contract.on_dask(1)),
        ("Dask, 7 partitions", contract.on_dask(7)),
        ("Dask, shuffled", contract.shuffled),
        ("live", contract.live),
    ):
        yield name, _same_on(way), ""
    yield "saved and gone on with", _goes_on, ""


def _discard(results: contract.Results) -> None:
    """Look at nothing: that there are results is enough."""


def _agrees_with_oracle(kernel: Kernel, case: Case, random: np.random.Generator) -> None:
    for rows in (1, 2, 5, 400):
        for missing, infinite, ties in ((0.0, 0.0, 0.2), (0.1, 0.03, 0.2), (0.0, 0.0, 1.0)):
            seed = int(random.integers(2**32))
            frame = ticks(dtypes_of(kernel), rows, seed, missing=missing, infinite=infinite, ties=ties)
            contract.agrees_with_oracle(kernel, case, frame)


def _any_split(kernel: Kernel, case: Case, random: np.random.Generator) -> None:
    for _ in range(DRAWINGS):
        shares = random.random(random.integers(6)).tolist()
        contract.any_split_gives_the_same(kernel, case, drawn(dtypes_of(kernel), random), shares)


def _any_ticks(kernel: Kernel, case: Case, random: np.random.Generator) -> None:
    for _ in range(DRAWINGS):
        shares = random.random(random.integers(6)).tolist()
        contract.any_ticks_give_the_same(kernel, case, drawn(dtypes_of(kernel), random), shares)


def _any_interleaving(kernel: Kernel, case: Case, random: np.random.Generator) -> None:
    for _ in range(DRAWINGS):
        contract.any_interleaving_gives_the_same(kernel, case, drawn(dtypes_of(kernel), random))


def _no_look_ahead(kernel: Kernel, case: Case, random: np.random.Generator) -> None:
    for _ in range(DRAWINGS):
        contract.later_ticks_change_nothing(kernel, case, drawn(dtypes_of(kernel), random), random.random())


def _short_groups(kernel: Kernel, case: Case, _: np.random.Generator) -> None:
    for rows in (0, 1, 2):
        contract.short_groups_give_the_same_columns(kernel, case, rows)


def _same_on(way: Callable[[Pipeline, pd.DataFrame], object]) -> Check:
    def check(kernel: Kernel, case: Case, _: np.random.Generator) -> None:
        contract.gives_the_same(contract.pipeline_of(kernel, case), way, contract.market(dtypes_of(kernel)))

    return check


def _goes_on(kernel: Kernel, case: Case, _: np.random.Generator) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.parquet"
        contract.goes_on(
            contract.pipeline_of(kernel, case),
            contract.market(dtypes_of(kernel)),
            lambda state: state.save(path),
            lambda text, frame: resume(text, path, frame),
        )


def resume(text: str, path: Path, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Go on from a file, knowing nothing else."""
    pipeline = Pipeline.from_json(text)
    run = pipeline.start(State.load(path))
    return [run(frame), run.flush()] if pipeline.emits else [run(frame)]
