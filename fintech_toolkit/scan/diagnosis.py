"""What Numba says of a kernel that it cannot compile, told at the line of the kernel that it is about."""

from __future__ import annotations

import dis
import linecache
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fintech_toolkit.errors import KernelError
from fintech_toolkit.scan.fingerprint import ROLES

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

PLACE = re.compile(r'File "(.+?)", line (\d+):|Raised from (.+?) \((\d+)\)|Raised from None')
WITHIN = "resolving callee type: type("
"""What Numba says where the fault is in a function that the loop calls, and not in how the loop calls it."""

RETURNED = re.compile(r"setitem\(array\(.+?\), u?int64, (.+)\)$", re.MULTILINE)

ADVICE = (
    ("<class 'function'>", "Mark the function with @helper, from fintech_toolkit.authoring."),
    ("t unify", "Give the variable, or what is returned, one type everywhere: 0.0, not 0, if it is a float elsewhere."),
    ("Unknown attribute", "A kernel sees numbers, one tick at a time: no arrays, frames or objects."),
    ("f-string", "A kernel has no strings: return a number, and write it out elsewhere."),
    ("opcode (FORMAT_", "A kernel has no strings: return a number, and write it out elsewhere."),  # since Python 3.13
    ("Exception object", "Test for what would go wrong, such as a zero divisor: compiled code does not raise for it."),
    ("context manager", "A kernel opens nothing: it sees its state, its columns and its parameters."),
    ("STORE_GLOBAL", "What lasts from tick to tick is state: name it in state=[…], and write s.… = …."),
    ("has no attribute", "NumPy and math have other names for much of what there is."),
    ("is not defined", "Define it above the kernel, or import it."),
)
"""What to write instead, by what Numba says."""


def diagnosed(kernel: Kernel, error: Exception) -> KernelError:
    """Return the error to raise in place of what came out of compiling a kernel."""
    said = str(error)
    reason, place = _reason(said), _place(said)
    advice = next((text for key, text in ADVICE if key in said), "numba.pydata.org lists what compiled code can do.")
    returned = RETURNED.search(said)
    if isinstance(error, KeyError) and error.args:
        reason = f"there is no field {error.args[0]!r} in the state or the row"
        place = _line_of(kernel, str(error.args[0]))
        advice = f"Name it in state=[({error.args[0]!r}, 'f8'), …], or in gives= for a field of a row."
    elif WITHIN not in said and returned:
        reason = f"it returns {returned[1]}, which does not fit gives={kernel.output_names(1)}"
        place = None
        advice = "Every path through the function returns one number for each column that it gives."
    elif named := re.search(r"name '(\w+)' is not defined|module '\w+' has no attribute '(\w+)'", said):
        place = _line_of(kernel, named[1] or named[2]) or place
    return KernelError(f"{kernel.name} cannot be compiled.\n{_shown(kernel, place)}\n{reason}. {advice}")


def _reason(said: str) -> str:
    """Return what Numba says first that is not about how it works."""
    lines = [line.strip() for line in PLACE.sub("", said).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Failed in nopython", "During:"))]
    reason = " ".join(lines[:2]) if lines and lines[0].endswith(":") else next(iter(lines), "Numba does not say why")
    return re.sub(r", defined at .+? \(\d+\)", "", reason).rstrip(". ")


def _place(said: str) -> tuple[str, int] | None:
    """Return the innermost file and line that Numba names, if it is one of the kernel's and not of its loop."""
    found = PLACE.search(said)
    if found is None or found[0] == "Raised from None" or (found[1] and WITHIN not in said):
        return None
    return found[1] or found[3], int(found[2] or found[4])


def _functions(kernel: Kernel) -> Iterator[Callable[..., Any]]:
    for role in ROLES:
        function = getattr(kernel, role)
        if function is not None:
            yield getattr(function, "py_func", function)


def _line_of(kernel: Kernel, name: str) -> tuple[str, int] | None:
    """Return where the kernel's functions first use a name."""
    for function in _functions(kernel):
        line = function.__code__.co_firstlineno
        for instruction in dis.get_instructions(function):
            line = (instruction.positions and instruction.positions.lineno) or line
            if instruction.argval == name and instruction.opname.startswith(("LOAD_", "STORE_")):
                return function.__code__.co_filename, line
    return None


def _shown(kernel: Kernel, place: tuple[str, int] | None) -> str:
    """Return a place and the line that stands there; that of the kernel's function if there is none."""
    code = kernel.function.__code__
    file, line = place or (code.co_filename, code.co_firstlineno)
    # Numba gives files relative to the folder that it is in.
    known = {os.path.basename(f.__code__.co_filename): f.__code__.co_filename for f in _functions(kernel)}
    file = known.get(os.path.basename(file), os.path.abspath(file))
    source = linecache.getline(file, line).strip()
    where = f'File "{file}", line {line}' if os.path.exists(file) else f"Line {line} of its cell"
    return f"  {where}\n    {source}" if source else f"  {where}"
