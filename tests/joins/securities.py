"""Securities and trades in them, for lookups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def bonds(rows: int = 200, seed: int = 0, **more: Any) -> pd.DataFrame:
    """Return securities with columns of all sorts, some values missing."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "isin": [f"US{n:09d}{n % 10}" for n in rng.permutation(rows * 3)[:rows]],
            "coupon": np.where(rng.random(rows) < 0.1, np.nan, rng.random(rows)),
            "id": 2**62 + np.arange(rows),
            "small": rng.integers(0, 99, rows).astype("int16"),
            "callable": rng.random(rows) < 0.5,
            "rank": pd.array(rng.choice([1, 2, None], rows), "Int64"),
            "issuer": pd.array(rng.choice(["Ä", "b", "", None], rows), dtype="str"),
            "sector": pd.Categorical(rng.choice(["x", "y", None], rows), categories=["z", "y", "x"], ordered=True),
            "maturity": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s", utc=True),
            "issued": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s"),
            "note": pd.Series(rng.choice(["n", None], rows), dtype=object),
            **more,
        },
        index=np.arange(rows) * 2,
    )


def trades(reference: pd.DataFrame, rows: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    known = [*reference["isin"], "XS000000000", "", None]
    return pd.DataFrame(
        {"isin": pd.array(rng.choice(np.array(known, object), rows), dtype="str"), "price": rng.random(rows)},
        index=np.arange(rows)[::-1],
    )
