"""The dashboard in a real JupyterLab: a kernel, its comms, and a browser that keeps what it was given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import COLORED, DRAWN, SECONDS, complaints, new_page, wait_until

ROWS = 20
CELLS = [
    "import panel as pn\n\npn.extension(inline=True)",
    """
import threading, time
import data_generators
from streamz import Stream
from fintech_toolkit.dashboards import live_dashboard, quote_panels
from fintech_toolkit.demo import build_pipeline
import fintech_toolkit.live

config = {"bootstrap.servers": "127.0.0.1:1"}
source = Stream.from_kafka_frames("quotes", config, schema={"symbol": "str"}, group="lab")
enriched = build_pipeline()(data_generators.sample("quotes", rows=4_000, symbols=1))
enriched.to_parquet("enriched.parquet")
stream = Stream()
table = stream.to_table(4_000)
live_dashboard(table, source, quote_panels(), points=300, frames_per_second=20)
""",
    f"""
# The kernel is idle while they come: so many frames, so close to each other, that browser and kernel talk at once.
def flow():
    for start in range(0, 4_000, {4_000 // ROWS}):
        time.sleep(0.1)
        stream.emit(enriched.iloc[start : start + {4_000 // ROWS}])

threading.Thread(target=flow).start()
""",
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    import nbformat  # takes seconds, which all processes of tests would wait for

    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=spec), tmp_path / "live.ipynb")
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    settings = ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [*command, *settings, f"--notebook-dir={tmp_path}"], stderr=log, env={**os.environ, **folders}
    )
    try:
        yield address(server, tmp_path)
    finally:
        server.terminate()
        server.wait()
        log.close()


def address(server: subprocess.Popen[bytes], folder: Path) -> str:
    """The address of the notebook, token and all, once the server has said it."""
    deadline = time.monotonic() + 2 * SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        for line in (folder / "log").read_text().splitlines():
            if "http://127.0.0.1" in line and "token=" in line:
                server_address, token = line.split()[-1].split("/lab?")
                return f"{server_address}/doc/tree/live.ipynb?{token}"
    raise AssertionError((folder / "log").read_text())


def test_all_plots_show_the_last_rows_when_the_feed_has_ended(lab: str, browser: Browser, tmp_path: Path):
    page = new_page(browser, 1200, 1600)
    heard = complaints(page)
    page.goto(lab)
    page.get_by_text("live_dashboard(table").wait_for()
    run_all_cells(page)
    # On a bare machine the second cell compiles the pipeline's kernels.
    wait_until(lambda: page.get_by_text("Lag, records").is_visible(), page, seconds=180)

    names = ["mid", "mid_ewma", "spread_bps", "spread_ewma"]
    last = pd.read_parquet(tmp_path / "enriched.parquet").tail(300)

    def shows(page: Page) -> bool:
        return all(np.array_equal(np.array(page.evaluate(DRAWN, name), float), last[name].to_numpy()) for name in names)

    wait_until(lambda: shows(page), page)
    flow = last["ofi_mean"].to_numpy()
    np.testing.assert_array_equal(page.evaluate(DRAWN, "above 0: ofi_mean"), np.clip(flow, 0, None))
    wait_until(lambda: sum(pixels > 500 for pixels in page.evaluate(COLORED)) == 3, page)
    assert page.get_by_text("Waiting for the first rows").count() == 0
    page.close()
    assert heard == []


def run_all_cells(page: Page) -> None:
    """Ask for it until a cell has been sent: what is asked for before there is a kernel is dropped without a word."""
    prompt = page.locator(".jp-InputPrompt").first

    def sent() -> bool:
        if prompt.inner_text() != "[ ]:":
            return True
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        with suppress(AssertionError):
            expect(prompt).not_to_have_text("[ ]:", timeout=5_000)
        return False

    prompt.wait_for()
    wait_until(sent, page)
