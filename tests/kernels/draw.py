"""Hypothesis draws how many ticks and symbols, how dirty, and a seed; NumPy fills in the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from fintech_toolkit.checking.ticks import INFINITE_SHARES, MISSING_SHARES, ROWS, TIES, Ticks, ticks


def frames(dtypes: dict[str, np.dtype[Any]], symbols: int = 4) -> st.SearchStrategy[Ticks]:
    """Draw frames of ticks: short and long, clean and dirty, all at one instant or none."""
    return st.builds(
        ticks,
        st.just(dtypes),
        rows=st.sampled_from(ROWS),
        seed=st.integers(0, 2**32 - 1),
        symbols=st.integers(1, symbols),
        missing=st.sampled_from(MISSING_SHARES),
        infinite=st.sampled_from(INFINITE_SHARES),
        ties=st.sampled_from(TIES),
    )


SHARES = st.lists(st.floats(0, 1), max_size=5)
