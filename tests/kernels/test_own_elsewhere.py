"""Kernels that are declared where users declare them: in a notebook, in a script, in a package of theirs."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest

from tests.processes import python

KERNEL = """
import numpy as np
import fintech_toolkit as ft
from fintech_toolkit.authoring import Number, helper

STEP = 0.5

@helper
def stepped(x):
    return np.floor(x / STEP) * STEP

@ft.tick_kernel(
    reads="x", gives="level", state=[("level", "f8"), ("moves", "i8")], parameters=[Number("band", "a distance", 0.25)]
)
def sticky_level(s, x, band):
    \"\"\"The last level of which x was further away than `band`. What is missing leaves it.\"\"\"
    if np.isfinite(x) and abs(x - s.level) > band:
        s.level = stepped(x)
        s.moves += 1
    return s.level
"""

USE = """
import sys
import dask.dataframe as dd, pandas as pd
from distributed import Client, LocalCluster

random = np.random.default_rng(0)
ticks = pd.DataFrame({
    "symbol": pd.array([f"S{code}" for code in random.integers(0, 5, 2_000)], dtype="str"),
    "ts": pd.to_datetime(np.arange(2_000), unit="s", utc=True),
    "price": 100 + random.normal(size=2_000).cumsum(),
})
pipeline = ft.Pipeline(sticky_level("price", band=1), ft.ewma("level", span=9))
whole = pipeline(ticks)
assert whole["level"].nunique() > 10
"""

CLUSTER = """
with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
    given = pipeline(dd.from_pandas(ticks, npartitions=4)).compute()
    assert np.array_equal(given[["level", "ewma"]], whole[["level", "ewma"]])
print("same on processes")
"""

LIVE = """
from streamz import Stream
from fintech_toolkit.live import EmbeddedBroker

with EmbeddedBroker() as broker:
    config = {"bootstrap.servers": broker.bootstrap_servers}
    feed = Stream()
    feed.to_kafka_frames("ticks", config, key="symbol")
    feed.emit(ticks)
    schema = {"symbol": "str", "ts": "datetime64[ns, UTC]", "price": "float64"}
    source = Stream.from_kafka_frames("ticks", config, schema=schema, group="own", until="latest")
    enriched = pipeline.live(source)
    frames = enriched.sink_to_list()
    source.start()
    assert source.wait(60)
    enriched.state.save("live.parquet")
