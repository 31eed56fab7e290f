"""The ways in which a join of two feeds can run: all must give the bits of the whole."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from streamz import Stream

import fintech_toolkit as ft
from tests.frames import same


def cuts(rng: np.random.Generator, frame: pd.DataFrame, most: int = 6) -> list[pd.DataFrame]:
    """A frame in pieces, between which time goes on: rows of one instant may be in two."""
    at = np.sort(rng.integers(0, len(frame) + 1, rng.integers(0, most)))
    return [frame.iloc[start:end] for start, end in pairwise([0, *at.tolist(), len(frame)])]


def in_pieces(
    flow: ft.Flow, left: pd.DataFrame, right: pd.DataFrame, rng: np.random.Generator, folder: Path | None = None
) -> pd.DataFrame:
    """What a flow of sources `left` and `right` gives of feeds in pieces, from a saved state each time if so asked."""
    queues = {"left": cuts(rng, left), "right": cuts(rng, right)}
    run, answers = flow.start(), []
    while any(queues.values()):
        name = rng.choice([name for name, parts in queues.items() if parts])
        answers.append(run(**{name: queues[name].pop(0)}))
        if folder is not None:
            run.state.save(folder / "state")
            run = flow.start(folder / "state")
    answers.append(run.flush())
    return together(answers)


def on_streams(flow: ft.Flow, left: pd.DataFrame, right: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What a flow gives on streams, with rows that still wait at their end."""
    streams = {"left": Stream(), "right": Stream()}
    joined = flow.live(**streams)
    answers = joined.sink_to_list()
    queues = {"left": cuts(rng, left), "right": cuts(rng, right)}
    while any(queues.values()):
        name = rng.choice([name for name, parts in queues.items() if parts])
        streams[name].emit(queues[name].pop(0))
    joined.flush()
    return together(answers)


def together(answers: list[Any]) -> pd.DataFrame:
    """The frames of answers as one; those without rows tell columns only."""
    there = [part for part in answers if part is not None]
    return pd.concat([part for part in there if len(part)] or there[:1])


def same_without_rules(flow: ft.Flow, **inputs: Any) -> pd.DataFrame:
    """What a flow gives, which no rule changes."""
    from fintech_toolkit.flow.rules import RULES

    result: pd.DataFrame = flow(**inputs)
    for without in (RULES, *RULES):
        same(flow(without=without, **inputs), result)
    assert ft.Flow.from_json(flow.to_json()) == ft.Flow.from_yaml(flow.to_yaml()) == flow
    return result
