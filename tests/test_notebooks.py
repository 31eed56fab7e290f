"""Every notebook runs from the first cell to the last, draws without a network, and is kept without outputs."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from playwright.sync_api import Browser

import fintech_toolkit as ft
from fintech_toolkit.dashboards import plot_kernel
from tests.browser import COLORED, complaints, new_page, wait_until
from tests.stress import dealt, stress

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
STYLE_SHEET = re.compile(r"https://cdn\.holoviz\.org/panel/[^ ]*\.css")
FIGURES = {
    "00_quickstart": 1 + 2 * 3,
    "01_market_data": 7,
    "03_enrichment": 7 + 1,
    "04_dask_cluster": 2,
    "05_real_ticks": 9,
    "06_orders": 1 + 7,
    "07_signals": 7 + 5,
    "08_three_modes": 1,
    "09_dataflow": 2,
}


def read(path: Path) -> Any:
    import nbformat  # takes seconds, which all processes of tests would wait for

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@functools.cache
def executed(path: Path) -> Any:
    return execute(read(path))


def execute(notebook: Any) -> Any:
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(FOLDER)}}
    return NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()


@functools.cache
def figures(stem: str) -> int:
    """How many a notebook draws; the catalogue as many as its kernels have, so that a new one changes nothing."""
    if stem != "02_kernel_catalogue":
        return FIGURES[stem]
    kernels = ["kyle_lambda", *ft.catalogue().query("family == 'liquidity'").index]
    return sum(len(plot_kernel(name)) for name in kernels)


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == sorted([*FIGURES, "02_kernel_catalogue"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path):
    # A kernel that died, or cells that were not reached, would leave cells without a number.
    cells = [cell for cell in executed(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("path", dealt(NOTEBOOKS, 5), ids=lambda path: path.stem)
def test_draws_its_plots_without_a_network(path: Path, browser: Browser, tmp_path: Path):
    from nbconvert import HTMLExporter

    # What nbconvert itself would fetch is left out.
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
    html, _ = exporter.from_notebook_node(executed(path))
    file = tmp_path / "notebook.html"
    file.write_text(html)
    page = new_page(browser, 1000, 1000)
    # HoloViews names the style sheets of Panel's layout by their address, inline or not; plots do without.
    page.route("https://cdn.holoviz.org/**/*.css*", lambda route: route.fulfill(body="", content_type="text/css"))
    heard = complaints(page)
    page.goto(file.as_uri())
    wait_until(lambda: sum(pixels > 300 for pixels in page.evaluate(COLORED)) == figures(path.stem), page)
    assert len(page.evaluate(COLORED)) == figures(path.stem)
    page.close()
    assert [what for what in heard if not STYLE_SHEET.match(what)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_outputs(path: Path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []


@stress
def test_runs_twice_on_the_cluster_of_which_it_is_given_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    notebook = read(FOLDER / "04_dask_cluster.ipynb")
    once = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [*once, *copy.deepcopy(once)]
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        monkeypatch.setenv("MARKET_FOLDER", str(tmp_path))
        cells = execute(notebook).cells
        with Client(cluster) as client:  # which was left, not ended
            assert client.submit(sum, [1, 2]).result() == 3
        assert [cell.outputs[0].text.strip() for cell in cells if cell.id == "dashboard"] == [
            cluster.dashboard_link
        ] * 2
    first, second = (cell.outputs[-1].data["text/html"] for cell in cells if cell.id == "run")
    assert first == second
