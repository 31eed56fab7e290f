"""How the package's loops are compiled: on first use, kept on disk where a folder can be written."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function with Numba, without the interpreter's lock and with NumPy's division by zero."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        # Numba refuses to cache where neither the package's folder nor the user's can be written.
        return njit(nogil=True, error_model="numpy")(function)
