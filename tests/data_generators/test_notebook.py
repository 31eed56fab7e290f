"""The notebook runs from top to bottom, and each of its plots is one."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_market_data.ipynb"


def test_the_notebook_runs_and_plots() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code), "outputs are not kept"
    # The kernel finds the package from the root of the repository, as from an installed one.
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(ROOT)}}).execute()
    plotted = [
        cell
        for cell in code
        if any("application/vnd.holoviews_exec.v0+json" in output.get("data", {}) for output in cell.outputs)
    ]
    drawn = [cell for cell in plotted if "hvplot" in cell.source and "import" not in cell.source]
    assert len(drawn) == 7
    printed = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert "480,000 quotes in 2 files" in printed
    assert "WARNING" not in printed
