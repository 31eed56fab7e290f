"""Results of any sort, where only pandas will do."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fintech_toolkit.frames.views import is_dask, sort_of


def in_pandas(frame: Any) -> pd.DataFrame:
    """Return a frame of any sort as one of pandas, computed."""
    frame = frame.compute() if is_dask(frame) else frame
    found: pd.DataFrame = frame if sort_of(frame) == "pandas" else frame.to_pandas()
    return found
