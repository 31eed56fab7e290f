"""The demo as a user runs it: in a process of its own, to its end and into Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.stress import dealt

DEMO = [sys.executable, "-m", "fintech_toolkit", "demo", "--no-browser"]


class Running:
    """A demo in a session of its own, so that all its processes can be found."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.folder = folder
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"}
            self.process = subprocess.Popen(
                [*DEMO, *args], stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, ProcessLookupError):
                pass
        return found

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.descendants() if any("spawn_main" in word for word in child.cmdline())]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*args: str) -> Running:
        started.append(Running(tmp_path, *args))
        return started[-1]

    yield start
    for demo in started:
        for process in demo.processes():
            process.kill()
        demo.process.wait()


def test_all_three_agree(start: Callable[..., Running]):
    demo = start("--seconds", "1", "--rows", "50000")  # so fast that the feed has to wait for its reader
    assert demo.process.wait(120) == 0, demo.said()
    said = demo.said()
    assert "50,000 quotes" in said
    assert "ewma('mid', halflife=20).named('mid_ewma')" in said
    assert "Dask = pandas, row for row and bit for bit" in said
    assert "dashboard: http://localhost:" in said
    assert "50,000 rows in = 50,000 out + 0 rejected" in said
    assert "live = pandas, row for row and bit for bit" in said
    psutil.wait_procs(demo.processes(), timeout=60)
    assert demo.processes() == []
    assert list(demo.folder.iterdir()) == [demo.output]


@pytest.mark.parametrize("moment", dealt(["live", "workers start"], 1))
def test_ctrl_c_ends_everything_within_two_seconds(start: Callable[..., Running], moment: str):
    demo = start("--rows", "20000")
    if moment == "workers start":
        demo.wait_until(lambda: bool(demo.workers()))
    else:
        demo.wait_until(lambda: "dashboard:" in demo.said())
    everyone = [*demo.descendants(), psutil.Process(demo.process.pid)]
    os.killpg(demo.process.pid, signal.SIGINT)  # as a terminal does
    assert demo.process.wait(2) == 130
    # The broker has a session of its own, and is looked for among those that were there.
    psutil.wait_procs(everyone, timeout=2)
    assert [process for process in everyone if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert demo.processes() == []
    assert "Stopped." in demo.said()
    assert "Traceback" not in demo.said()
    assert "Error" not in demo.said()
    assert list(demo.folder.iterdir()) == [demo.output]


def test_rows_that_differ_are_found():
    import numpy as np
    import pandas as pd

    from fintech_toolkit.demo import DemoError, _require_same

    frame = pd.DataFrame({"symbol": ["A", "B"], "mid": [1.0, np.nan]})
    _require_same(frame, frame.copy(), "live", "pandas")
    for other in [
        frame.iloc[:1],
        frame.rename(columns={"mid": "middle"}),
        frame.assign(mid=[np.nextafter(1.0, 2.0), np.nan]),
        frame.assign(symbol=["A", "C"]),
    ]:
        with pytest.raises(DemoError, match="live"):
            _require_same(frame, other, "live", "pandas")
