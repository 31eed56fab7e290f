"""What a compiled loop depends on: every function, helper and constant that it uses, digested."""

from __future__ import annotations

import dis
import inspect
from types import NoneType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher


def fingerprint(name: str, value: Any, seen: set[int], digest: Any) -> None:
    """Digest what a compiled function uses under a name: a constant, or a function and all that this one uses.

    Raises
    ------
    TypeError
        If it is neither, so that a change of it could go unnoticed.
    """
    if value is np or isinstance(value, type) or inspect.isbuiltin(value):
        return
    if isinstance(value, int | float | str | bytes | tuple | np.generic | np.dtype | NoneType):
        digest.update(repr((name, value)).encode())
        return
    function = value.py_func if isinstance(value, Dispatcher) else value
    if isinstance(value, Dispatcher):
        digest.update(repr(sorted(value.targetoptions.items())).encode())
    if not inspect.isfunction(function):
        raise TypeError(f"A kernel uses {name}, a {type(value).__name__}; it can use functions and plain constants.")
    digest.update(name.encode())
    if id(function) in seen:
        return
    seen.add(id(function))
    code = function.__code__
    if any(inspect.iscode(constant) for constant in code.co_consts):
        raise TypeError(f"{function.__qualname__} has a function or a comprehension within; kernels are plain.")
    digest.update(code.co_code + repr((code.co_consts, code.co_names, code.co_varnames)).encode())
    loaded = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    used = {key: function.__globals__[key] for key in loaded if key in function.__globals__}
    used |= {key: cell.cell_contents for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    used |= {f"{name}[{j}]": default for j, default in enumerate(function.__defaults__ or ())}
    for key, item in sorted(used.items()):
        fingerprint(key, item, seen, digest)
