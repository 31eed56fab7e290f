"""The commands as a user calls them."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from data_generators import sample
from data_generators.cli import app

RUNNER = CliRunner()


@pytest.mark.parametrize("command", [[], ["quotes"], ["securities"], ["trades"], ["all"], ["orders"]])
def test_help_everywhere(command: list[str]) -> None:
    result = RUNNER.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "--out" in result.output or not command


def test_rows_are_read_as_people_write_them(tmp_path: Path) -> None:
    for number, text in enumerate(["1.2e3", "1200", "1_200", "1200.0"]):
        out = tmp_path / str(number)
        result = RUNNER.invoke(app, ["quotes", "--rows", text, "--symbols", "8", "--out", str(out), "--workers", "1"])
        assert result.exit_code == 0, result.output
        assert f"wrote 1,200 quotes in {out} (1 files, " in result.output
        pd.testing.assert_frame_equal(pd.read_parquet(out), sample("quotes", 1_200), check_dtype=True)


def test_all_three_belong_to_each_other(tmp_path: Path) -> None:
    rows = ["--quotes-rows", "15000", "--securities-rows", "30000", "--trades-rows", "10000"]
    result = RUNNER.invoke(app, ["all", *rows, "--seed", "3", "--workers", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    quotes, master, trades = (pd.read_parquet(tmp_path / name) for name in ("quotes", "securities", "trades"))
    assert (len(quotes), len(master), len(trades)) == (15_000, 30_000, 10_000)
    assert set(trades["symbol"]) <= set(quotes["symbol"]) <= set(master["symbol"])
    assert (trades["ts"] > trades["symbol"].map(quotes.groupby("symbol")["ts"].min())).all()


def test_orders_of_an_exchange(tmp_path: Path) -> None:
    size = ["--securities", "1", "--days", "2", "--states", "3e2", "--format", "parquet"]
    result = RUNNER.invoke(app, ["orders", *size, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    states = sum(len(pd.read_parquet(path)) for path in (tmp_path / "orders").iterdir())
    assert f"10 files in {tmp_path} (" in result.output.replace("\n", "")
    assert f"wrote {states:,} order states" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["quotes", "--rows", "1.5"], 2, "'1.5' is not a whole number"),
        (["quotes", "--rows", "many"], 2, "'many' is not a whole number"),
        (["quotes", "--rows", "nan"], 2, "'nan' is not a whole number"),
        (["quotes", "--rows", "1e400"], 2, "is not a whole number"),
        (["quotes", "--rows", "-1"], 1, "rows must be a whole number of at least 0, not -1"),
        (["quotes", "--late", "1.5"], 1, "share of late records must be from 0 to 1, not 1.5"),
        (["quotes", "--late", "-0.1"], 1, "share of late records must be from 0 to 1, not -0.1"),
        (["quotes", "--crossed", "0.7", "--late", "0.7"], 1, "a record has one fault at most"),
        (["quotes", "--symbols", "0"], 1, "symbols must be a whole number of at least 1, not 0"),
        (["quotes", "--symbols", "50001"], 1, "symbols must be a whole number from 1 to 50,000"),
        (["quotes", "--seed", str(2**64)], 1, "seed must be a whole number from 0 to 2**64 - 1"),
        (["quotes", "--seed", "-1"], 1, "seed must be a whole number of at least 0, not -1"),
        (["quotes", "--partitions", "0"], 1, "partitions must be a whole number of at least 1"),
        (["quotes", "--format", "xml"], 2, "xml"),
        (["trades", "--crossed", "0.1"], 2, "No such option"),
        (
            ["securities", "--rows", "2e8", "--workers", "1"],
            1,
            "rows of securities must be at most 157,204,480",
        ),
        (["quotes", "--rows", "1e13"], 1, "rows of quotes must be at most 12,000,000,000"),
        (["all", "--securities-rows", "10"], 1, "need a security master of at least"),
    ],
)
def test_bad_input_ends_with_a_clear_line(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = RUNNER.invoke(app, [*arguments, "--out", str(tmp_path / "none")])
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "none").exists()


def test_the_folder_is_not_optional() -> None:
    assert RUNNER.invoke(app, ["quotes"]).exit_code == 2
