"""The hourly market as files."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from data_generators.errors import GeneratorError
from data_generators.folder import disk_errors, written_aside
from data_generators.hourly.market import hourly_market

FILES = {
    "vix": "vix_hourly.parquet",
    "spx": "spx_hourly.parquet",
    "truth": "truth.parquet",
    "prices": "spx_holdings_hourly.parquet",
}
"""What each part of a market is called, in the order in which they are written."""


def write_hourly(
    out: str | os.PathLike[str],
    contracts: int = 10,
    days: int = 252,
    seed: int = 0,
    start: str = "2011-01-03",
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write an hourly market to a folder: ``spx_holdings_hourly.parquet``, those of both indices, and the truth.

    Each file takes its name when it is on the disk whole; the prices come last.

    Parameters
    ----------
    out : path
        The folder; made if it does not exist.
    contracts, days, seed, start
        As for `hourly_market`.
    overwrite : bool
        Replace the files if they are there.

    Returns
    -------
    dict of str to Path
        The files, by ``prices``, ``vix``, ``spx`` and ``truth``.

    Raises
    ------
    GeneratorError
        If an argument is out of its range, a file is there already, or the disk is full.

    Examples
    --------
    >>> import tempfile, data_generators, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = data_generators.write_hourly(folder, contracts=1, days=1)
    ...     len(pd.read_parquet(files["prices"]))
    8
    """
    folder = Path(out)
    paths = {part: folder / name for part, name in FILES.items()}
    there = [path for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise GeneratorError(f"{there[0]} is there already: choose another folder or --overwrite")
    market = hourly_market(contracts, days, seed, start)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            paths["prices"].unlink(missing_ok=True)  # so that what is half replaced does not look whole
        for part, path in paths.items():
            table = pa.Table.from_pandas(getattr(market, part), preserve_index=False).replace_schema_metadata()
            with written_aside(path) as file:
                pa.parquet.write_table(table, file)
    return paths
