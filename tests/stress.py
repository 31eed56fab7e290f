"""Tests of which `make test` runs a part, and `make stress` the rest: every kernel, variants, rounds of a race."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

stress = pytest.mark.stress


def dealt(variants: Sequence[Any], of_short_form: int) -> list[Any]:
    """Return the variants of a test; all but the first so many are marked as stress."""
    return [*variants[:of_short_form], *(pytest.param(each, marks=stress) for each in variants[of_short_form:])]
