"""Tests of which `make test` runs a part, and `make stress` the rest: every kernel, variants, rounds of a race."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import pytest

stress = pytest.mark.stress


def dealt(variants: Sequence[Any], of_short_form: int) -> list[Any]:
    """Return the variants of a test; all but the first so many are marked as stress."""
    return [*variants[:of_short_form], *(pytest.param(each, marks=stress) for each in variants[of_short_form:])]


def crossed(**dimensions: Sequence[Any]) -> pytest.MarkDecorator:
    """Try every combination of values; those without which any two values still meet are marked as stress."""
    combined = list(product(*(range(len(values)) for values in dimensions.values())))
    fewest = min(map(len, dimensions.values()))
    met: set[Any] = set()
    of_short_form = set()
    # Those whose places add up to a multiple come first: of three dimensions they are enough.
    for places in sorted(combined, key=lambda places: sum(places) % fewest):
        pairs = set(combinations(enumerate(places), 2))
        if not pairs <= met:
            of_short_form.add(places)
            met |= pairs
    params = [
        pytest.param(
            *(values[place] for values, place in zip(dimensions.values(), places, strict=True)),
            marks=[] if places in of_short_form else stress,
        )
        for places in combined
    ]
    return pytest.mark.parametrize(list(dimensions), params)
