"""The catalogue of kernels as a page: each with its definition, and drawn."""

from __future__ import annotations

import inspect
import json
import re
from html import escape
from typing import Any

import panel as pn

from fintech_toolkit import kernels
from fintech_toolkit.dashboards.drawn_kernels import plot_kernel
from fintech_toolkit.errors import FintechToolkitError, ParameterError, did_you_mean
from fintech_toolkit.scan.declaration import Kernel

ALL = "all families"
_AT_ONCE = 40
"""How many kernels are drawn at once, which is when they are compiled."""
_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width"}
_FILTER = """
const wanted = search.value_input.trim().toLowerCase();
for (const [card, of, text] of [%s])
    card.visible = (family.value == %s || family.value == of) && text.includes(wanted);
"""


class KernelCatalogue:
    """A page of all kernels: definitions, and plots of what each gives. A notebook shows it after
    ``panel.extension(inline=True)``.

    A choice of a family and a search for words show some of them, in a page without Python too. They are drawn, and
    compiled, when somebody looks at them, forty at most; a page without Python has the plots that were drawn before.

    Parameters
    ----------
    family : str
        The family that is shown and drawn first.

    Attributes
    ----------
    layout : panel.Column
        The page.
    drawn : list of str
        The kernels that have been drawn.

    Raises
    ------
    ParameterError
        If there is no such family.

    Examples
    --------
    >>> page = KernelCatalogue("labels")
    >>> page.drawn
    ['label_next_move']
    >>> page.family.value = "patterns"
    >>> page.drawn
    ['label_next_move', 'sequence_pattern']
    """

    def __init__(self, family: str = "microstructure") -> None:
        self.kernels = [kernels.find(name) for name in kernels.catalogue().index]
        self._words = {kernel.name: _words(kernel) for kernel in self.kernels}
        families = sorted({kernel.family for kernel in self.kernels})
        if family not in families:
            raise ParameterError(f"There is no family {family!r}. {did_you_mean(str(family), families)}")
        self.family: Any = pn.widgets.Select(label="Family", options=[ALL, *families], value=family, width=200)  # type: ignore[no-untyped-call]
        self.search: Any = pn.widgets.TextInput(label="Search", placeholder="spread, imbalance, …", width=300)
        self._plots = {kernel.name: pn.Column(**_WIDE) for kernel in self.kernels}
        cards = {
            kernel.name: pn.Column(_html(_head(kernel)), self._plots[kernel.name], _html(_rest(kernel)), **_WIDE)
            for kernel in self.kernels
        }
        rows = ", ".join(
            f"[card{j}, {json.dumps(kernel.family)}, {json.dumps(self._words[kernel.name])}]"
            for j, kernel in enumerate(self.kernels)
        )
        told: dict[str, Any] = {"family": self.family, "search": self.search}
        told |= {f"card{j}": card for j, card in enumerate(cards.values())}
        code = _FILTER % (rows, json.dumps(ALL))
        self.family.jscallback(args=told, value=code)
        self.search.jscallback(args=told, value_input=code)
        self.family.param.watch(lambda event: self._draw(), "value")
        self.search.param.watch(lambda event: self._draw(), "value")
        for kernel in self.kernels:
            cards[kernel.name].visible = kernel.family == family
        self.layout = pn.Column(pn.Row(self.family, self.search), *cards.values(), **_WIDE)
        self._draw()

    @property
    def drawn(self) -> list[str]:
        """The kernels that have been drawn."""
        return [name for name, plots in self._plots.items() if len(plots)]

    def _draw(self) -> None:
        """Draw those that are looked at."""
        wanted = self.search.value.strip().lower()
        shown = [kernel.name for kernel in self.kernels if self.family.value in (ALL, kernel.family)]
        for name in [name for name in shown if wanted in self._words[name]][:_AT_ONCE]:
            if name not in self.drawn:
                self._plots[name].append(_drawn(name))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.layout._repr_mimebundle_(include, exclude)  # type: ignore[no-untyped-call]


def _html(text: str) -> Any:
    return pn.pane.HTML(text, **_WIDE)  # type: ignore[no-untyped-call]


def _drawn(name: str) -> Any:
    """Return a kernel's plots, or why there are none."""
    try:
        return pn.pane.HoloViews(plot_kernel(name), linked_axes=False, **_WIDE)  # type: ignore[no-untyped-call]
    except FintechToolkitError as error:
        return _html(f"<p>{escape(str(error))}</p>")


def _words(kernel: Kernel) -> str:
    """What a search looks through, as `catalogue` does."""
    columns = [*map(str, kernel.inputs), *kernel.output_names(1), *kernel.keywords]
    said = [kernel.name, *kernel.aliases, kernel.family, kernel.source, *columns, _sections(kernel)[0]]
    return " ".join(said).lower()


def _sections(kernel: Kernel) -> list[str]:
    """Return the definition, then the headings of its documentation and what is below each."""
    return re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(kernel) or "", flags=re.MULTILINE)


def _text(text: str) -> str:
    return re.sub(r"`{1,2}([^`]+)`{1,2}", r"<code>\1</code>", escape(text, quote=False))


def _head(kernel: Kernel) -> str:
    reads, gives = ", ".join(map(str, kernel.inputs)), ", ".join(kernel.output_names(1))
    paragraphs = "".join(f"<p>{_text(part)}</p>" for part in _sections(kernel)[0].strip().split("\n\n"))
    what = f"{kernel.family}, {kernel.kind}: {reads} → {gives}"
    return f"<h3>{kernel.name}</h3><p><small>{escape(what)}</small></p>{paragraphs}"


def _rest(kernel: Kernel) -> str:
    """The sections of a documentation, folded."""
    _, *sections = _sections(kernel)
    parts = []
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        if heading == "Examples":
            inside = f"<pre>{escape(body.strip())}</pre>"
        else:
            lines = [
                f"<dd>{_text(line.strip())}</dd>" if line.startswith(" ") else f"<dt>{_text(line)}</dt>"
                for line in body.strip("\n").split("\n")
            ]
            inside = f"<dl>{''.join(lines)}</dl>"
        parts.append(f"<h4>{heading}</h4>{inside}")
    return f"<details><summary>Parameters, outputs, source, example</summary>{''.join(parts)}</details>"
