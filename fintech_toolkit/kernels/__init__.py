"""The kernels, found by their declarations in this package: a new one is a function in a file of its family, and
nothing else.

Beside them stand the user's own, wherever they are declared. These are told apart by digests, so that no name can stand
for other numbers than those that it stood for where a state or a pipeline was written.
"""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pandas as pd

from fintech_toolkit.errors import KernelError, did_you_mean
from fintech_toolkit.scan.declaration import Kernel

GROUP = "fintech_toolkit.kernels"
"""The group of entry points in which a package offers kernels, each under its name."""

DECLARATION = re.compile(r"^@\w+_kernel\((.*?)^def (\w+)\(", re.MULTILINE | re.DOTALL)
ALIASES, QUOTED = re.compile(r"\baliases=\[(.*?)\]", re.DOTALL), re.compile(r'"(\w+)"')
"""How kernels of the library are declared."""

_own: dict[str, Kernel] = {}


@dataclass(frozen=True)
class Place:
    """Where a kernel is declared: its module, and its name there."""

    module: str
    name: str

    def load(self) -> Kernel:
        """Import it."""
        kernel: Kernel = getattr(importlib.import_module(self.module), self.name)
        return kernel


def read_declarations(folder: Path, package: str) -> dict[str, Place]:
    """Return where each kernel of a package is declared, by all its public names; none of its modules is imported.

    Raises
    ------
    TypeError
        If two kernels claim one name.
    """
    found: dict[str, Place] = {}
    for path in sorted(folder.glob("*/*.py")):
        for declared, function in DECLARATION.findall(path.read_text(encoding="utf-8")):
            place = Place(f"{package}.{path.parent.name}.{path.stem}", function)
            for name in (function, *(alias for given in ALIASES.findall(declared) for alias in QUOTED.findall(given))):
                if found.setdefault(name, place) is not place:
                    raise TypeError(f"Two kernels are called {name}: {found[name].module} and {place.module}.")
    return dict(sorted(found.items()))


@cache
def places() -> dict[str, Place]:
    """Return where each kernel of the library is declared, by its public names, aliases included.

    A family takes a while to import, and all of them take longer than whatever somebody wants of one of them. So a
    kernel is found by the text of its declaration, and imported when it is used.
    """
    return read_declarations(Path(__file__).parent, __name__)


@cache
def registry() -> dict[str, Kernel]:
    """Return every kernel by its public name, aliases included; all are imported for that."""
    return {name: place.load() for name, place in places().items()}


def get(name: str) -> Kernel:
    """Return a kernel by name.

    Examples
    --------
    >>> get("ewma").family
    'statistics'
    >>> get("microprize")
    Traceback (most recent call last):
        ...
    AttributeError: There is no kernel 'microprize'. Did you mean 'microprice'?
    """
    place = places().get(name)
    if place is None:
        raise AttributeError(f"There is no kernel {name!r}. {did_you_mean(name, places())}")
    return place.load()


def declare(kernel: Kernel) -> None:
    """Take note of a kernel of the user's own; it replaces one of its name, as when a cell is run again.

    Raises
    ------
    KernelError
        If a kernel of the library has its name.
    """
    for name in (kernel.name, *kernel.aliases):
        if name in places():
            raise KernelError(f"{name} is a kernel of the library, ft.{name}; give yours another name.")
        _own[name] = kernel


def offered() -> dict[str, EntryPoint]:
    """Return the kernels that installed packages offer; none is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def own() -> dict[str, Kernel]:
    """Return the user's own kernels by name: those declared so far, and those that packages offer."""
    for name, point in offered().items():
        if name not in _own:
            _load(name, point)
    return dict(sorted(_own.items()))


def _load(name: str, point: EntryPoint) -> Kernel:
    kernel = point.load()
    if not isinstance(kernel, Kernel) or name not in (kernel.name, *kernel.aliases):
        raise KernelError(f"The entry point {name} = {point.value} is not a kernel called {name}.")
    declare(kernel)
    return kernel


def find(name: str) -> Kernel:
    """Return a kernel of the library, or else one of the user's own.

    Examples
    --------
    >>> find("ewma") is get("ewma")
    True
    """
    if name in places():
        return get(name)
    if name in _own:
        return _own[name]
    point = offered().get(name)
    return _load(name, point) if point else get(name)


def loaded(name: str, digest: str | None) -> Kernel:
    """Return the kernel that something was written with: of the library, or one of the user's own if there is a digest.
    Nothing of the user's is imported for that.

    Raises
    ------
    AttributeError, KernelError
        If it is not there, or not loaded, or it is another by now.
    """
    if digest is None:
        return get(name)
    if (name, digest) in Kernel.known:
        return Kernel.known[name, digest]
    declared = _own.get(name)
    if declared is None:
        point = offered().get(name)
        how = f"a package offers it: import {point.module}" if point else "run its cell, or import its module"
        raise KernelError(f"The kernel {name!r}, one of your own ({digest}), is not loaded; {how}, first.")
    for variant in (declared, *declared.twins.values()):
        if variant.digest == digest:
            return variant
    version = digest.partition("-")[0]
    here = f"py{sys.version_info.major}.{sys.version_info.minor}"
    why = "its code, a helper or a constant differs" if version == here else f"that was {version}, this is {here}"
    raise KernelError(
        f"The kernel {name!r} was {digest} where this was written; the one that is loaded is {declared.digest}: {why}. "
        "Load the kernel as it was, or begin afresh."
    )


def catalogue(search: str | None = None) -> pd.DataFrame:
    """Return kernels as a frame, one row per kernel: those of the library, then the user's own.

    Parameters
    ----------
    search : str, optional
        Only kernels that have this in their name, other names, family, columns, reference or documentation, in
        whatever case.

    Returns
    -------
    DataFrame
        Indexed by name: family (``"own"`` for the user's), kind, stateless, reads, gives, parameters, warmup,
        reference.

    Examples
    --------
    >>> catalogue().loc["ewma", ["family", "kind", "gives"]].tolist()
    ['statistics', 'tick', 'ewma']
    >>> catalogue(search="Wilder").index.tolist()
    ['adx', 'atr', 'natr', 'rsi']
    """
    rows = [
        {
            "name": name,
            "family": kernel.family,
            "kind": kernel.kind,
            "stateless": kernel.stateless,
            "reads": ", ".join(map(str, kernel.inputs)),
            "gives": ", ".join(kernel.output_names(1)),
            "parameters": ", ".join(kernel.keywords),
            "warmup": kernel.warmup,
            "reference": kernel.source,
        }
        for name, kernel in (registry() | own()).items()
        if name == kernel.name
    ]
    frame = pd.DataFrame(rows).set_index("name")
    if search is None:
        return frame
    return frame[[search.casefold() in words(find(name)) for name in frame.index]]


def words(kernel: Kernel) -> str:
    """Return what a search looks through, all of it in lower case."""
    columns = [*map(str, kernel.inputs), *kernel.output_names(1), *kernel.keywords]
    said = [kernel.name, *kernel.aliases, kernel.family, kernel.source, *columns, kernel.__doc__ or ""]
    return " ".join(said).casefold()
