"""What tests of cross-sections share: markets of few symbols, and what each kernel must give, found by pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import fintech_toolkit as ft
from fintech_toolkit import kernels
from fintech_toolkit.scan.across import Columns
from fintech_toolkit.scan.declaration import Kernel
from fintech_toolkit.scan.steps import Step
from tests.frames import START

ACROSS = {name: kernel for name, kernel in kernels.registry().items() if kernel.kind == "cross" and name == kernel.name}
CASES = [
    (kernel.step("x", **case).named(f"out_{number}"), kernel, case)
    for number, (kernel, case) in enumerate((kernel, case) for kernel in ACROSS.values() for case in kernel.cases)
]
ROWS = [step for step, kernel, _ in CASES if not kernel.per_stamp]
STAMPS = [step for step, kernel, _ in CASES if kernel.per_stamp]


def market(stamps: int = 24, symbols: int = 9, seed: int = 0, *, present: float = 0.85) -> pd.DataFrame:
    """Rows in time order, those of a time in any order, each symbol once at most; ties, NaN and infinities among them.

    Ids are greater than float64 can hold, and the index counts down.
    """
    rng = np.random.default_rng(seed)
    here = rng.random((stamps, symbols)) < present
    pairs = np.array([(t, s) for t in range(stamps) for s in rng.permutation(symbols) if here[t, s]]).reshape(-1, 2)
    rows = len(pairs)
    x = np.round(rng.normal(size=rows), 1)
    x[rng.random(rows) < 0.1] = np.nan
    x[rng.random(rows) < 0.02] = np.inf
    x[pairs[:, 0] == 3] = 0.5
    x[pairs[:, 0] == 5] = np.nan
    names = np.array([f"S{37 * s % 97:02d}" for s in range(symbols)])  # whose order is not that in which they come
    return pd.DataFrame(
        {
            "symbol": pd.array(names[pairs[:, 1]], dtype="str"),
            "ts": pd.to_datetime(START + pairs[:, 0] * 10**9, unit="ns", utc=True),
            "id": 2**62 + np.arange(rows),
            "x": x,
            "beta": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(1, 0.3, rows)),
            "size": rng.integers(1, 9, rows).astype(float),
            "sector": pd.array(rng.choice(["tech", "oil", None], rows, p=[0.5, 0.4, 0.1]), dtype="str"),
        },
        index=np.arange(rows)[::-1],
    )


def expected(frame: pd.DataFrame, kernel: Kernel, case: dict[str, Any]) -> pd.Series[Any]:
    """What the kernel's oracle gives of the rows of each time, in the order of names: by row, or by time."""
    (oracle,) = kernel.oracles
    further = [parameter for parameter in kernel.parameters if isinstance(parameter, Columns)]
    options = {name: value for name, value in case.items() if name not in {each.name for each in further}}
    panel = frame.pivot(index="ts", columns="symbol", values="x")
    found = []
    for number, (stamp, rows) in enumerate(frame.groupby("ts")):
        own = rows.sort_values("symbol")
        if "window" in options:
            window = panel.iloc[max(number + 1 - options["window"], 0) : number + 1].to_numpy()
            found.append(pd.Series([oracle(window, **options)], index=[stamp]))
            continue
        more: dict[str, Any] = {}
        for parameter in further:
            names = list(parameter.names(case.get(parameter.name)))
            if parameter.many:
                more[parameter.name] = own[names].to_numpy().T if names else np.empty((0, len(own)))
            else:
                more[parameter.name] = own[names[0]].to_numpy() if names else np.empty(0)
        values = oracle(own["x"].to_numpy(), **more, **options)
        found.append(pd.Series(values, index=[stamp] if kernel.per_stamp else own.index))
    result = pd.concat(found)
    return result if kernel.per_stamp else result.loc[frame.index]


def flows(*, lateness: str = "0s") -> dict[str, ft.Flow]:
    """Flows of all kernels: a value a row, a row a time, and both by bars."""

    def made(steps: list[Step], every: str | None) -> ft.Flow:
        return ft.cross_section(*steps, every=every, lateness=lateness)

    return {
        "rows": made(ROWS, None),
        "stamps": made(STAMPS, None),
        "rows of bars": made(ROWS, "3s"),
        "stamps of bars": made(STAMPS, "3s"),
    }


def outputs(frame: Any) -> list[str]:
    """The columns that steps have given."""
    return [name for name in frame.columns if name.startswith("out_")]
