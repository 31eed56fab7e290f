"""Where and why a computation runs, as it is told before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

AS_THEY_WERE = "as they were"


@dataclass(frozen=True)
class Plan:
    """How a computation runs on a frame. Prints itself.

    Attributes
    ----------
    name : str
        The plan.
    reason : str
        Why this one.
    how : str
        Where the work is done, and what waits for what.
    chunks : str
        What the frame is cut into.
    rows : str
        The order in which rows come back.
    steps : tuple of (str, str)
        Each step, and where it runs.
    """

    name: str
    reason: str
    how: str
    chunks: str
    rows: str
    steps: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        lines = [
            f"Plan: {self.name} ({self.chunks})",
            f"Why: {self.reason}.",
            f"How: {self.how}.",
            f"Rows: {self.rows}.",
        ]
        width = max((len(step) for step, _ in self.steps), default=0)
        return "\n".join([*lines, *(f"  {step:<{width}}  {where}" for step, where in self.steps)])

    def _repr_html_(self) -> str:
        head = (
            f"<p><b>{escape(self.name)}</b>, {escape(self.chunks)}: {escape(self.how)}.<br>"
            f"Why: {escape(self.reason)}.<br>Rows: {escape(self.rows)}.</p>"
        )
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(step)}</td><td style='text-align:left'>{escape(where)}</td></tr>"
            for step, where in self.steps
        )
        titles = "<tr><th style='text-align:left'>step</th><th style='text-align:left'>runs</th></tr>"
        return head + (f"<table><thead>{titles}</thead><tbody>{rows}</tbody></table>" if rows else "")


def how_many(number: int, what: str) -> str:
    """Say how many of a thing there are.

    Examples
    --------
    >>> how_many(1, "partition"), how_many(4_000, "partition")
    ('1 partition', '4,000 partitions')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
