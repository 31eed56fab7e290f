"""Lists of parameters in a step: sets of parameters, each of which gives columns of its own.

Lists are taken together, the first value of each, then the second, as arrays broadcast: one of a single value, or what
is no list, goes with each. ``macd("mid", fast=[5, 12], slow=[20, 26])`` is two sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fintech_toolkit.errors import ParameterError

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

Named = tuple[tuple[str, Any], ...]


class Several(tuple[Any, ...]):
    """The values of a list of parameters, one a set. A plain tuple is one value, such as the names of some columns."""

    __slots__ = ()


def bind_parameters(kernel: Kernel, keywords: Mapping[str, Any]) -> tuple[Named, Named]:
    """Return a step's parameters, as they are spelled and as the loop takes them; of lists, `Several` each.

    Each set is resolved alone, as that of a step without lists is: of an array, ``exp`` may differ in the last bit.

    Raises
    ------
    ParameterError
        If one is not what it may be, or lists do not fit together.
    """
    lists = {name: _values(kernel, name, keywords[name]) for name in _sweepable(kernel) if _is_list(keywords.get(name))}
    if not lists:
        return _spelled(kernel, keywords), tuple(kernel.resolve(keywords).items())
    if kernel.emits:
        several = ", ".join(f"{name}={values!r}" for name, values in lists.items())
        raise ParameterError(
            f"{kernel.name} emits rows of its own: it takes one value of each parameter, not {several}."
        )
    count = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in (1, count):
            lengths = ", ".join(f"{name} has {len(values)}" for name, values in lists.items())
            raise ParameterError(f"{kernel.name}: lists are taken together, so they must be as long: {lengths}.")
        lists[name] = values * (count // len(values))
    sets = [{**keywords, **dict(zip(lists, values, strict=True))} for values in zip(*lists.values(), strict=True)]
    resolved = [kernel.resolve(each) for each in sets]
    if len({kernel.by_time(each) for each in sets}) > 1:
        raise ParameterError(f"{kernel.name}: {', '.join(lists)} cannot hold both numbers of rows and durations.")
    spelled = [dict(_spelled(kernel, each)) for each in sets]
    told = [tuple(each[name] for name in lists) for each in spelled]
    for j, one in enumerate(told):
        if one in told[:j]:
            twice = ", ".join(f"{name}={value!r}" for name, value in zip(lists, one, strict=True))
            raise ParameterError(
                f"{kernel.name}: {twice} is there twice; each set of parameters is a column of its own."
            )
    given = {
        name: Several(each[name] for each in spelled) if name in lists else value for name, value in spelled[0].items()
    }
    return tuple(given.items()), tuple((name, Several(each[name] for each in resolved)) for name in resolved[0])


def count_of(given: Named) -> int:
    """Return how many sets of parameters a step has; 0 if none is a list."""
    return next((len(value) for _, value in given if isinstance(value, Several)), 0)


def suffixes(given: Named) -> list[str]:
    """Return what tells the columns of each set from the others: the values of the lists."""
    return ["_".join(map(str, values)) for values in zip(*(v for _, v in given if isinstance(v, Several)), strict=True)]


def each_set(values: Named, sets: int) -> list[Named]:
    """Return the parameters of each set, one value of each."""
    return [tuple((n, v[j] if isinstance(v, Several) else v) for n, v in values) for j in range(sets)]


def chosen(values: Named, sets: list[int]) -> Named:
    """Return the parameters of some sets, as lists."""
    return tuple((n, Several(v[j] for j in sets) if isinstance(v, Several) else v) for n, v in values)


def _sweepable(kernel: Kernel) -> list[str]:
    return [name for parameter in kernel.parameters if parameter.sweeps for name in parameter.keywords]


def _is_list(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping):
        return False
    try:
        return np.ndim(value) > 0
    except ValueError:  # lists of different lengths
        return True


def _values(kernel: Kernel, name: str, given: Any) -> list[Any]:
    values = list(given)
    if not values:
        raise ParameterError(f"{kernel.name}: {name}={given!r} holds no value.")
    if any(_is_list(value) for value in values):
        raise ParameterError(
            f"{kernel.name}: {name} must be one value in a pipeline, or a list of such; sweeps of more dimensions work "
            "on arrays."
        )
    if any(value is None for value in values):
        raise ParameterError(f"{kernel.name}: {name}={given!r} holds None; leave {name} out in a step of its own.")
    return values


def _spelled(kernel: Kernel, keywords: Mapping[str, Any]) -> Named:
    return tuple(
        (name, parameter.spelled(keywords[name]))
        for parameter in kernel.parameters
        for name in parameter.keywords
        if keywords.get(name) is not None
    )
