"""A kernel's signature and docstring, derived from its declaration, so that they are written once."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from fintech_toolkit.scan.parameters import REQUIRED, Window
from fintech_toolkit.schema import CANONICAL, KNOWN_AT

if TYPE_CHECKING:
    from fintech_toolkit.scan.declaration import Kernel

KNOWN_AT_MEANS = (
    "In the frame that a pipeline gives: the event time of the tick at which the row became known, missing where it "
    "is not finished. `ts` is what the row is about, and earlier: asof_join goes by known_at, so that no row is seen "
    "before it."
)

CALLS = {
    "axis": "arrays",
    "ts": "arrays; of a frame, time= names the column of times",
    "unit": "arrays and frames; a Pipeline has one of its own",
    "symbol": "arrays and frames; a Pipeline has one of its own",
    "time": "frames; arrays take ts=, and a Pipeline has a time= of its own",
}
"""Keywords of calls on arrays and frames, and what they go with."""


def calls(kernel: Kernel) -> dict[str, tuple[Any, str, str]]:
    """Return the keywords of a kernel's calls on arrays and frames: default, type, meaning."""
    found: dict[str, tuple[Any, str, str]] = {}
    if not kernel.stateless and not kernel.emits:
        found["axis"] = (
            0,
            "int, default 0",
            "on arrays: the axis along which a series runs; one-dimensional arrays among others go with each series",
        )
    if "ts" not in kernel.reads:
        windows = any(isinstance(parameter, Window) for parameter in kernel.parameters)
        needed = "needed" if kernel.asks_for_time else "needed for windows of time" if windows else "not needed"
        found["ts"] = (
            None,
            "array_like, optional",
            f"on arrays: the event time of each row, datetime64 or int64 nanoseconds, never backwards; {needed}. By "
            "default the index of Series and frames, if it holds times",
        )
    found["unit"] = (None, "{'s', 'ms', 'us', 'ns'}, optional", "the unit of event times that are integers")
    found["symbol"] = (
        "symbol",
        "array_like, str or None, default 'symbol'",
        "on arrays: whose tick each row is, strings or integers; left out, all rows are of one. On a frame: the column "
        "that says so, None if all rows are of one symbol",
    )
    found["time"] = (
        "ts",
        "str or None, default 'ts'",
        "on a frame: the column of event times, None if rows are in order and no times are needed",
    )
    return found


SHAPES = (
    "a result has the shape of its input; lists of parameter values are a sweep, whose shape comes first: `(3, n)` for "
    "three values on `n` rows."
)


LISTS = (
    "in a pipeline, lists of parameter values give columns for each value, called `{}_` and the value. Several lists "
    "are taken together, as arrays broadcast: the first value of each, then the second."
)


def signature(kernel: Kernel) -> inspect.Signature:
    if not kernel.tickwise and kernel.kind != "cross":
        return inspect.signature(kernel.function)
    kind = inspect.Parameter
    parameters = []
    for column in kernel.inputs:
        if column.variadic:
            parameters.append(kind(column.name, kind.VAR_POSITIONAL))
        else:
            default = column.name if column.name in CANONICAL else kind.empty
            parameters.append(kind(column.name, kind.POSITIONAL_OR_KEYWORD, default=default))
    seen_default = False
    for j, parameter in enumerate(parameters):
        seen_default |= parameter.default is not kind.empty
        if seen_default and parameter.default is kind.empty and parameter.kind is kind.POSITIONAL_OR_KEYWORD:
            parameters[j] = parameter.replace(default=None)
    for name, default in kernel.keywords.items():
        shown = kind.empty if default is REQUIRED else default
        parameters.append(kind(name, kind.KEYWORD_ONLY, default=shown))
    more = {} if kernel.kind == "cross" else calls(kernel)
    parameters += [kind(name, kind.KEYWORD_ONLY, default=default) for name, (default, *_) in more.items()]
    return inspect.Signature(parameters)


def document(kernel: Kernel) -> str:
    """Put the declaration into the docstring, so that it is written once."""
    text = inspect.cleandoc(kernel.function.__doc__ or "")
    if not kernel.tickwise and kernel.kind != "cross":
        return text
    lines = ["Parameters", "----------"]
    for column in kernel.inputs:
        plain = "a column of names, texts or integers" if column.dtype.kind == "O" else "a column of numbers"
        meaning = CANONICAL[column.role].doc if column.role in CANONICAL else plain
        lines += [f"{column} : str" if kernel.kind == "cross" else f"{column} : str or array_like", _indented(meaning)]
    for parameter in kernel.parameters:
        for head, meaning in parameter.documentation:
            lines += [head, _indented(meaning)]
    lines += ["", "Returns", "-------"]
    for column, (name, dtype) in zip(kernel.outputs, kernel.output_columns(1), strict=True):
        lines.append(f"{name} : {dtype}")
        if column.variadic:
            many = "each starred read has" if kernel.levels is None else f"`{kernel.levels.name}` says"
            lines.append(_indented(f"and so on, as many as {many}"))
    if kernel.emits:
        lines += [f"{KNOWN_AT} : as event times", _indented(KNOWN_AT_MEANS)]
    if kernel.kind == "cross":
        per = "one row for each time" if kernel.per_stamp else "a value for each row"
        notes = [f"Kind: {kernel.kind}, {per}; a step of `fintech_toolkit.cross_section`. Warm-up: {kernel.warmup}."]
    else:
        lines += ["", "Other Parameters", "----------------"]
        for name, (_, kind, meaning) in calls(kernel).items():
            lines += [f"{name} : {kind}", _indented(meaning)]
        notes = [f"Kind: {kernel.kind}{', stateless' if kernel.stateless else ''}. Warm-up: {kernel.warmup}."]
    if kernel.source:
        notes.append(f"Source: {kernel.source}.")
    if not kernel.emits and kernel.kind != "cross":
        notes.append(f"Shapes: {SHAPES}")
        if any(parameter.sweeps for parameter in kernel.parameters):
            notes.append(f"Lists: {LISTS.format(kernel.output_names(1)[0])}")
    head, marker, tail = text.partition("\nExamples\n--------")
    return "\n".join([head.rstrip(), "", *lines, "", "Notes", "-----", *notes]) + (
        f"\n{marker}{tail}" if marker else ""
    )


def _indented(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="    ", subsequent_indent="    ")
