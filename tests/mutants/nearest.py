"""Which code is mutated, and which tests are nearest to it: quick ones first, as the first that fails ends the run."""

from __future__ import annotations

from pathlib import Path

PACKAGE = "fintech_toolkit"

AREAS = {
    "engines": "engines/*.py",
    "joins": "joins/*.py",
    "live": "live/*.py",
    "machinery of the kernels": "kernels/*.py",
}
"""What is mutated, and the name under which its score is reported."""

LEFT_OUT = ("__init__.py", "documentation.py")
"""Lists and prose."""

EDGES = ("tests/engines/test_boundaries.py",)
FRAMES = ("tests/test_bad_input.py", "tests/test_pipeline.py")
STATES = ("tests/test_state.py",)
PLANS = ("tests/engines/test_plans.py", "tests/engines/test_distributed.py")
JOINS = ("tests/joins/test_asof.py",)
FEEDS_JOINED = ("tests/joins/test_live.py",)
CODECS = ("tests/live/test_codecs.py", "tests/live/test_stream.py")
FEEDS = ("tests/live/test_stream.py", "tests/live/test_offsets.py", "tests/live/test_pipeline.py")

# Of the contract what tries each sort of loop: of a tick, windows of rows and time, slots, events, pairs.
CONTRACT = (
    "tests/kernels/test_contract.py",
    "-k",
    "not test_contract or not (example or complete or every_way or new_process or split or interleaving or later)"
    " and (ewma- or rolling_std or rolling_max or realized_spread or time_bars or hayashi or microprice)",
)
KERNELS = (
    "tests/kernels/test_parameters.py",
    "tests/kernels/test_declare.py",
    "tests/kernels/test_scan.py",
    *FRAMES,
    *CONTRACT,
)

NEAREST: dict[str, tuple[str, ...]] = {
    "engines/*": (*FRAMES, *STATES, *PLANS),
    "engines/dask_scan.py": PLANS,
    "engines/distributed.py": PLANS,
    "engines/evidence.py": PLANS,
    "engines/frames.py": (*FRAMES, *STATES, *EDGES),
    "engines/order.py": (*FRAMES, *EDGES),
    "engines/pairs.py": ("tests/engines/test_pairs.py", "tests/test_pipeline.py"),
    "engines/partitions.py": ("tests/engines/test_partitions.py", *PLANS),
    "engines/runner.py": (*FRAMES, *STATES, *EDGES, "tests/engines/test_options.py"),
    "engines/sessions.py": ("tests/engines/test_sessions.py", "tests/test_pipeline.py"),
    "engines/shuffle.py": PLANS,
    "engines/state_file.py": STATES,
    "engines/symbols.py": ("tests/engines/test_symbols.py", *FRAMES, *EDGES),
    "engines/wavefront.py": ("tests/engines/test_wavefront.py", *EDGES),
    "engines/workers.py": ("fintech_toolkit/engines/workers.py", "tests/engines/test_plans.py"),
    "joins/*": (*JOINS, *FEEDS_JOINED),
    "joins/asof.py": JOINS,
    "joins/distributed.py": ("tests/joins/test_distributed.py",),
    "joins/live.py": FEEDS_JOINED,
    "joins/resumable.py": FEEDS_JOINED,
    "joins/routing.py": ("tests/joins/test_distributed.py",),
    "joins/summary.py": JOINS,
    "kernels/*": KERNELS,
    "kernels/compilation.py": (
        "tests/kernels/test_scan.py",
        "tests/test_numba_cache.py::test_without_a_folder_to_write_to_it_works_and_says_so_once",
    ),
    "live/*": FEEDS,
    "live/batch.py": CODECS,
    "live/broker.py": ("tests/live/test_embedded_broker.py",),
    "live/codecs.py": CODECS,
    "live/config.py": ("tests/live/test_config.py", "tests/live/test_stream.py"),
    "live/properties.py": ("tests/live/test_config.py", "tests/live/test_stream.py"),
    "live/schema.py": CODECS,
}
"""The tests of a module: of the last entry that its path fits."""


def nearest(module: str) -> tuple[str, ...]:
    """Return the tests that are nearest to a module."""
    return next(tests for path, tests in reversed(NEAREST.items()) if Path(module).match(path))


COMPILED = ("kernels/loops.py", "kernels/fingerprint.py", "kernels/slots.py", "kernels/compilation.py")
"""What the compiled loops are made of: their mutants start from no compiled loop at all, so that none is an old one."""
