"""The ticks that tests draw: a seed that fails here fails everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DIGEST = """
import hashlib
from fintech_toolkit import kernels
from fintech_toolkit.checking.ticks import dtypes_of, ticks

digest = hashlib.sha256()
for name, kernel in kernels.registry().items():
    if kernel.tickwise:
        drawn = ticks(dtypes_of(kernel), 30, seed=1, symbols=3, missing=0.1, infinite=0.1)
        for column, values in drawn.items():
            digest.update(repr((name, column, values.tolist())).encode())
print(digest.hexdigest())
"""


def test_a_seed_draws_the_same_ticks_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
