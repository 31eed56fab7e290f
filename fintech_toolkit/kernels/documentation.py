"""A kernel's signature and docstring, derived from its declaration, so that they are written once."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from fintech_toolkit.kernels.parameters import REQUIRED
from fintech_toolkit.schema import CANONICAL, KNOWN_AT

if TYPE_CHECKING:
    from fintech_toolkit.kernels.declare import Kernel

KNOWN_AT_MEANS = (
    "In the frame that a pipeline gives: the event time of the tick at which the row became known, missing where it "
    "is not finished. `ts` is what the row is about, and earlier: asof_join goes by known_at, so that no row is seen "
    "before it."
)


def signature(kernel: Kernel) -> inspect.Signature:
    if kernel.kind in ("plan", "matrix"):
        return inspect.signature(kernel.function)
    kind = inspect.Parameter
    parameters = []
    for name in kernel.reads:
        plain = name.lstrip("*").split(":")[0]
        if name.startswith("*"):
            parameters.append(kind(plain, kind.VAR_POSITIONAL))
        else:
            default = plain if plain in CANONICAL else kind.empty
            parameters.append(kind(plain, kind.POSITIONAL_OR_KEYWORD, default=default))
    seen_default = False
    for j, parameter in enumerate(parameters):
        seen_default |= parameter.default is not kind.empty
        if seen_default and parameter.default is kind.empty and parameter.kind is kind.POSITIONAL_OR_KEYWORD:
            parameters[j] = parameter.replace(default=None)
    for name, default in kernel.keywords.items():
        shown = kind.empty if default is REQUIRED else default
        parameters.append(kind(name, kind.KEYWORD_ONLY, default=shown))
    return inspect.Signature(parameters)


def document(kernel: Kernel) -> str:
    """Put the declaration into the docstring, so that it is written once."""
    text = inspect.cleandoc(kernel.function.__doc__ or "")
    if kernel.kind in ("plan", "matrix"):
        return text
    lines = ["Parameters", "----------"]
    for name in kernel.reads:
        plain = name.lstrip("*").split(":")[0]
        meaning = CANONICAL[plain].doc if plain in CANONICAL else "a column of numbers"
        lines += [f"{name.split(':')[0]} : str or array_like", _indented(meaning)]
    for parameter in kernel.parameters:
        for head, meaning in parameter.documentation:
            lines += [head, _indented(meaning)]
    lines += ["", "Returns", "-------"]
    lines += [f"{name} : {np.dtype(kind)}" for name, kind in kernel.gives]
    if kernel.emits:
        lines += [f"{KNOWN_AT} : as event times", _indented(KNOWN_AT_MEANS)]
    notes = [
        f"Kind: {kernel.kind}{', stateless' if kernel.stateless else ''}. Warm-up: {kernel.warmup}.",
        f"Source: {kernel.source}.",
    ]
    head, marker, tail = text.partition("\nExamples\n--------")
    return "\n".join([head.rstrip(), "", *lines, "", "Notes", "-----", *notes]) + (
        f"\n{marker}{tail}" if marker else ""
    )


def _indented(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent="    ", subsequent_indent="    ")
