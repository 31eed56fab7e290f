"""What all tests share: real data, and the plugins that start real parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.kafka"]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recorded ticks and orders; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("FINTECH_TOOLKIT_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "market_ticks").is_dir():
        pytest.skip(f"no recorded ticks at {folder}; set FINTECH_TOOLKIT_REAL_DATA to their folder")
    return folder
