"""A run of a pipeline over Dask frames: lazy results, and the lazy state that they lead to."""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call,attr-defined"

from __future__ import annotations

from typing import Any

from dask.dataframe.dask_expr import new_collection
from dask.dataframe.dask_expr._collection import Scalar

from fintech_toolkit.engines.dask import plans
from fintech_toolkit.engines.dask.chain import LazyState
from fintech_toolkit.engines.memory.run import Run
from fintech_toolkit.flow.pipeline import Description


class DaskRun:
    """A pipeline in progress over Dask frames: ``run(ddf)`` continues from where the last frame will have left.

    `Pipeline.start_dask` makes one. Nothing is computed until somebody says so, and then from the state that the run
    began with: ``dask.compute(result, run.state)`` scans each frame once. To let go of the frames before, begin another
    run from ``run.state.compute()``; a `Run` in memory begins from that, too.

    Parameters
    ----------
    pipeline : Pipeline
        What to run.
    state : State or lazy state, optional
        Where to continue, such as the `state` of another run. By default nothing was seen yet.

    Attributes
    ----------
    state : lazy state
        After the last frame; ``run.state.compute()`` is a `State`. What was taken from here stays what it is: after a
        frame that turns out to be wrong, one begins another run from the lazy state before it.

    Raises
    ------
    StateError
        If it is no state, or belongs to another pipeline.

    Examples
    --------
    >>> import dask, dask.dataframe as dd, pandas as pd, fintech_toolkit as ft
    >>> run = ft.Pipeline(ft.diff("price"), time=None).start_dask()
    >>> monday = run(dd.from_pandas(pd.DataFrame({"symbol": ["A", "B"], "price": [10.0, 20.0]})))
    >>> tuesday = run(dd.from_pandas(pd.DataFrame({"symbol": ["B", "A"], "price": [21.0, 13.0]})))
    >>> rows, state = dask.compute(tuesday, run.state)
    >>> rows["diff"].tolist(), state.symbols
    ([1.0, 3.0], ['A', 'B'])
    """

    def __init__(self, pipeline: Description, state: Any = None) -> None:
        self.pipeline = pipeline
        self.state: Any = state if isinstance(state, Scalar) else new_collection(LazyState(Run(pipeline, state).state))

    def __call__(self, frame: Any, *, plan: str | None = None) -> Any:
        """Return the lazy frame with the steps' columns appended, or the rows that the last step emits.

        Parameters and errors are those of a call of the pipeline; what is wrong with rows raises when it is computed.
        """
        result, self.state = plans.apply(self.pipeline, frame, state=self.state, plan=plan)
        return result
