"""What a run over orders is told: a file of YAML, checked, with settings of the environment over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from dask.utils import parse_bytes
from pydantic import BeforeValidator, Field, PositiveInt, field_validator

from fintech_toolkit.orders.settings import Market, Simulation
from fintech_toolkit.settings import Settings, load_settings

PREFIX = "FINTECH_TOOLKIT_ORDERS__"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Size = Annotated[PositiveInt, BeforeValidator(lambda value: parse_bytes(value) if isinstance(value, str) else value)]
"""Bytes: a number, or a text such as ``512 MB``."""
Paths = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
"""Files, patterns or URLs that fsspec knows; one alone needs no list."""


Dimension = Literal["security", "date", "participant", "hour", "size", "time_series"]
"""What figures are put together by."""


class Inputs(Settings):
    """Where files are.

    Attributes
    ----------
    orders, trades : list of str
        Files, patterns such as ``orders/*.csv.gz``, or URLs that fsspec knows.
    quotes : list of str, optional
        Of the national best bid and offer; without them snapshots in orders and trades tell it.
    """

    orders: Paths
    trades: Paths
    quotes: Paths | None = None


class OrdersConfig(Settings):
    """What a run over orders is told.

    Attributes
    ----------
    inputs : Inputs
        Where files are.
    output : Path
        Folder for what comes out.
    store : Path, optional
        Folder for the rows by security and day; ``output/store`` unless given.
    securities, dates, participants : list or "all"
        What is analysed. All orders are in the pool; of the participants' it is told what they would have cost.
    market : Market
        Units, zone and hours.
    simulation : Simulation
        How the dark pool is simulated.
    chunk_size : int or str
        How many bytes of a file a task takes in, such as ``512 MB``.
    workers : int
        Processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler to use instead, such as ``tcp://10.0.0.1:8786``.
    memory_per_worker : int or str, optional
        Such as ``4 GB``; a share of this machine's unless given.
    timeout_seconds : float
        After which a job is given up and its worker started anew.
    attempts : int
        How often a job is tried where the machine, not the data, is the reason why it failed.
    formats : list of {"csv", "parquet"}
        What each job writes: ``.csv.gz`` and ``.csv``, Parquet, or both.
    aggregate_by : list of str
        Which of the aggregated tables are written.
    log : {"debug", "info", "warning", "error", "critical"}
        How much Dask says beside the progress; why a job failed is recorded in any case.

    Examples
    --------
    >>> from fintech_toolkit.orders import OrdersConfig
    >>> config = OrdersConfig(inputs={"orders": "orders.csv", "trades": "trades.csv"}, output="out")
    >>> config.simulation.mode, config.market.zone
    ('exchange', 'Australia/Sydney')
    """

    inputs: Inputs
    output: Path
    store: Path | None = None
    securities: Literal["all"] | list[int] = "all"
    dates: Literal["all"] | list[date] = "all"
    participants: Literal["all"] | list[int] = "all"
    market: Market = Market()
    simulation: Simulation = Simulation()
    chunk_size: Size = parse_bytes("512 MB")
    workers: int = Field(default=2, ge=1)
    scheduler: str | None = None
    memory_per_worker: Size | None = None
    timeout_seconds: float = Field(default=3600.0, gt=0)
    attempts: int = Field(default=3, ge=1)
    formats: list[Literal["csv", "parquet"]] = Field(default=["csv", "parquet"], min_length=1)
    aggregate_by: list[Dimension] = Field(default=list(get_args(Dimension)))
    log: Literal["debug", "info", "warning", "error", "critical"] = "critical"

    @field_validator("securities", "dates", "participants", mode="before")
    @classmethod
    def _all_or_a_list(cls, value: Any) -> Any:
        if value != "all" and not isinstance(value, list):
            raise ValueError(f"should be all or a list, such as [{value}]")
        return value

    @property
    def stored(self) -> Path:
        """Folder for the rows by security and day."""
        return self.output / "store" if self.store is None else self.store

    @classmethod
    def load(cls, path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> OrdersConfig:
        """Read a file of YAML. Paths in it are seen from its folder.

        Each key can be set by the environment too: ``FINTECH_TOOLKIT_ORDERS__SIMULATION__MODE=legacy`` stands over
        ``mode`` below ``simulation``. The value is YAML.

        Raises
        ------
        ParameterError
            If the file cannot be read, or a key is unknown, missing or of a wrong type.
        """
        path = Path(path)
        return load_settings(cls, path, PREFIX, environ=environ).seen_from(path.parent)

    def seen_from(self, folder: Path) -> OrdersConfig:
        """Return the same with paths that do not depend on where a process stands; URLs stay as they are."""

        def whole(paths: list[str] | None) -> list[str] | None:
            if paths is None:
                return None
            return [each if "://" in each else str(folder.absolute() / Path(each).expanduser()) for each in paths]

        inputs = self.inputs.model_copy(update={name: whole(paths) for name, paths in self.inputs})
        folders = {"output": self.output, "store": self.stored}
        folders = {name: folder.absolute() / each.expanduser() for name, each in folders.items()}
        return self.model_copy(update={"inputs": inputs, **folders})
