"""The short form of the benchmark: the same code at a small share of the size."""

import json
from pathlib import Path

import pytest

from benchmarks.bench_generators import main


def test_short_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--share", "0.0005", "--workers", "1", "--json", str(tmp_path / "results.json")])
    results = json.loads((tmp_path / "results.json").read_text())
    printed = capsys.readouterr().out
    assert len(results) == 13
    for result in results:
        assert result["rows"] > 0
        assert result["seconds"] > 0
        assert 10 < result["peak_mb"] < 2_000
        assert f"| {result['case']} | {result['rows']:,} |" in printed
