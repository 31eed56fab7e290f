"""Tests of which `make test` runs a part, and `make stress` the rest: every kernel, or many rounds of a race."""

from __future__ import annotations

from typing import Any

import pytest


def dealt(shares: int, of_short_form: int) -> list[Any]:
    """Return the numbers of the shares that a test is run for; all but the first so many are marked as stress."""
    return [*range(of_short_form), *(pytest.param(n, marks=pytest.mark.stress) for n in range(of_short_form, shares))]
