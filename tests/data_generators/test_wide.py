"""The wide profile: the narrow market in more columns, and what those columns must hold."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stdnum import cusip, figi, isin, lei
from stdnum.gb import sedol
from typer.testing import CliRunner

from benchmarks.bench_generators import measured
from data_generators import Faults, GeneratorError, sample, stream, to_wire, write
from data_generators.cli import app
from data_generators.datasets import PROFILES
from data_generators.market import QUOTES_PER_DAY
from data_generators.wide.analytics import prices, sensitivities, yields_of
from tests.stress import dealt, stress

NAMES = ["quotes", "securities", "trades"]
AS_OF = pd.Timestamp("2024-01-08")
FAULTS = Faults(duplicate=0.01, malformed=0.01, sentinel=0.01, null_text=0.01, zero_size=0.01)
SENTINELS = [0, 1, 1000, 1001, 1002, 1003, 1004, 1005]


def wide(name: str, rows: int, **options: object) -> pd.DataFrame:
    tables = list(stream(name, rows, profile="wide", **{"symbols": 8, **options}))
    return pa.concat_tables(tables).to_pandas(date_as_object=False)


def two_sided(rows: pd.DataFrame) -> pd.DataFrame:
    """Make the narrow quotes of firm one-sided ones: those of a message are one quote."""
    kept = rows[(rows["action"] == "UPDATE") & rows["firm"] & (rows["level"] == 1)]
    sides = [kept[kept["side"] == side].set_index("quote_id") for side in ("BID", "ASK")]
    bid = sides[0][["symbol", "ts", "price", "size", "dealer"]].rename(columns={"price": "bid", "size": "bid_size"})
    ask = sides[1][["price", "size"]].rename(columns={"price": "ask", "size": "ask_size"})
    both = bid.join(ask).reset_index(drop=True)
    return both[["symbol", "ts", "bid", "ask", "bid_size", "ask_size", "dealer"]]


@pytest.mark.parametrize("withdrawn", [0.0, 0.2])
@pytest.mark.parametrize("seed", [0, 5])
def test_one_sided_rows_reduce_to_the_narrow_quotes(seed: int, withdrawn: float) -> None:
    rows = wide("quotes", 60_000, seed=seed, faults=Faults(withdrawn=withdrawn))
    reduced = two_sided(rows)
    assert len(reduced) > 20_000
    pd.testing.assert_frame_equal(reduced, sample("quotes", len(reduced), seed=seed), check_exact=True)


@pytest.mark.parametrize(("name", "rows"), [("trades", 250_000), ("securities", 40_000)])
def test_wide_rows_are_the_narrow_ones_in_more_columns(name: str, rows: int) -> None:
    narrow = pa.concat_tables(stream(name, rows, seed=3, symbols=40))
    more = pa.concat_tables(stream(name, rows, seed=3, symbols=40, profile="wide"))
    assert more.select(narrow.column_names).equals(narrow)
    assert more.num_columns >= {"trades": 145, "securities": 95}[name]


def test_about_two_thirds_of_a_trade_is_filled() -> None:
    trades = wide("trades", 50_000, symbols=300)
    filled = trades.notna().mean()
    assert (filled > 0.95).mean() == pytest.approx(2 / 3, abs=0.05)
    assert (filled < 0.5).sum() > 25
    assert filled.min() > 0


def test_no_trade_meets_what_was_withdrawn() -> None:
    faults = Faults(withdrawn=0.5)
    columns = ["symbol", "ts", "dealer", "side", "action", "price", "size", "quote_id", "firm"]
    rows = wide("quotes", 60_000, faults=faults)[columns]
    trades = sample("trades", 20_000)[["symbol", "ts"]].assign(trade=True)
    rows = rows[rows["firm"]].assign(trade=False)
    both = pd.concat([rows, trades[trades["ts"] < rows["ts"].iloc[-1]]]).sort_values("ts", kind="stable")
    full: dict[tuple[str, str], dict[str, tuple[float, float, int]]] = {}
    book: dict[tuple[str, str], dict[str, tuple[float, float, int]]] = {}
    deleted = met = empty = 0
    for row in both.itertuples():
        if row.trade:
            met += 1
            for side in ("BID", "ASK"):
                assert book[row.symbol, side] == full[row.symbol, side]
        elif row.action == "DELETE":
            deleted += 1
            taken = book[row.symbol, row.side].pop(row.dealer)
            assert taken == (row.price, row.size, row.quote_id), "what is withdrawn is what stood"
            empty += not book[row.symbol, row.side]
        else:
            for shown in (full, book):
                shown.setdefault((row.symbol, row.side), {})[row.dealer] = (row.price, row.size, row.quote_id)
    assert met > 10_000
    assert deleted > 10_000
    assert empty > 0


def test_every_quote_can_be_withdrawn_the_last_ones_after_the_close() -> None:
    rows = wide("quotes", 528_000 + 2 * QUOTES_PER_DAY, faults=Faults(withdrawn=1.0))
    assert rows["ts"].dt.date.nunique() == 1
    deleted = rows[rows["action"] == "DELETE"]
    assert len(deleted) == 2 * QUOTES_PER_DAY
    last = rows[rows["firm"]].drop_duplicates(["symbol", "dealer", "side"], keep="last")
    assert (last["action"] == "DELETE").all()
    assert (last["ts"].dt.time >= pd.Timestamp("22:00:01").time()).all()


def test_times_of_a_row_follow_each_other() -> None:
    rows = wide("quotes", 100_000, symbols=200, faults=Faults(withdrawn=0.1))
    for earlier, later in itertools.pairwise(["contributed_ts", "processed_ts", "sent_ts", "ts"]):
        assert (rows[earlier] < rows[later]).all()
    delay = rows["ts"] - rows["contributed_ts"]
    assert pd.Timedelta("1ms") < delay.median() < pd.Timedelta("5ms")
    assert delay.quantile(0.999) > 4 * delay.median(), "a few are slow"
    assert delay.max() < pd.Timedelta("6s")
    assert rows["ts"].is_monotonic_increasing
    assert (rows["sequence"] == np.arange(1, len(rows) + 1)).all()
    pairs = rows.groupby(rows.index // 2)
    assert (pairs[["ts", "symbol", "dealer", "quote_id", "action", "firm", "level"]].nunique() == 1).all(axis=None)
    assert (rows["side"] == np.tile(["BID", "ASK"], len(rows) // 2)).all()
    assert (pairs["price"].first() < pairs["price"].last()).all()
    indicative = rows[~rows["firm"]]
    assert len(indicative) == pytest.approx(len(rows) / 11.0, rel=0.2)
    assert set(rows["level"][rows["firm"]]) == {1}
    assert set(indicative["level"]) == {1, 2}
    assert (rows["settlement_date"] > rows["ts"].dt.tz_localize(None)).all()


def test_identifiers_have_their_check_digits_and_keys_match() -> None:
    master = wide("securities", 33_000).set_index("symbol")
    for column, valid in (("cusip", cusip), ("isin", isin), ("figi", figi), ("sedol", sedol)):
        assert master[column].is_unique
        assert master[column].map(valid.is_valid).all()
    for column in ("lei", "parent_lei"):
        assert master[column].drop_duplicates().map(lei.is_valid).all()
    assert (master.groupby("issuer")["lei"].nunique() == 1).all()
    assert (master.groupby("lei")["issuer"].nunique() == 1).all()
    quotes, trades = wide("quotes", 20_000, symbols=500), wide("trades", 20_000, symbols=500)
    for frame in (quotes, trades):
        own = master.loc[frame["symbol"]]
        for column in ("isin", "cusip", "currency"):
            assert np.array_equal(own[column], frame[column])
    own = master.loc[trades["symbol"]]
    for column, theirs in (("figi", "figi"), ("lei", "issuer_lei"), ("maturity", "maturity"), ("rating", "rating")):
        assert np.array_equal(own[column], trades[theirs])
    for column in ("buyer_lei", "seller_lei", "client_lei", "dealer_lei"):
        assert trades[column].drop_duplicates().map(lei.is_valid).all()
    assert set(trades["original_trade_id"]) <= set(trades["trade_id"])
    buys = trades["side"] == 1
    assert np.array_equal(trades["seller"].where(buys, trades["buyer"]), trades["dealer"])
    assert not set(trades["dealer_lei"]) & (set(trades["client_lei"]) | set(master["lei"]))
    second = trades["contra_report_id"].notna()
    assert np.array_equal(second, trades["client_type"] == "DEALER")
    differs = second & (trades["contra_report_price"] != trades["dealer_report_price"])
    assert 0 < differs.sum() < 100
    assert np.array_equal(trades["reports_match"], second & ~differs)


def cash_flows(coupon: float, periods: int, market_yield: float, frequency: int) -> float:
    discount = [(1 + market_yield / 100 / frequency) ** -k for k in range(1, periods + 1)]
    return sum(coupon / frequency * d for d in discount) + 100 * discount[-1]


def test_prices_yields_and_sensitivities_are_those_of_the_cash_flows() -> None:
    random = np.random.default_rng(8)
    for _ in range(200):
        frequency, periods = int(random.integers(1, 3)), int(random.integers(1, 60))
        coupon, rate = float(random.uniform(0, 12)), float(random.uniform(0.1, 15))
        bond = ([coupon], [periods / frequency])
        (price,) = prices(*bond, [rate], [frequency])
        assert price == pytest.approx(cash_flows(coupon, periods, rate, frequency), rel=1e-12)
        assert yields_of([price], *bond, [frequency], [100.0])[0] == pytest.approx(rate, abs=1e-8)
        up, down = (cash_flows(coupon, periods, rate + shift, frequency) for shift in (0.005, -0.005))
        duration, convexity, dv01 = (values[0] for values in sensitivities(*bond, [rate], [frequency], [price]))
        assert dv01 == pytest.approx(down - up, rel=1e-5)
        assert duration == pytest.approx((down - up) / 1e-4 / price, rel=1e-5)
        assert convexity == pytest.approx((up + down - 2 * price) / 0.5e-4**2 / price, rel=1e-3, abs=1e-2)


def test_the_master_is_consistent() -> None:
    master = wide("securities", 50_000, seed=2)
    alive = master[master["maturity"] > AS_OF]
    analytics = ["clean_price", "yield_to_maturity", "modified_duration", "dv01", "benchmark"]
    assert np.array_equal(master[analytics].notna().all(axis=1), master["status"] != "MATURED")
    frequency = alive["coupon_frequency"].replace(0, 2)
    years = (alive["maturity"] - AS_OF).dt.days / 365.25
    again = prices(alive["coupon"], years, alive["yield_to_maturity"], frequency)
    np.testing.assert_allclose(again, alive["clean_price"], atol=0.01)
    np.testing.assert_allclose(alive["dirty_price"], alive["clean_price"] + alive["accrued_interest"])
    np.testing.assert_allclose(alive["dv01"], alive["modified_duration"] * alive["dirty_price"] * 1e-4, atol=1e-5)
    assert (alive["modified_duration"] <= years + 1e-3).all()
    assert (alive["yield_to_worst"] <= alive["yield_to_maturity"]).all()
    assert alive["yield_to_worst"].min() > 0
    paying = alive[alive["coupon_type"] == "FIXED"]
    assert (paying["previous_coupon_date"] <= AS_OF).all()
    assert (paying["next_coupon_date"] > AS_OF).all()
    assert (paying["next_coupon_date"] <= paying["maturity"]).all()
    step = pd.Series(12 / paying["coupon_frequency"])
    for column in ("previous_coupon_date", "next_coupon_date", "first_coupon_date"):
        months = (paying["maturity"].dt.year - paying[column].dt.year) * 12
        months += paying["maturity"].dt.month - paying[column].dt.month
        assert (months % step == 0).all()
        assert (months >= 0).all()
        assert (paying["maturity"].dt.day == paying[column].dt.day).all()
    thirty = paying[paying["day_count"] == "30/360"]
    before = thirty["previous_coupon_date"]
    days = 360 * (2024 - before.dt.year) + 30 * (1 - before.dt.month) + 8 - before.dt.day
    assert np.array_equal(thirty["accrued_days"], days)
    np.testing.assert_allclose(thirty["accrued_interest"], thirty["coupon"] * days / 360)
    for flag, column in (
        ("callable", "first_call_date"),
        ("sinkable", "sink_type"),
        ("make_whole", "make_whole_spread"),
    ):
        assert np.array_equal(master[flag], master[column].notna())
    upcoming = master.dropna(subset="next_call_date")
    assert len(upcoming) > 5_000
    assert upcoming["next_call_date"].between(AS_OF, upcoming["maturity"], inclusive="neither").all()
    assert (upcoming["next_call_date"] >= upcoming["first_call_date"]).all()
    assert (master["investment_grade"] == (master["rating_notch"] <= 10)).all()
    assert master["rating_moodys"].notna().mean() == pytest.approx(0.93, abs=0.02)
    assert np.array_equal(master["rating_sp"], master["rating"])
    assert (master["amount_outstanding"] <= master["amount_issued"]).all()


def test_trades_and_quotes_are_priced_like_bonds() -> None:
    trades, quotes = wide("trades", 20_000, symbols=100), wide("quotes", 20_000, symbols=100)
    master = wide("securities", 16_000).set_index("symbol")
    for frame in (trades, quotes):
        own = master.loc[frame["symbol"]]
        years = (own["maturity"] - AS_OF).dt.days / 365.25
        frequency = own["coupon_frequency"].replace(0, 2)
        again = prices(own["coupon"], years, frame["yield_to_maturity"], frequency)
        np.testing.assert_allclose(again, frame["price"], atol=0.002)
    np.testing.assert_allclose(trades["principal"], trades["price"] * trades["size"] / 100, atol=0.006)
    paid = trades["principal"] + trades["accrued_amount"] + trades["side"] * trades["commission"]
    np.testing.assert_allclose(trades["net_amount"], paid, atol=0.02)
    assert (trades["yield_to_worst"] <= trades["yield_to_maturity"]).all()
    assert 0 < (trades["yield_to_worst"] < trades["yield_to_maturity"]).mean() < 0.4
    assert trades["yield_to_worst"].min() > 0
    risk = trades["modified_duration"] * trades["dirty_price"] * 1e-4
    np.testing.assert_allclose(trades["dv01"], risk, atol=1e-5)
    np.testing.assert_allclose(trades["position_dv01"], risk * trades["size"] / 100, rtol=1e-3)
    foreign = trades["currency"] != "USD"
    assert np.array_equal(foreign, trades["fx_rate"].notna())
    assert (trades["order_ts"] < trades["ts"]).all()
    assert (trades["ts"] < trades["dealer_report_ts"]).all()
    overdue = trades["dealer_report_ts"] - trades["ts"] > pd.Timedelta("15min")
    assert np.array_equal(overdue, trades["dealer_report_late"])
    published = trades[trades["published"]]
    assert (published["published_size"] <= published["size"]).all()
    assert (published["published_ts"] > published["dealer_report_ts"]).all()


@pytest.mark.parametrize("name", dealt(NAMES, 1))
def test_rows_do_not_depend_on_partitions_workers_or_length(tmp_path: Path, name: str) -> None:
    options = {"seed": 11, "symbols": 30, "profile": "wide", "faults": FAULTS}
    expected = pa.concat_tables(stream(name, 30_000, **options))
    listed = set()
    for partitions, workers in ((1, 1), (3, 2)):
        folder = tmp_path / str(partitions)
        write(name, folder, 30_000, partitions=partitions, workers=workers, **options)
        parts = [pq.read_table(path) for path in sorted(folder.glob("part-*"))]
        assert pa.concat_tables(parts).equals(expected)
        listed.add((folder / "_faults.csv").read_text())
    assert len(listed) == 1
    assert pa.concat_tables(stream(name, 7_000, batch_rows=999, **options)).equals(expected.slice(0, 7_000))
    found = pd.read_csv(tmp_path / "1" / "_faults.csv")["kind"].value_counts()
    for kind in ("malformed", "sentinel", "null_text", "zero_size", "duplicate"):
        assert found[kind] == pytest.approx(300, rel=0.25)


def test_the_side_file_lists_every_fault_of_wide_quotes(tmp_path: Path) -> None:
    faults = Faults(0.01, 0.02, 0.01, 0.0, 0.01, 0.01, 0.01, 0.01, withdrawn=0.05)
    write("quotes", tmp_path, 30_000, symbols=8, profile="wide", partitions=3, faults=faults)
    frame = pd.concat([pd.read_parquet(path) for path in sorted(tmp_path.glob("part-*"))], ignore_index=True)
    wrong = {
        "symbol missing": frame["symbol"].isna(),
        "ts missing": frame["ts"].isna(),
        "price missing": frame["price"].isna(),
        "size negative": frame["size"] < 0,
        "cusip with a wrong check digit": ~frame["cusip"].map(cusip.is_valid),
        "isin with a wrong check digit": ~frame["isin"].map(isin.is_valid),
        "size is 0": frame["size"] == 0,
        "quote withdrawn": frame["action"] == "DELETE",
        "copy of the row before": (frame["sequence"] == frame["sequence"].shift()),
        **{f"price is {value}": frame["price"] == value for value in SENTINELS},
        **{f"{column} is the text NULL": frame[column] == "NULL" for column in ("dealer", "venue", "currency")},
    }
    # The feed numbers its rows: one that comes after a higher number is late or out of order.
    sequence = frame["sequence"].where(frame["ts"].notna())
    overtaken = sequence < sequence.cummax()
    behind = frame["ts"].cummax() - frame["ts"]
    late = overtaken & (behind >= pd.Timedelta("60s"))
    wrong["a record newer by 60 s or more came before"] = late
    wrong["a newer record came before"] = overtaken & ~late & (behind > pd.Timedelta(0))
    wrong["a later record of the same time came before"] = overtaken & (behind == pd.Timedelta(0))
    found = {(int(row), detail) for detail, rows in wrong.items() for row in np.flatnonzero(rows)}
    listed = pd.read_csv(tmp_path / "_faults.csv")
    assert found == set(zip(listed["row"], listed["detail"], strict=True))
    assert len(listed) == len(found)
    assert {detail for detail, rows in wrong.items() if not rows.any()} <= {
        "a later record of the same time came before"
    }, "what the feed cannot show proves nothing"


def test_the_wire_of_wide_records(tmp_path: Path) -> None:
    write("trades", tmp_path, 2_000, symbols=8, profile="wide", format="jsonl", partitions=1)
    lines = [json.loads(line) for line in (tmp_path / "part-00000.jsonl").read_text().splitlines()]
    trades = sample("trades", 2_000, profile="wide")
    assert list(lines[0]) == list(to_wire(trades, "trades", profile="wide").columns)
    assert {"instrumentId", "buySellIndicator", "dealerReportTimestamp", "spreadToBenchmark"} <= set(lines[0])
    assert [line["originalTradeId"] for line in lines] == trades["original_trade_id"].tolist()
    assert {type(line["tradeId"]) for line in lines} == {int}
    assert lines[0]["contraReportPrice"] is None or lines[0]["contraReportId"]
    quotes = to_wire(sample("quotes", 100, profile="wide"), "quotes", profile="wide")
    for column in ("timestamp", "contributedTimestamp", "processedTimestamp", "sentTimestamp"):
        assert quotes[column].str.fullmatch(r"2024-01-08T\d\d:\d\d:\d\d\.\d{6}Z").all()
    assert set(quotes["side"]) == {"BID", "ASK"}
    for dataset in PROFILES["wide"].values():
        assert len(set(dataset.wire.values())) == len(dataset.schema)


@stress
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    command = ["-m", "data_generators", "securities", "--profile", "wide", "--workers", "1"]
    peaks = [
        measured([*command, f"--rows={rows}", f"--out={tmp_path / str(rows)}"])["peak_mb"]
        for rows in (270_000, 530_000)
    ]
    assert peaks[1] < peaks[0] + 60, "260,000 rows more would take 200 MB more"


def test_commands_and_errors(tmp_path: Path) -> None:
    runner = CliRunner()
    options = ["--profile", "wide", "--symbols", "8", "--workers", "1"]
    arguments = ["quotes", "--rows", "3e3", "--withdrawn", "0.1", "--sentinel", "0.01", *options]
    result = runner.invoke(app, [*arguments, "--out", str(tmp_path / "quotes")])
    assert result.exit_code == 0, result.output
    kinds = set(pd.read_csv(tmp_path / "quotes" / "_faults.csv")["kind"])
    assert kinds == {"withdrawn", "sentinel"}
    narrow = runner.invoke(app, ["quotes", "--rows", "3e3", "--symbols", "8", "--out", str(tmp_path / "quotes")])
    assert narrow.exit_code == 1
    assert "choose another or --overwrite" in narrow.output
    with pytest.raises(GeneratorError, match="there is no profile 'broad': choose one of narrow, wide"):
        sample("quotes", profile="broad")
    with pytest.raises(GeneratorError, match="without a column 'action' cannot be withdrawn"):
        stream("quotes", 10, faults=Faults(withdrawn=0.1))
    with pytest.raises(GeneratorError, match="without a column 'bid' cannot be crossed"):
        stream("quotes", 10, profile="wide", faults=Faults(crossed=0.1))
