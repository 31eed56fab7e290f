"""What `make test` leaves to `make stress`: in its part any two values meet, and together they are all."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest

from tests.stress import crossed


def of_short_form(params: Any) -> list[tuple[Any, ...]]:
    return [each.values for each in params if not each.marks]


@pytest.mark.parametrize("sizes", [(3, 3), (11, 18, 4), (2, 7, 5), (1, 4, 3), (11, 4, 2, 2), (5, 4, 4, 3, 2)])
def test_any_two_values_meet(sizes: tuple[int, ...]) -> None:
    dimensions = {f"d{place}": [f"{place}: {j}" for j in range(size)] for place, size in enumerate(sizes)}
    names, params = crossed(**dimensions).args
    assert names == list(dimensions)
    assert [each.values for each in params] == list(product(*dimensions.values()))
    met = {pair for values in of_short_form(params) for pair in combinations(values, 2)}
    assert met == {pair for two in combinations(dimensions.values(), 2) for pair in product(*two)}


def test_of_three_dimensions_as_few_as_can_be() -> None:
    _, params = crossed(a=range(11), b=range(18), c=range(4)).args
    assert len(of_short_form(params)) == 11 * 18
