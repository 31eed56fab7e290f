"""What a dashboard shows, as data: a panel for each plot."""

from __future__ import annotations

from dataclasses import dataclass

from fintech_toolkit.errors import ParameterError, did_you_mean

KINDS = ("lines", "trend", "signed")


@dataclass(frozen=True)
class Panel:
    """One plot along time: which columns it draws, and how.

    Attributes
    ----------
    columns : tuple of str
        The columns of numbers; a single name is one. NaN is a gap.
    kind : {"lines", "trend", "signed"}
        A line for each column; the first column as dots and the others as lines; or one column as an area above and
        below zero.
    unit : str
        What the values are counted in, for the label of the axis.
    title : str
        Above the plot; the names of the columns, if left out.
    labels : tuple of str
        What the columns are called in the legend, or, if `kind` is "signed", what is above and what is below zero.
    height : int
        In pixels.

    Raises
    ------
    ParameterError
        If it is none of these.

    Examples
    --------
    >>> Panel("rsi", unit="0 to 100")
    Panel(columns=('rsi',), kind='lines', unit='0 to 100', title='rsi', labels=('rsi',), height=220)
    """

    columns: tuple[str, ...]
    kind: str = "lines"
    unit: str = ""
    title: str = ""
    labels: tuple[str, ...] = ()
    height: int = 220

    def __post_init__(self) -> None:
        columns = (self.columns,) if isinstance(self.columns, str) else tuple(self.columns)
        if self.kind not in KINDS:
            raise ParameterError(
                f"kind={self.kind!r} must be 'lines', 'trend' or 'signed'. {did_you_mean(str(self.kind), KINDS)}"
            )
        if not columns or not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
            raise ParameterError(f"columns={self.columns!r} must be the names of columns, each once.")
        if self.kind == "signed" and len(columns) > 1:
            raise ParameterError(f"kind='signed' draws one column, not {columns!r}; give each a panel of its own.")
        if self.kind == "trend" and len(columns) == 1:
            raise ParameterError(f"kind='trend' draws dots and lines through them: {columns!r} are no two columns.")
        named = (f"{columns[0]} > 0", f"{columns[0]} < 0") if self.kind == "signed" else columns
        labels = tuple(self.labels) or named
        if len(labels) != len(named):
            raise ParameterError(f"labels={self.labels!r} must be {len(named)}: for {', '.join(named)}.")
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "title", self.title or ", ".join(columns))


def quote_panels(price_unit: str = "price", size_unit: str = "size") -> list[Panel]:
    """Return the panels of enriched quotes: mid and spread with their EWMA, and the order-flow imbalance.

    Parameters
    ----------
    price_unit, size_unit : str
        What prices and sizes are counted in.

    Returns
    -------
    list of Panel
        Of the columns `mid`, `mid_ewma`, `spread_bps`, `spread_ewma` (in basis points) and `ofi_mean`.

    Examples
    --------
    >>> [panel.columns for panel in quote_panels()]
    [('mid', 'mid_ewma'), ('spread_bps', 'spread_ewma'), ('ofi_mean',)]
    """
    trend = ("Quotes", "EWMA")
    flow = "Order-flow imbalance, mean of the last quotes"
    return [
        Panel(("mid", "mid_ewma"), "trend", price_unit, "Mid of each quote, and its EWMA", trend, 330),
        Panel(("spread_bps", "spread_ewma"), "trend", "bp of mid", "Quoted spread, and its EWMA", trend, 190),
        Panel(("ofi_mean",), "signed", size_unit, flow, ("Buying", "Selling")),
    ]
