"""Partitions of a topic that are read no further, because what has come of them waits for something else."""

from __future__ import annotations

from collections.abc import Mapping


class Holds:
    """Which partitions nodes hold, each for a reason of its own."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, int], tuple[str, int | None]] = {}

    def hold(self, by: object, partition: int, why: str, behind: int | None = None) -> None:
        """Have a partition read no further; where it waits for another one that is `behind`, while that has records to
        be read.
        """
        self._known[by, partition] = why, behind

    def let_go(self, by: object, partition: int) -> None:
        """Let a partition go on, as far as the same has held it."""
        self._known.pop((by, partition), None)

    def clear(self) -> None:
        """Let all go on."""
        self._known.clear()

    def now(self, lag: Mapping[int, int]) -> dict[int, str]:
        """Return why partitions are not to be read now, given how far each is from its end."""
        known = self._known.copy()
        waits = {partition for (_, partition), (_, behind) in known.items() if behind is not None}
        return {
            partition: why
            for (_, partition), (why, behind) in known.items()
            if behind is None or (lag.get(behind) != 0 and behind not in waits)  # or two could wait for each other
        }
