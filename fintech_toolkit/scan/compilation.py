"""How all that is compiled is compiled: once on a machine, where it can be kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core.runtime.nrt import rtsys

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
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        if function.__module__.startswith("fintech_toolkit."):
            _load_without_compiler(compiled)
        if signature is not None:
            compiled.compile(signature)
            compiled.disable_compile()
        return compiled
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


def _load_without_compiler(compiled: Any) -> None:
    """Have a function loaded from the cache without all that compiling would need.

    Numba imports that before it looks into its cache, which takes longer than all else in a process's first call.
    What is not in the cache is compiled, and then that is imported; so it is if anything is not as expected here, as
    with another Numba. Not for code of the user's own, which might refer to what only those imports define.
    """
    cache = getattr(compiled, "_cache", None)
    load = getattr(cache, "_load_overload", None)
    if cache is None or load is None:
        return
    as_ever = cache.load_overload

    def load_overload(signature: Any, context: Any) -> Any:
        try:
            rtsys.initialize(context)  # memory that a loop allocates
            return load(signature, context)
        except Exception:
            return as_ever(signature, context)

    cache.load_overload = load_overload
