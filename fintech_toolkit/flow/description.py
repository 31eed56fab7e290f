"""What a dataflow is: operations on named inputs, each of which gives a new flow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from fintech_toolkit.errors import ParameterError, PipelineError
from fintech_toolkit.flow import flow_plan
from fintech_toolkit.flow.conditions import Conditions
from fintech_toolkit.flow.cross_sections import checked
from fintech_toolkit.flow.joining import JoinMethods
from fintech_toolkit.flow.nodes import names_of_columns, sources
from fintech_toolkit.flow.operations import Filter, Pipe, Rename, Select
from fintech_toolkit.flow.pipeline import Description
from fintech_toolkit.flow.serial import from_data, to_data
from fintech_toolkit.flow.windows import Windowed, Windows
from fintech_toolkit.scan.steps import Step


class FlowDescription(JoinMethods):
    """A tree of nodes, to which methods add. Immutable, pure data.

    `fintech_toolkit.Flow` is one that can be run.
    """

    def filter(self, where: Any) -> Self:
        """Keep rows that meet conditions.

        Parameters
        ----------
        where : tuple, list of tuples or list of lists of tuples
            Conditions such as ``("price", ">", 100)``, as filters of Parquet files are given in pandas, Arrow and
            Dask: all of a list must hold, of a list of lists all of one. They compare by ``==``, ``!=``, ``<``,
            ``<=``, ``>``, ``>=``, ``in`` and ``not in``, with values of the column's own type; whole numbers exactly.
            A row in which the value is missing (null or NaN) meets no condition, ``!=`` and ``not in`` included.

        Raises
        ------
        ParameterError
            If they are no conditions.
        """
        return type(self)(Filter(self.node, Conditions.checked(where)))

    def select(self, *columns: str) -> Self:
        """Keep some columns, in this order.

        Raises
        ------
        ParameterError
            If there is none, one is no name, or one is named twice.
        """
        return type(self)(Select(self.node, names_of_columns(columns, "select")))

    def rename(self, names: Mapping[str, str]) -> Self:
        """Call columns by other names: ``{"old": "new"}``.

        Raises
        ------
        ParameterError
            If it is no mapping of names.
        """
        if not isinstance(names, Mapping) or not names or not all(isinstance(n, str) for p in names.items() for n in p):
            raise ParameterError(f"rename({names!r}) needs a mapping of old names to new ones.")
        return type(self)(Rename(self.node, tuple(names.items())))

    def pipe(self, *steps: Step | Description, **options: Any) -> Self:
        """Run a pipeline, or steps as one; `flow | pipeline` is the same.

        Parameters
        ----------
        *steps : Pipeline or Steps
            A pipeline, or the steps of one.
        **options
            Of steps, those of a `Pipeline`.

        Raises
        ------
        PipelineError, ParameterError
            If they make no pipeline.
        """
        if len(steps) == 1 and isinstance(steps[0], Description) and not options:
            return type(self)(Pipe(self.node, steps[0]))
        return type(self)(Pipe(self.node, Description(*steps, **options)))  # type: ignore[arg-type]

    def __or__(self, other: Step | Description) -> Self:
        return self.pipe(other)

    def window(
        self,
        size: Any,
        *,
        every: Any = None,
        lateness: Any = 0,
        symbol: str | None = "symbol",
        time: str = "ts",
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Windowed[Self]:
        """Give a row for each window of time in which a symbol has rows; ``.agg(…)`` says what is in it.

        A window holds the rows at ``start <= time < end``; it starts at a whole multiple of `every` since 1970 UTC.

        On all there is, nothing is late. Frame by frame and live, windows are over once the latest time that any row
        has had, less `lateness`, has reached their end; a row of which a window is over by then is late: it is in no
        window, but in the run's ``late`` and counted in its ``counts``. As rows are judged one by one, it makes no
        difference how they are cut into frames; where none is late, the result is that of all there is.

        Parameters
        ----------
        size : str or duration
            How long a window is, such as ``"1min"``.
        every : str or duration, optional
            How far windows are apart, `size` if left out; not more than that.
        lateness : str or duration
            By how much a row may come after one of a later time.
        symbol : str or None
            The column of symbols; None: all rows are of one.
        time : str
            The column of event times.
        unit : {"s", "ms", "us", "ns"}, optional
            The unit of integer times.
        columns : dict of str to str, optional
            What columns are called, of steps too.

        Returns
        -------
        Windowed
            Its method `agg` gives the flow.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.

        Examples
        --------
        >>> import pandas as pd, fintech_toolkit as ft
        >>> ticks = {"symbol": "A", "ts": [5, 20, 70], "price": [10.0, 12.0, 11.0], "size": [1.0, 3.0, 1.0]}
        >>> minutes = ft.source("trades").window("1min", unit="s")
        >>> flow = minutes.agg(high=("price", "max"), n=("price", "count"), vwap=ft.vwap("price", "size"))
        >>> flow(trades=pd.DataFrame(ticks))
          symbol  ts  window_end  high  n  vwap  known_at
        0      A   0          60  12.0  2  11.5        60
        1      A  60         120  11.0  1  11.0       120
        """
        durations = {"size": size, "every": every, "lateness": lateness}
        return Windowed(type(self), self.node, Windows.checked(symbol, time, columns, unit, durations, "size"), columns)

    def session_window(
        self,
        gap: Any,
        *,
        lateness: Any = 0,
        symbol: str | None = "symbol",
        time: str = "ts",
        unit: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Windowed[Self]:
        """Give a row for each stretch in which a symbol has rows that are less than a gap apart.

        A window starts at the time of its first row, and ends when `gap` has gone by after its last; a row at that very
        time begins another. Frame by frame and live, rows before the latest time that any row has had, less `lateness`,
        are late. All else is as for `window`.

        Parameters
        ----------
        gap : str or duration
            How long nothing comes between two windows.
        lateness, symbol, time, unit, columns
            As for `window`.

        Returns
        -------
        Windowed
            Its method `agg` gives the flow.

        Raises
        ------
        ParameterError
            If an argument is not what it must be.
        """
        durations = {"gap": gap, "lateness": lateness}
        return Windowed(type(self), self.node, Windows.checked(symbol, time, columns, unit, durations, "gap"), columns)

    def cross_section(
        self,
        *steps: Step,
        every: Any = None,
        lateness: Any = 0,
        symbol: str = "symbol",
        time: str = "ts",
        unit: str | None = None,
    ) -> Self:
        """Compute something of all symbols of a time: ranks, z-scores, weights; an index, a breadth.

        Steps that give a value for each row append a column each. Rows keep their order on all there is; frame by frame
        and live they come out, in order of time, when their time is over. Steps that give one row for each time replace
        the rows by these. A time's rows are taken in the order of the symbols' names, so that no bit depends on the
        order in which they came. If a symbol has several rows at a time the last one counts, and the others get NaN.

        A time is over once the latest time that any row has had, less `lateness`, is past it (with `every`: has reached
        the bar's end); a row that comes after that is late, and in the run's ``late``, as of windows.

        Of a Kafka topic of several partitions it is over when each of them is past it: one that has had no row yet
        holds all times back (live, ``counts`` has the rows that wait; ``flush`` brings them out). Late is what comes
        too late in its own partition. All partitions must be read by one process: a second consumer in the group is an
        error. Rows of one time come by partition where they keep their order.

        Parameters
        ----------
        *steps : Step
            Such as ``ft.cs_rank("x")``; all that there is: ``ft.catalogue(search="cross")``.
        every : str or duration, optional
            Take bars of time, such as ``"1min"``, instead of single times: of each symbol its last row in the bar
            counts. There is a row for each symbol and bar then, in order of bars and of names, the columns of which are
            those of that last row; but its time is the bar's end. Bars start at whole multiples since 1970 UTC.
        lateness : str or duration
            By how much a row may come after one of a later time.
        symbol, time : str
            The columns of symbols and of event times.
        unit : {"s", "ms", "us", "ns"}, optional
            The unit of integer times.

        Returns
        -------
        Flow
            Where rows are made, by bars or one for each time, ``known_at`` is the time (or the bar's end) and the
            lateness after it, or when the last of the rows that count became known, if they say so and it is later.
            Rows that keep a ``known_at`` of their own get that, too.

        Raises
        ------
        ParameterError
            If an argument is not what it must be, or steps of both sorts are mixed.

        Examples
        --------
        >>> import pandas as pd, fintech_toolkit as ft
        >>> ticks = pd.DataFrame({"symbol": ["A", "B", "A", "B"], "ts": [5, 20, 70, 80], "x": [3.0, 1.0, 2.0, 2.0]})
        >>> bars = ft.source("ticks").cross_section(ft.cs_rank("x"), every="1min", unit="s")
        >>> bars(ticks=ticks)
          symbol   ts    x  cs_rank  known_at
        0      A   60  3.0      2.0        60
        1      B   60  1.0      1.0        60
        2      A  120  2.0      1.5       120
        3      B  120  2.0      1.5       120
        """
        return type(self)(checked(steps, every, lateness, symbol, time, unit)(self.node))

    @property
    def sources(self) -> list[str]:
        """The names of its inputs."""
        return sources(self.node)

    def to_json(self) -> str:
        """Return the flow as JSON, from which `from_json` makes it again."""
        return json.dumps(to_data(self.node), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the flow that `to_json` wrote.

        Raises
        ------
        PipelineError, KernelError
            If the text is no flow, or a kernel of the user's own is not loaded; nothing is imported for it.
        """
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, TypeError) as error:
            raise PipelineError(f"This is not a flow's JSON: {error}.") from error
        return cls(from_data(data))

    def to_yaml(self) -> str:
        """Return the flow as YAML, from which `from_yaml` makes it again."""
        import yaml

        return str(yaml.safe_dump(to_data(self.node), sort_keys=False))

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Return the flow that `to_yaml` wrote; errors are those of `from_json`."""
        import yaml

        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise PipelineError(f"This is not a flow's YAML: {error}.") from error
        return cls(from_data(data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlowDescription) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __repr__(self) -> str:
        return flow_plan.text(self.node)

    def _repr_html_(self) -> str:
        return flow_plan.html(self.node)
