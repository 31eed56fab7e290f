"""Importing the package: nothing is compiled, and little is added to what its foundations cost."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import fintech_toolkit as ft

AT_MOST = 0.35
REPEATS = 3

SHARE = """
import time
begun = time.process_time()  # a share of it is the same whatever else the machine does
import dask.dataframe, numba, pyarrow
start = time.process_time()
import fintech_toolkit
print((time.process_time() - start) / (start - begun))
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


def test_a_kernel_is_imported_when_it_is_used() -> None:
    script = """
import sys, fintech_toolkit as ft
def loaded():
    names = [name for name in sys.modules if name.startswith("fintech_toolkit.kernels.") and name.count(".") > 2]
    return " ".join(sorted(name.rpartition(".")[2] for name in names))
print(loaded())
"ewma" in dir(ft), hasattr(ft, "microprize"), ft.ewma
print(loaded())
@ft.tick_kernel(reads="x", gives="twice")
def twice(x):
    return 2 * x
ft.twice, ft.sma
print(loaded())
ft.catalogue()
print(len(loaded().split()) > 50)
"""
    assert python(script).splitlines() == ["", "exponential", "block_sums exponential moments whole_series", "True"]


def test_the_command_line_waits_for_nothing_that_it_may_not_need() -> None:
    """Statistics and plots take seconds to import: whoever computes or draws some does it."""
    script = """
import sys, fintech_toolkit.cli
print({"scipy.stats", "holoviews", "panel", "bokeh", "distributed", "confluent_kafka"} & sys.modules.keys())
"""
    assert python(script) == "set()\n"


AS_IT_IS = ""
IT_FAILS = "compilation.rtsys = None"
IT_IS_MISSING = """
Cache.load_otherwise = Cache._load_overload
Cache.load_overload = lambda self, signature, context: (context.refresh(), self.load_otherwise(signature, context))[1]
del Cache._load_overload
"""


@pytest.mark.parametrize(("numba", "compiler"), [(AS_IT_IS, False), (IT_FAILS, True), (IT_IS_MISSING, True)])
def test_what_is_on_disk_is_loaded_without_the_compiler(numba: str, compiler: bool) -> None:
    """Nor is that needed to look kernels up. Where Numba is not as it is now, things are loaded as Numba does it."""
    frame = {"symbol": ["A", "B", "A"], "ts": [1, 2, 3], "mid": [1.0, 2.0, 3.0]}
    script = f"""
import sys
from numba.core.caching import Cache
from fintech_toolkit.scan import compilation
{numba}
import fintech_toolkit as ft
ft.catalogue()
before = "numba.np.arraymath" in sys.modules
print(ft.Pipeline(ft.ewma("mid", alpha=0.5, adjust=False))({frame})["ewma"].tolist())
print(before, "numba.np.arraymath" in sys.modules)
"""
    ft.Pipeline(ft.ewma("mid", alpha=0.5, adjust=False))(frame)  # puts all that such a frame needs on disk
    assert python(script).splitlines() == ["[1.0, 2.0, 2.0]", f"False {compiler}"]


def test_import_adds_little_to_its_foundations() -> None:
    """The one promise about time that is tested: a median, far from its bound (about 0.2 where it was written)."""
    shares = [float(python(SHARE)) for _ in range(REPEATS)]
    assert statistics.median(shares) <= AT_MOST, shares
