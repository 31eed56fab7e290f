"""Which code is mutated, and which tests are nearest to it: quick ones first, as the first that fails ends the run."""

from __future__ import annotations

from pathlib import Path

PACKAGE = "fintech_toolkit"

AREAS = {
    "frames": "frames/*.py",
    "engines": "engines/*/*.py",
    "enrichment": "enrichment/*.py",
    "flow": "flow/*.py",
    "joins": "joins.py",
    "kafka": "kafka/*.py",
    "market quality": "kernels/market_quality/*.py",
    "the keyed scan": "scan/*.py",
}
"""What is mutated, and the name under which its score is reported."""

LEFT_OUT = ("__init__.py", "documentation.py")
"""Lists and prose."""

EDGES = ("tests/engines/test_boundaries.py",)
FRAMES = ("tests/test_bad_input.py", "tests/test_pipeline.py")
RUNS = ("tests/test_second_use_of_runs.py", "tests/test_integer_times.py")
HOSTILE = ("tests/test_hostile_frames.py", "tests/test_hostile_inputs.py")
STATES = ("tests/test_state.py",)
STREAMS = ("tests/engines/test_stream.py", "tests/engines/test_emitted_rows.py")
PLANS = (
    "tests/engines/test_plans.py",
    "tests/engines/test_evidence.py",
    "tests/engines/test_compositions.py",
    "tests/engines/test_order.py",
    "tests/engines/test_everyday_state.py",
    "tests/engines/test_backpressure.py",
    "tests/engines/test_distributed.py",
)
DATASETS = (
    "tests/engines/test_partitions.py",
    "tests/engines/test_datasets_assignment.py",
    "tests/engines/test_datasets_inputs.py",
    "tests/engines/test_datasets_folder.py",
    "tests/engines/test_datasets.py",
    "tests/engines/test_datasets_dtypes.py",
)
JOINS = (
    "tests/joins/test_asof.py",
    "tests/joins/test_tolerance.py",
    "tests/joins/test_boundaries.py",
    "tests/joins/test_known_at.py",
    "tests/joins/test_names.py",
)
JOINS_ON_DASK = ("tests/joins/test_distributed.py", *JOINS, "tests/joins/test_no_look_ahead.py")
FEED_JOINS = (
    "tests/joins/test_horizon.py",
    "tests/joins/test_window_join.py",
    "tests/joins/test_interval_join.py",
)
FEEDS_JOINED = ("tests/joins/test_live.py", "tests/joins/test_watermarks.py", "tests/joins/test_second_use.py", *JOINS)
WINDOWS = ("tests/flows/test_windows.py", "tests/flows/test_window_values.py")
CROSS_SECTIONS = ("tests/flows/test_cross_section.py", "tests/flows/test_cross_section_use.py")
LOOKUPS = ("tests/joins/test_lookup.py",)
REFERENCES = ("tests/joins/test_reference_table.py", "tests/joins/test_reference_file.py", *LOOKUPS)
FLOWS = (
    "tests/flows/test_rules.py",
    "tests/flows/test_descriptions.py",
    "tests/flows/test_runs.py",
    "tests/flows/test_engines.py",
)
ENRICHMENT = tuple(f"tests/enrichment/test_{name}.py" for name in ("trades", "best", "limits", "feeds", "sql", "ways"))
FOLDERS = tuple(f"tests/enrichment/test_{name}.py" for name in ("checks", "folder"))
CODECS = (
    "tests/live/test_codecs.py",
    "tests/live/test_days.py",
    "tests/live/test_arrow_codec.py",
    "tests/live/test_stream.py",
)
FEEDS = (
    "tests/live/test_stream.py",
    "tests/live/test_offsets.py",
    "tests/live/test_pipeline.py",
    "tests/live/test_after_the_end.py",
    "tests/live/test_values.py",
)