received, expected = (f.sort_values(["symbol", "ts"]) for f in (pd.concat(frames), whole))
assert np.array_equal(received[["level", "ewma"]], expected[["level", "ewma"]])
print("same live")
"""

SAVE = """
run = pipeline.start()
run(ticks[:1_000])
run.state.save("state.parquet")
open("pipeline.json", "w").write(pipeline.to_json())
print("saved")
"""

GO_ON = """
pipeline = ft.Pipeline.from_json(open("pipeline.json").read())
rest = pipeline.start("state.parquet")(ticks[1_000:])
assert np.array_equal(rest["level"], whole["level"][1_000:])
print("gone on")
"""

CHECK = """
found = ft.check_kernel(sticky_level)
assert found.passed, found
print("checked")
"""


def printed(folder: Path, *arguments: str, **environ: str) -> list[str]:
    done = python(folder, *arguments, **environ)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout.splitlines()


def notebook(folder: Path, *cells: str) -> list[Any]:
    """Run cells in a Jupyter kernel and return what each of them put out, errors too."""
    import nbformat  # takes seconds, which all processes of tests would wait for
    from nbclient import NotebookClient

    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cleandoc(cell)) for cell in cells])
    client = NotebookClient(
        written, timeout=200, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    return [
        "".join(str(output.get("text") or output.get("evalue") or "") for output in cell.outputs)
        for cell in client.execute().cells
    ]


def test_a_cell_of_a_notebook(tmp_path: Path) -> None:
    mistaken = KERNEL.replace("s.moves += 1", "s.steps += 1")
    *_, cluster, live, saved, went_on, checked, same, wrong, changed, refused, loaded = notebook(
        tmp_path,
        KERNEL,
        USE,
        CLUSTER,
        LIVE,
        SAVE,
        GO_ON,
        CHECK,
        f"{KERNEL}\nassert ft.Pipeline(sticky_level('price', band=1), ft.ewma('level', span=9)) == pipeline",
        f"{mistaken}\nsticky_level(np.ones(3))",
        KERNEL.replace("STEP = 0.5", "STEP = 0.25"),
        "ft.Pipeline(sticky_level('price', band=1), ft.ewma('level', span=9)).start('state.parquet')",
        "print(ft.sticky_level is sticky_level, ft.catalogue().loc['sticky_level', 'family'])",
    )
    assert "same on processes" in cluster
    assert "same live" in live
    assert "saved" in saved
    assert "gone on" in went_on
    assert "checked" in checked
    assert (same, changed) == ("", "")
    assert wrong.startswith(
        "sticky_level cannot be compiled.\n  Line 18 of its cell\n    s.steps += 1\nthere is no field"
    )
    assert "sticky_level has been declared anew since" in refused
    assert loaded.split() == ["True", "own"]


def test_a_script_and_those_that_read_what_it_wrote(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    body = "".join(f"    {line}\n" for line in f"{USE}{CLUSTER}{SAVE}".splitlines())
    script.write_text(f"{KERNEL}\nif __name__ == '__main__':\n{body}")
    assert printed(tmp_path, "script.py") == ["same on processes", "saved"]
    script.write_text(f"{KERNEL}{USE}{GO_ON}")
    assert printed(tmp_path, "script.py") == ["gone on"]
    # Without a file, from standard input or the command line, too.
    assert printed(tmp_path, "-c", f"{KERNEL}{USE}{GO_ON}") == ["gone on"]
    for text, message in (
        ("import fintech_toolkit as ft", "'sticky_level', one of your own"),
        (KERNEL.replace("STEP = 0.5", "STEP = 0.25"), "a helper or a constant differs"),
    ):
        for read in ("ft.Pipeline.from_json(open('pipeline.json').read())", "ft.State.load('state.parquet')"):
            done = python(tmp_path, "-c", f"{text}\n{read}")
            assert done.returncode == 1
            assert message in done.stderr.splitlines()[-1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder in which a package with a kernel, and one that offers what is none, are installed."""
    folder = tmp_path / "site"
    (folder / "desk").mkdir(parents=True)
    (folder / "desk" / "__init__.py").write_text("open('imported', 'w').close()\n")
    (folder / "desk" / "levels.py").write_text(KERNEL)
    information = folder / "desk-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: desk\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[fintech_toolkit.kernels]\nsticky_level = desk.levels:sticky_level\nno_kernel = desk.levels:STEP\n"
    )
    return folder


def test_a_package_offers_its_kernels(tmp_path: Path, package: Path) -> None:
    find = {"PYTHONPATH": str(package)}
    use = f"import numpy as np, fintech_toolkit as ft\nsticky_level = ft.sticky_level\n{USE}"
    script = tmp_path / "script.py"
    body = "".join(f"    {line}\n" for line in f"{use}{CLUSTER}{SAVE}".splitlines())
    script.write_text(f"if __name__ == '__main__':\n{body}")
    assert printed(tmp_path, "script.py", **find) == ["same on processes", "saved"]
    assert printed(tmp_path, "-c", f"{use}{GO_ON}", **find) == ["gone on"]
    # It is the same kernel in a notebook, before it moves to a package.
    assert printed(tmp_path, "-c", f"{KERNEL}{USE}{GO_ON}") == ["gone on"]
    (tmp_path / "imported").unlink()
    read = "import fintech_toolkit as ft\nft.Pipeline.from_json(open('pipeline.json').read())"
    done = python(tmp_path, "-c", read, **find)
    assert "is not loaded; a package offers it: import desk.levels, first." in done.stderr.splitlines()[-1]
    assert not (tmp_path / "imported").exists(), "reading imports nothing"
    assert printed(tmp_path, "-c", read.replace("\n", "\nimport desk.levels\n"), **find) == []
    done = python(tmp_path, "-c", "import fintech_toolkit as ft\nft.no_kernel", **find)
    assert "The entry point no_kernel = desk.levels:STEP is not a kernel" in done.stderr.splitlines()[-1]


def test_a_worker_needs_no_package(tmp_path: Path, package: Path) -> None:
    """The kernel's module is found by the client alone."""
    body = "".join(
        f"    {line}\n" for line in f"import sys\nsys.path.insert(0, {str(package)!r})\n{USE}{CLUSTER}".splitlines()
    )
    body = body.replace("import dask", "from desk.levels import sticky_level, ft, np\n    import dask")
    (tmp_path / "script.py").write_text(f"if __name__ == '__main__':\n{body}")
    assert printed(tmp_path, "script.py") == ["same on processes"]
