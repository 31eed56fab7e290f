"""What a compiled loop depends on: every function, helper and constant that it uses, digested."""

from __future__ import annotations

import dis
import hashlib
import inspect
import math
import sys
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from fintech_toolkit.errors import KernelError
from fintech_toolkit.scan import intrinsics

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

ROLES = ("function", "enter", "leave", "slide", "prepare", "flush", "series")
"""The functions of a kernel."""

DECLARED = ("kind", "inputs", "outputs", "state", "slots", "memory", "enters", "skips_missing", "drifts", "integers")
"""What is declared besides, and changes numbers."""


def digest_of(kernel: Kernel) -> str:
    """Return what tells a kernel of the user's own from others of its name: all that it is made of, documentation
    aside, and the version of Python whose bytecode that is. What it uses of this package counts by name.

    Raises
    ------
    KernelError
        If it uses what cannot be part of that.
    """
    digest = hashlib.sha256(repr([getattr(kernel, name) for name in DECLARED]).encode())
    digest.update(repr([replace(parameter, doc="") for parameter in kernel.parameters]).encode())
    seen: set[int] = set()
    for role in ROLES:
        if (function := getattr(kernel, role)) is not None:
            try:
                fingerprint(role, function, seen, digest, apart="fintech_toolkit.")
            except KernelError as error:
                raise KernelError(f"{kernel.name} cannot be compiled. {error}") from None
    return f"py{sys.version_info.major}.{sys.version_info.minor}-{digest.hexdigest()[:16]}"


def fingerprint(name: str, value: Any, seen: set[int], digest: Any, apart: str | None = None) -> None:
    """Digest what a compiled function uses under a name: a constant, or a function and all that this one uses; of
    functions of modules whose names begin with `apart` only what they are called.

    Raises
    ------
    KernelError
        If it is neither, so that a change of it could go unnoticed.
    """
    if value is np or value is math:
        return
    if isinstance(value, _Intrinsic) and value._defn.__module__ == intrinsics.__name__:
        digest.update(name.encode())  # a loop's name stands for the text of all of them besides
        return
    if isinstance(value, type | np.ufunc) or inspect.isbuiltin(value):
        digest.update(repr((name, getattr(value, "__module__", ""), value.__name__)).encode())
        return
    if isinstance(value, int | float | complex | str | bytes | np.generic | np.dtype | NoneType):
        digest.update(repr((name, value)).encode())
        return
    if isinstance(value, tuple):
        digest.update(repr((name, len(value))).encode())
        for j, item in enumerate(value):
            fingerprint(f"{name}[{j}]", item, seen, digest, apart)
        return
    function = value.py_func if isinstance(value, Dispatcher) else value
    if isinstance(value, Dispatcher):
        digest.update(repr(sorted(value.targetoptions.items())).encode())
    if not inspect.isfunction(function):
        raise KernelError(
            f"A kernel uses {name}, a {type(value).__name__}; it can use functions and plain constants, "
            f"{_instead(value)}."
        )
    digest.update(name.encode())
    if apart is not None and function.__module__.startswith(apart):
        digest.update(f"{function.__module__}.{function.__qualname__}".encode())
        return
    if id(function) in seen:
        return
    seen.add(id(function))
    code = function.__code__
    if any(inspect.iscode(constant) for constant in code.co_consts):
        raise KernelError(f"{function.__qualname__} has a function or a comprehension within; write a loop.")
    constants = code.co_consts[1:] if code.co_consts[:1] == (function.__doc__,) else code.co_consts
    digest.update(code.co_code + repr((constants, code.co_names, code.co_varnames)).encode())
    loaded = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    used = {key: function.__globals__[key] for key in loaded if key in function.__globals__}
    used |= {key: cell.cell_contents for key, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)}
    used |= {f"{name}[{j}]": default for j, default in enumerate(function.__defaults__ or ())}
    for key, item in sorted(used.items()):
        fingerprint(key, item, seen, digest, apart)


def _instead(value: Any) -> str:
    if inspect.ismodule(value):
        return f"np and math: import the function that you use, from {value.__name__} import …, and mark it @helper"
    if isinstance(value, list | np.ndarray | set | dict):
        return "as a tuple is"
    return "not objects: pass what it holds as parameters or state"