# Of the contract what tries each sort of loop: of a tick, windows of rows and time, slots, events, pairs.
CONTRACT = (
    "tests/kernels/test_contract.py",
    "-k",
    "not test_contract or not (example or complete or every_way or new_process or split or interleaving or later)"
    " and (ewma- or rolling_std or rolling_max or realized_spread or time_bars or hayashi or microprice)",
)
MARKET_QUALITY = (
    "tests/kernels/test_contract.py",
    "-k",
    "not test_contract or ((oracle or split)"
    " and (activity or herfindahl or best_bid or depth or two_sided or joint_key or latency or markout or order_book"
    " or percentage_spread or quote_volatility or velocity or stability or price_improvement or inside))",
)
TICKS = ("tests/kernels/test_contract.py", "-k", "not test_contract or one_at_a_time")
KERNELS = (
    "tests/kernels/test_parameters.py",
    "tests/kernels/test_spellings.py",
    "tests/kernels/test_declare.py",
    "tests/kernels/test_own.py",
    "tests/kernels/test_scan.py",
    *FRAMES,
    *CONTRACT,
)
CALLS = (
    "tests/test_array_calls.py",
    "tests/test_whole_series.py",
    "tests/test_whole_numbers.py",
    "tests/test_array_hostile.py",
)

NEAREST: dict[str, tuple[str, ...]] = {
    "frames/*": (*FRAMES, *RUNS, *STATES, *EDGES, *HOSTILE),
    "frames/dtypes.py": DATASETS,
    "frames/few_columns.py": ("tests/engines/test_few_rows.py", *FRAMES, *HOSTILE),
    "frames/key_bytes.py": REFERENCES,
    "frames/new_columns.py": ("tests/engines/test_emitted_rows.py", *FRAMES, *HOSTILE),
    "frames/order.py": ("tests/engines/test_time_order.py", "tests/engines/test_few_rows.py", *FRAMES, *EDGES),
    "frames/sessions.py": ("tests/engines/test_sessions.py", "tests/test_pipeline.py"),
    "frames/symbol*": (
        "tests/engines/test_symbols.py",
        "tests/engines/test_few_rows.py",
        *FRAMES,
        *STATES,
        *EDGES,
        *HOSTILE,
    ),
    "frames/taking.py": JOINS,
    "frames/text_codes.py": ("tests/engines/test_text_codes.py", "tests/engines/test_symbols.py", *FRAMES),
    "frames/times.py": (*FRAMES, *RUNS, "tests/joins/test_asof.py", *EDGES, *HOSTILE),
    "engines/dask/*": PLANS,
    "engines/dask/asof.py": JOINS_ON_DASK,
    "engines/dask/assignment.py": DATASETS,
    "engines/dask/cross_sections.py": CROSS_SECTIONS,
    "engines/dask/feed_joins.py": FEED_JOINS,
    "engines/dask/horizon.py": FEED_JOINS,
    "engines/dask/near_rows.py": FEED_JOINS,
    "engines/dask/chain.py": (*PLANS, "tests/engines/test_everyday.py"),
    "engines/dask/operator_chain.py": WINDOWS,
    "engines/dask/partition_files.py": DATASETS,
    "engines/dask/partitions.py": (*DATASETS, *PLANS),
    "engines/dask/routing.py": JOINS_ON_DASK,
    "engines/dask/run.py": ("tests/engines/test_everyday_state.py", *RUNS),
    "engines/dask/scans.py": (*PLANS, "tests/engines/test_everyday.py"),
    "engines/dask/shuffle.py": (*PLANS, *DATASETS),
    "engines/dask/versions.py": DATASETS,
    "engines/dask/windows.py": WINDOWS,
    "engines/dask/workers.py": ("fintech_toolkit/engines/dask/workers.py", "tests/engines/test_plans.py"),
    "engines/dask/dataflow.py": ("tests/flows/test_engines.py", "tests/flows/test_files.py", *FLOWS[1:3]),
    "engines/live/*": FEEDS,
    "engines/live/asof.py": ("tests/live/test_join.py", "tests/live/test_flows.py", *FEEDS_JOINED),
    "engines/live/batch.py": (*FEEDS, "tests/live/test_sinks.py", "tests/live/test_dead_letters.py"),
    "engines/live/cross_sections.py": ("tests/live/test_topic_cross_sections.py",),
    "engines/live/dataflow.py": ("tests/flows/test_engines.py",),
    "engines/live/flow_stream.py": ("tests/flows/test_windows.py", "tests/live/test_flows.py"),
    "engines/live/join_partition.py": ("tests/live/test_flows.py", "tests/live/test_join.py"),
    "engines/live/partition_states.py": (
        "tests/live/test_topic_cross_sections.py",
        *FEEDS,
        "tests/live/test_nodes.py",
        "tests/live/test_flows.py",
    ),
    "engines/live/pipeline.py": (*FEEDS, "tests/live/test_nodes.py"),
    "engines/live/windows.py": (*WINDOWS, "tests/live/test_windows.py"),
    "engines/memory/*": (*FRAMES, *STATES, *PLANS),
    "engines/memory/asof.py": (*JOINS, *FEEDS_JOINED, "tests/joins/test_hostile.py"),
    "engines/memory/asof_summary.py": JOINS,
    "engines/memory/cross_loops.py": CROSS_SECTIONS,
    "engines/memory/cross_run.py": (*CROSS_SECTIONS, "tests/live/test_topic_cross_sections.py"),
    "engines/memory/cross_sections.py": CROSS_SECTIONS,
    "engines/memory/keys.py": (
        "tests/engines/test_few_rows.py",
        *FRAMES,
        *RUNS,
        *EDGES,
        *JOINS,
        "tests/engines/test_parts.py",
    ),
    "engines/memory/files.py": ("tests/flows/test_files.py", "tests/flows/test_conditions.py"),
    "engines/memory/filters.py": ("tests/flows/test_conditions.py",),
    "engines/memory/flow_run.py": ("tests/flows/test_runs.py", "tests/flows/test_engines.py"),
    "engines/memory/gather.py": REFERENCES,
    "engines/memory/hash_table.py": (*LOOKUPS, *REFERENCES[:2]),
    "engines/memory/inputs.py": ("tests/flows/test_descriptions.py", "tests/flows/test_files.py", *FLOWS),
    "engines/memory/key_index.py": REFERENCES,
    "engines/memory/key_report.py": ("tests/joins/test_key_report.py",),
    "engines/memory/lookup.py": LOOKUPS,
    "engines/memory/pairs.py": (
        "tests/engines/test_pairs.py",
        "tests/engines/test_pairs_of_any_sort.py",
        "tests/test_pipeline.py",
    ),
    "engines/memory/feed.py": FEEDS_JOINED,
    "engines/memory/lane.py": ("tests/engines/test_tick.py", *TICKS),
    "engines/memory/feed_joins.py": FEED_JOINS,
    "engines/memory/horizon.py": FEED_JOINS,
    "engines/memory/near_rows.py": FEED_JOINS,
    "engines/memory/last_rows.py": FEEDS_JOINED,
    "engines/memory/pages.py": STREAMS,
    "engines/memory/plan.py": ("tests/test_pipeline.py",),
    "engines/memory/reference_file.py": REFERENCES[1::-1],
    "engines/memory/reference_table.py": REFERENCES,
    "engines/memory/relational.py": FLOWS,
    "engines/memory/resumable_asof.py": FEEDS_JOINED,
    "engines/memory/run.py": (*FRAMES, *RUNS, *STATES, *EDGES, "tests/engines/test_parts.py", *HOSTILE),
    "engines/memory/runs.py": (*STREAMS, *JOINS),
    "engines/memory/join_keys.py": (*JOINS, *FEEDS_JOINED),
    "engines/memory/search.py": (*JOINS, *FEEDS_JOINED),
    "engines/memory/sides.py": (
        *JOINS,
        "tests/joins/test_second_use.py",
        "tests/joins/test_hostile.py",
        "tests/joins/test_sifted.py",
        "tests/live/test_join.py",
    ),
    "engines/memory/state.py": (*STATES, *RUNS, *PLANS),
    "engines/memory/state_file.py": STATES,
    "engines/memory/stream.py": (*STREAMS, *FRAMES),
    "engines/memory/tick.py": ("tests/engines/test_tick.py", *TICKS),
    "engines/memory/ticks.py": (
        *STREAMS,
        "tests/engines/test_few_rows.py",
        *FRAMES,
        *RUNS,
        *EDGES,
        "tests/engines/test_parts.py",
        "tests/engines/test_options.py",
        *HOSTILE,
    ),
    "engines/memory/waiting_join.py": (*FEEDS_JOINED, *FEED_JOINS),
    "engines/memory/versions.py": REFERENCES,
    "engines/memory/wavefront.py": ("tests/engines/test_wavefront.py", *EDGES),
    "engines/memory/window_columns.py": WINDOWS,
    "engines/memory/window_loops.py": WINDOWS,
    "engines/memory/window_run.py": WINDOWS,
    "engines/memory/windows.py": WINDOWS,
    "enrichment/*": ENRICHMENT,
    "enrichment/checks.py": FOLDERS,
    "enrichment/command.py": FOLDERS[1:],
    "enrichment/discovery.py": ("tests/enrichment/test_discovery.py",),
    "enrichment/folder.py": FOLDERS[1:],
    "enrichment/identifiers.py": FOLDERS[:1],
    "enrichment/intake.py": FOLDERS,
    "enrichment/market.py": (*ENRICHMENT, *FOLDERS[1:]),
    "enrichment/plans.py": FOLDERS[1:],
    "enrichment/report.py": ("tests/enrichment/test_report.py",),
    "flow/*": FLOWS,
    "flow/asof.py": (*JOINS, *FEEDS_JOINED),
    "flow/cross_sections.py": CROSS_SECTIONS,
    "flow/feed_joins.py": FEED_JOINS,
    "flow/window_joins.py": FEED_JOINS,
    "flow/conditions.py": ("tests/flows/test_conditions.py", *FLOWS),
    "flow/plan.py": ("tests/test_pipeline.py",),
    "flow/pipeline.py": (*FRAMES, *STATES),
    "flow/windows.py": WINDOWS,
    "joins.py": (*JOINS, "tests/joins/test_hostile.py"),
    "kafka/*": FEEDS,
    "kafka/arrow_codec.py": CODECS,
    "kafka/codecs.py": CODECS,
    "kafka/config.py": ("tests/live/test_config.py", "tests/live/test_stream.py"),
    "kafka/dead_letters.py": ("tests/live/test_dead_letters.py", "tests/live/test_after_the_end.py"),
    "kafka/embedded_broker.py": ("tests/live/test_embedded_broker.py",),
    "kafka/json_codec.py": CODECS,
    "kafka/json_encoding.py": CODECS,
    "kafka/membership.py": (*FEEDS, "tests/live/test_resumption.py", "tests/live/test_owners.py"),
    "kafka/message_schema.py": CODECS,
    "kafka/messages.py": CODECS,
    "kafka/properties.py": ("tests/live/test_config.py", "tests/live/test_stream.py"),
    "kafka/resumption.py": ("tests/live/test_resumption.py", "tests/live/test_values.py"),
    "kafka/sinks.py": ("tests/live/test_sinks.py", "tests/live/test_table.py", *FEEDS),
    "kafka/writer.py": ("tests/live/test_sinks.py", "tests/live/test_dead_letters.py", *FEEDS),
    "kernels/market_quality/*": (
        "tests/kernels/test_golden_market_quality.py",
        "tests/kernels/test_books.py",
        *ENRICHMENT[:4],
        *MARKET_QUALITY,
    ),
    "scan/*": KERNELS,
    "scan/across.py": CROSS_SECTIONS,
    "scan/arithmetic.py": ("tests/kernels/test_digits.py",),
    "scan/arrays.py": (*CALLS, *KERNELS),
    "scan/compilation.py": (
        "tests/kernels/test_scan.py",
        "tests/test_numba_cache.py::test_without_a_folder_to_write_to_it_works_and_says_so_once",
    ),
    "scan/declaration.py": (*CALLS, *KERNELS),
    "scan/diagnosis.py": ("tests/kernels/test_own.py",),
    "scan/fingerprint.py": (
        "tests/kernels/test_own.py",
        "tests/test_numba_cache.py",
        "-k",
        "test_own or named or part",
    ),
    "scan/compiled_loops.py": (*KERNELS, "tests/kernels/test_processors.py"),
    "scan/loops.py": (*KERNELS, "tests/kernels/test_digits.py"),
    "scan/slots.py": (*KERNELS, "tests/kernels/test_digits.py"),
    "scan/steps.py": (*KERNELS, *CALLS),
    "scan/threads.py": ("tests/engines/test_wavefront.py", *CALLS),
    "scan/values.py": (*CALLS, *FRAMES, *HOSTILE),
}
"""The tests of a module: of the last entry that its path fits."""


def nearest(module: str) -> tuple[str, ...]:
    """Return the tests that are nearest to a module: the examples in it, then others."""
    tests = next(tests for path, tests in reversed(NEAREST.items()) if Path(module).match(path))
    return (f"{PACKAGE}/{module}", *tests)


COMPILED = (
    "scan/loops.py",
    "scan/compiled_loops.py",
    "scan/entry.py",
    "scan/fingerprint.py",
    "scan/slots.py",
    "scan/compilation.py",
)
"""What the compiled loops are made of: their mutants start from no compiled loop at all, so that none is an old one."""
