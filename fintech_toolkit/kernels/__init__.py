"""The kernels, found by walking this package: a new one is a function in a file of its family, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

import pandas as pd

from fintech_toolkit.errors import did_you_mean
from fintech_toolkit.scan.declaration import Kernel


@lru_cache(maxsize=1)
def registry() -> dict[str, Kernel]:
    """Return every kernel by its public name, aliases included.

    Raises
    ------
    TypeError
        If two kernels claim one name.
    """
    found: dict[str, Kernel] = {}
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        if module.name.count(".") < 3:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if not isinstance(value, Kernel) or value.__module__ != module.name:
                continue
            for name in (value.name, *value.aliases):
                if found.setdefault(name, value) is not value:
                    raise TypeError(f"Two kernels are called {name}: {found[name].__module__} and {module.name}.")
    return dict(sorted(found.items()))


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
    try:
        return registry()[name]
    except KeyError:
        raise AttributeError(f"There is no kernel {name!r}. {did_you_mean(name, registry())}") from None


def catalogue() -> pd.DataFrame:
    """Return the registry as a frame, one row per kernel.

    Returns
    -------
    DataFrame
        Indexed by name: family, kind, stateless, reads, gives, parameters, warmup, reference.

    Examples
    --------
    >>> catalogue().loc["ewma", ["family", "kind", "gives"]].tolist()
    ['statistics', 'tick', 'ewma']
    """
    rows = [
        {
            "name": name,
            "family": kernel.family,
            "kind": kernel.kind,
            "stateless": kernel.stateless,
            "reads": ", ".join(read.split(":")[0] for read in kernel.reads),
            "gives": ", ".join(kernel.output_names(1)),
            "parameters": ", ".join(kernel.keywords),
            "warmup": kernel.warmup,
            "reference": kernel.source,
        }
        for name, kernel in registry().items()
        if name == kernel.name
    ]
    return pd.DataFrame(rows).set_index("name")
