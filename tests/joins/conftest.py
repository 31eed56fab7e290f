"""What several tests of joins start from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.joins.feeds import feed


@pytest.fixture
def both() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two feeds whose index is the order of rows in time."""
    rng = np.random.default_rng(4)
    left, right = (feed(rng, rows, 3).reset_index(drop=True) for rows in (40, 50))
    left.attrs = {"source": "left"}
    return left, right
