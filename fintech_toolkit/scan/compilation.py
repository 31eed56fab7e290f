"""How all that is compiled is compiled: once on a machine, where it can be kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numba

_warned_about_cache = False


def compile_cached(function: Callable[..., Any], signature: Any = None, *, by_address: bool = False) -> Any:
    """Compile with Numba's on-disk cache; without it, and saying so once, where no cache folder can be written.

    Without a signature the function must be called with one set of types only: Numba confuses what it cached for
    several if processes save them at the same moment.

    What is called `by_address` has one, and no Python around it.

    What stands in no file, a notebook's cell or what came to a worker, is kept where IPython keeps it, or not at all.
    """
    global _warned_about_cache  # noqa: PLW0603 - a warning that is given once a process
    try:
        if by_address:
            return numba.cfunc(signature, cache=True, nogil=True, error_model="numpy")(function)
        return numba.njit(signature, cache=True, nogil=True, error_model="numpy")(function)
    except (RuntimeError, OSError) as error:
        written = os.path.exists(function.__code__.co_filename)
        if written and "cannot cache" not in str(error):
            raise
        if written and not _warned_about_cache:
            _warned_about_cache = True
            warnings.warn(
                "Compiled kernels cannot be kept on disk, so each process compiles anew (about a second a kernel): "
                "no cache folder is writable. Set NUMBA_CACHE_DIR to a folder that is.",
                stacklevel=2,
            )
        compiler = numba.cfunc if by_address else numba.njit
        return compiler(signature, nogil=True, error_model="numpy")(function)
