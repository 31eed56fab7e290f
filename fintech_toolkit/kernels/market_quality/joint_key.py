"""One key of several names."""

from __future__ import annotations

from typing import Any

import numpy as np

from fintech_toolkit.authoring import tick_kernel

FIRST, SECOND, HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(32)


@tick_kernel(
    reads="*names:O",
    gives="joint_key:i8",
    source="the multipliers of MurmurHash3's last step, Appleby (2011)",
)
def joint_key(names: Any) -> int:
    """Return an integer that stands for several names together, such as instrument and dealer.

    The same names in the same order have the same key, in every process and on every machine; a missing name is a name
    like any other. Windows and pipelines go by it with ``symbol="joint_key"``. It is a hash of 64 bits: among a million
    different combinations two have one key with a probability of 3 in 10⁸.

    Examples
    --------
    >>> import numpy as np, fintech_toolkit as ft
    >>> keys = ft.joint_key(np.array(["A", "A", "B"]), np.array(["x", "y", "x"]))
    >>> len(set(keys)), bool(keys[0] == ft.joint_key(np.array(["A"]), np.array(["x"]))[0])
    (3, True)
    """
    mixed = np.uint64(len(names))
    for key in names:
        mixed = (mixed ^ np.uint64(key)) * FIRST
        mixed ^= mixed >> HALF
        mixed *= SECOND
        mixed ^= mixed >> HALF
    return np.int64(mixed)  # type: ignore[return-value]


@joint_key.oracle
def _(*names: Any) -> Any:
    from fintech_toolkit.scan.names import as_keys

    mask = 2**64 - 1
    found = []
    for keys in zip(*(as_keys(column, "names").tolist() for column in names), strict=True):
        mixed = len(keys)
        for key in keys:
            mixed = ((mixed ^ (key & mask)) * 0xFF51AFD7ED558CCD) & mask
            mixed ^= mixed >> 32
            mixed = (mixed * 0xC4CEB9FE1A85EC53) & mask
            mixed ^= mixed >> 32
        found.append(mixed)
    return np.array(found, np.uint64).view(np.int64)
