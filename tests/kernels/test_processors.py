"""Kernels give the same bits on different processors: compiled for any and for this one, with its fused operations or
without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fintech_toolkit.kernels import registry
from tests.stress import dealt

PROGRAM = """
import hashlib, json, sys
import numpy as np
from fintech_toolkit.checking.ticks import WIDTH, columns_of, dtypes_of, ticks
from fintech_toolkit.kernels import registry

def digest(result):
    arrays = [array for array in (result if isinstance(result, tuple) else (result,)) if array.dtype != object]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()

share, shares = map(int, sys.argv[1:])
kernels = [kernel for name, kernel in registry().items() if name == kernel.name and kernel.tickwise]
found = {}
for kernel in kernels[share::shares]:
    frame = ticks(dtypes_of(kernel), rows=600, seed=11, symbols=3, missing=0.02)
    columns = [frame[column] for column in columns_of(kernel)]
    times = {} if "ts" in columns_of(kernel) else {"ts": frame["ts"]}
    symbols = {"symbol": frame["symbol"]} if kernel.emits else {}
    found[kernel.name] = digest(kernel(*columns, **times, **symbols, **kernel.cases[0]))
json.dump(found, sys.stdout)
"""


SHARES, OF_SHORT_FORM = 12, 1
"""Into how many the kernels are dealt out: one test would be a long wait."""


def digests(share: int, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(share), str(SHARES)],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("share", dealt(range(SHARES), OF_SHORT_FORM))
def test_every_kernel_gives_the_same_bits_on_another_processor(share: int, tmp_path: Path) -> None:
    here = digests(share)
    tickwise = [name for name, kernel in registry().items() if name == kernel.name and kernel.tickwise]
    assert list(here) == tickwise[share::SHARES]
    # LLVM may use what every x86-64 or arm64 has, and the C library none of its fused multiply-adds.
    plain = digests(
        share,
        NUMBA_CPU_NAME="generic",
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
        GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX2_Usable,-FMA_Usable",
    )
    assert plain == here
