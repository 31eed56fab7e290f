"""How a folder would be enriched, and which columns of its files that needs; nothing is computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fintech_toolkit.dataflow import Flow
from fintech_toolkit.engines.memory.files import Files
from fintech_toolkit.enrichment.checks import CHECKED
from fintech_toolkit.enrichment.feeds import is_one_sided
from fintech_toolkit.enrichment.intake import NAMES, File, files_of
from fintech_toolkit.enrichment.market import dataflows
from fintech_toolkit.flow.flow_plan import FlowPlan, Reading
from fintech_toolkit.flow.nodes import Source, columns_of, walk
from fintech_toolkit.flow.rules import optimised

ENRICHED = "enriched_"
"""What the name of a source begins with that an earlier flow gives."""


@dataclass(frozen=True)
class FolderPlan:
    """How a folder would be enriched. Prints itself.

    Attributes
    ----------
    reads : list of Reading
        What of the files of each data set is read, once.
    flows : dict of str to FlowPlan
        How each flow would run on Dask, over what was taken of the files and what earlier ones wrote.
    """

    reads: Sequence[Reading]
    flows: Mapping[str, FlowPlan]

    def __repr__(self) -> str:
        files = "\n".join(f"  {reading}" for reading in self.reads)
        return "\n\n".join([f"== files ==\n{files}", *(f"== {name} ==\n{plan}" for name, plan in self.flows.items())])


def explain_folder(folder: str | Path, *, every: str = "5min") -> FolderPlan:
    """Return how `enrich_folder` would run; of the files footers and names of columns are read.

    Raises
    ------
    FintechToolkitError
        If there are no files, or the columns are not those that flows need.
    """
    import dask.dataframe as dd

    files = {name: files_of(Path(folder), name) for name in NAMES}
    empty = {name: each[0].empty() for name, each in files.items()}
    columns = {name: table.column_names for name, table in empty.items()}
    flows = flows_for(columns["quotes"], every)
    reads = []
    for name, needed in columns_needed(columns, flows).items():
        all_files = Files(Path(folder) / name)
        read, whole = all_files.weight(needed), all_files.weight()
        counts = (read.rows, whole.rows, read.bytes, whole.bytes)
        reads.append(Reading(name, len(needed), len(columns[name]), *counts))
    frames: dict[str, Any] = {
        name: dd.from_map(_rows, each, meta=empty[name].to_pandas())  # type: ignore[no-untyped-call]
        for name, each in files.items()
    }
    plans = {}
    for name, flow in flows.items():
        given = {source: frames[source] for source in flow.sources}
        plans[name] = flow.explain(**given)
        frames[f"{ENRICHED}{name}"] = flow(**given)
    return FolderPlan(reads, plans)


def _rows(file: File) -> pd.DataFrame:
    frame: pd.DataFrame = file.read().to_pandas()
    return frame


def flows_for(quotes: Collection[str], every: str) -> dict[str, Flow]:
    """Return the flows that enrich a market whose quotes have these columns: a feed as it comes, or two-sided ones."""
    return dataflows(every=every, wide=is_one_sided(quotes))


def columns_needed(columns: Mapping[str, Sequence[str]], flows: Mapping[str, Flow]) -> dict[str, list[str]]:
    """Return which columns of each data set flows read or give, or checks look at, of those that there are.

    Raises
    ------
    ColumnError
        If a flow reads one that there is not.
    """
    names: dict[str, Sequence[str]] = dict(columns)
    needed = {name: set(CHECKED) for name in columns}
    for name, flow in flows.items():
        there = {source: list(names[source]) for source in flow.sources}
        names[f"{ENRICHED}{name}"] = columns_of(flow.node, there)[flow.node]
        runs, _ = optimised(flow.node, there, ())
        for node in walk(runs):
            if isinstance(node, Source) and node.name in needed:
                needed[node.name] |= set(there[node.name] if node.columns is None else node.columns)
                needed[node.name] |= set(node.where.columns if node.where is not None else ())
    return {name: [column for column in columns[name] if column in needed[name]] for name in columns}
