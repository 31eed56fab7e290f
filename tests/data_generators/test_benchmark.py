"""The short form of the benchmark: the same code at a small share of the size."""

from pathlib import Path

from benchmarks.bench_generators import cases, run, table
from tests.stress import stress


@stress  # the short form of all benchmarks runs it too
def test_short_form(tmp_path: Path) -> None:
    every = cases(0.0005, 1, tmp_path)
    assert [rows for _, rows, _ in every[:4]] == [6_100] * 4
    results = run([every[0], every[-1]])
    for result in results:
        assert result["processor_seconds"] > 0
        assert 10 < result["peak_mb"] < 2_000
        assert f"| {result['case']} | {result['rows']:,} | {result['seconds']:.1f} |" in table(results)
    assert (tmp_path / "parquet" / "quotes" / "_manifest.json").exists()
