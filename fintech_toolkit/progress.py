"""How far something long is, and how it is told in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many pieces of it are, and of how many."""


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give what is called with that: it draws a bar for each thing that is named, on standard error."""
    from rich import progress
    from rich.console import Console

    columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn()]
    columns += [progress.TimeElapsedColumn(), progress.TimeRemainingColumn()]
    with progress.Progress(*columns, console=Console(stderr=True)) as bars:
        shown: dict[str, progress.TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in shown:
                shown[what] = bars.add_task(what, total=of)
            bars.update(shown[what], completed=done, total=of)

        yield tell
