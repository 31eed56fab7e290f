"""Importing the package: nothing is compiled, and little is added to what its foundations cost."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

AT_MOST = 0.3
REPEATS = 5

COST = """
import time, dask.dataframe, numba, pyarrow
start = time.process_time()  # whatever else the machine does
import fintech_toolkit
print(time.process_time() - start)
"""

COMPILES = """
import numba
from numba.core import event

compiled = []
with event.install_listener("numba:compile", type("Listener", (event.Listener,), {
    "on_start": lambda self, e: compiled.append(e.data["dispatcher"].py_func.__qualname__),
    "on_end": lambda self, e: None,
})()):
    import fintech_toolkit as ft
    assert not compiled, f"compiled at import: {compiled}"
    ft.midprice([1.0], [2.0])
    assert compiled, "the listener hears nothing"
"""


def python(script: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_compiles_nothing(tmp_path: Path) -> None:
    python(COMPILES, NUMBA_CACHE_DIR=str(tmp_path))


def test_to_look_kernels_up_loads_no_compiled_code() -> None:
    script = "import sys, fintech_toolkit as ft; ft.catalogue(); {}; print('numba.cpython.setobj' in sys.modules)"
    assert [python(script.format(then)).strip() for then in ("pass", "ft.midprice([1.0], [2.0])")] == ["False", "True"]


def test_import_adds_little_to_its_foundations() -> None:
    """The one promise about time that is tested: a median, far from its bound (about 0.04 s where it was written)."""
    costs = [float(python(COST)) for _ in range(REPEATS)]
    assert statistics.median(costs) <= AT_MOST, costs
