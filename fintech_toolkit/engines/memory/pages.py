"""Memory that the system has promised and not yet given: it comes page by page, when it is first written to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fintech_toolkit.scan.compilation import compile_cached
from fintech_toolkit.schema import Array

PAGE = 4096


@compile_cached
def _touch(memory):  # type: ignore[no-untyped-def]
    for k in range(0, memory.shape[0], PAGE):
        memory[k] = 0


def touch(arrays: Iterable[Array]) -> None:
    """Have the pages of new arrays given now: on a thread that would wait for the one that fills them otherwise."""
    for values in arrays:
        _touch(values.view(np.uint8))
