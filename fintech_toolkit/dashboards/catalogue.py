"""The catalogue of kernels as a page: each with its definition, and drawn."""

from __future__ import annotations

import inspect
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
"""How many kernels are shown at once, which is when they are drawn, and compiled."""
_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width"}
_FILTER = """
const wanted = this.value.trim().toLowerCase();
for (const each of this.parentNode.querySelectorAll('details')) {
    each.hidden = !each.textContent.toLowerCase().includes(wanted);
}
"""


class KernelCatalogue:
    """A page of kernels, each with its definition and plots of what it gives. A notebook shows it after
    ``panel.extension(inline=True)``.

    The choice of a family and a search for words say which: forty at most, which are drawn, and compiled, when they are
    first looked at. A page without Python, such as an export of a notebook, shows those that were chosen last; there
    `kernel_definitions` still searches.

    Parameters
    ----------
    family : str
        The family that is shown first.

    Attributes
    ----------
    layout : panel.Column
        The page.
    family, search : panel widgets
        The choice, and the search.
    shown : list of str
        The kernels that are shown.

    Raises
    ------
    ParameterError
        If there is no such family.

    Examples
    --------
    >>> page = KernelCatalogue("labels")
    >>> page.shown
    ['label_next_move']
    >>> page.family.value = "patterns"
    >>> page.shown
    ['sequence_pattern']
    """

    def __init__(self, family: str = "microstructure") -> None:
        self._kernels = {name: kernels.find(name) for name in kernels.catalogue().index}
        families = sorted({kernel.family for kernel in self._kernels.values()})
        if family not in families:
            raise ParameterError(f"There is no family {family!r}. {did_you_mean(str(family), families)}")
        self.family: Any = pn.widgets.Select(label="Family", options=[ALL, *families], value=family, width=200)  # type: ignore[no-untyped-call]
        self.search: Any = pn.widgets.TextInput(label="Search", placeholder="spread, imbalance, …", width=300)
        self.shown: list[str] = []
        self._cards: dict[str, Any] = {}
        self._page = pn.Column(**_WIDE)
        self.layout = pn.Column(pn.Row(self.family, self.search), self._page, **_WIDE)
        for widget in (self.family, self.search):
            widget.param.watch(lambda event: self._show(), "value")
        self._show()

    def _show(self) -> None:
        wanted = self.search.value.strip().casefold()
        of_family = {
            name: kernel for name, kernel in self._kernels.items() if self.family.value in (ALL, kernel.family)
        }
        self.shown = [name for name, kernel in of_family.items() if wanted in kernels.words(kernel)][:_AT_ONCE]
        for name in self.shown:
            if name not in self._cards:
                kernel = self._kernels[name]
                self._cards[name] = pn.Column(_html(_head(kernel)), _drawn(name), _html(_rest(kernel)), **_WIDE)
        self._page.objects = [self._cards[name] for name in self.shown]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.layout._repr_mimebundle_(include, exclude)  # type: ignore[no-untyped-call]


def kernel_definitions() -> Any:
    """Return the definitions of all kernels, folded, below a field that searches them, in a page without Python too.

    Returns
    -------
    panel.pane.HTML
        Shown by notebooks after ``panel.extension(inline=True)``.

    Examples
    --------
    >>> "<b>vpin</b>" in kernel_definitions().object
    True
    """
    found = [kernels.find(name) for name in kernels.catalogue().index]
    parts = [
        f"<details><summary><b>{kernel.name}</b> <small>{_what(kernel)}</small>"
        f"</summary>{_head(kernel)}{_sections_below(kernel)}</details>"
        for kernel in found
    ]
    field = f'<input placeholder="Search: spread, imbalance, …" size="40" oninput="{escape(_FILTER)}">'
    return _html(f'<div style="max-height: 32em; overflow-y: auto">{field}{"".join(parts)}</div>')


def _html(text: str) -> Any:
    return pn.pane.HTML(text, **_WIDE)  # type: ignore[no-untyped-call]


def _drawn(name: str) -> Any:
    """Return a kernel's plots, or why there are none."""
    try:
        return pn.pane.HoloViews(plot_kernel(name), linked_axes=False, **_WIDE)  # type: ignore[no-untyped-call]
    except FintechToolkitError as error:
        return _html(f"<p>{escape(str(error))}</p>")


def _sections(kernel: Kernel) -> list[str]:
    """Return the definition, then the headings of its documentation and what is below each."""
    return re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(kernel) or "", flags=re.MULTILINE)


def _text(text: str) -> str:
    return re.sub(r"`{1,2}([^`]+)`{1,2}", r"<code>\1</code>", escape(text, quote=False))


def _what(kernel: Kernel) -> str:
    reads, gives = ", ".join(map(str, kernel.inputs)), ", ".join(kernel.output_names(1))
    return escape(f"{kernel.family}, {kernel.kind}: {reads} → {gives}")


def _head(kernel: Kernel) -> str:
    paragraphs = "".join(f"<p>{_text(part)}</p>" for part in _sections(kernel)[0].strip().split("\n\n"))
    return f"<h3>{kernel.name}</h3><p><small>{_what(kernel)}</small></p>{paragraphs}"


def _rest(kernel: Kernel) -> str:
    return f"<details><summary>Parameters, outputs, source, example</summary>{_sections_below(kernel)}</details>"


def _sections_below(kernel: Kernel) -> str:
    """The sections of a documentation."""
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
    return "".join(parts)
