"""Files into a store: every row there or rejected, the same bytes however the files are cut."""

from __future__ import annotations

import gzip
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from data_generators.orders import write_orders
from fintech_toolkit.errors import DataError
from fintech_toolkit.orders import Ingested, Market, Selection, Store, final_states, ingest, match_trades, read_orders
from fintech_toolkit.orders.intake import ALONE, REPEATED
from tests.orders.files import AT, NAMES, TRADE_NAMES, order, text


def bytes_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("security=*/day=*/*")}


def test_the_real_day_in_csv_and_parquet_gives_the_same_store(real_data: Path, tmp_path: Path) -> None:
    day = real_data / "asx_day"
    table = pq.read_table(day / "orders.parquet")
    pa.csv.write_csv(table.set_column(4, "price", table["price"].cast(pa.int64())), tmp_path / "orders.csv")
    stores = []
    for number, (path, chunk) in enumerate([(day / "orders.parquet", 2**30), (tmp_path / "orders.csv", 300_000)]):
        stores.append(tmp_path / f"store{number}")
        found = ingest(path, day / "trades.csv.gz", stores[-1], chunk_bytes=chunk)
        assert [(each.rows, each.taken) for each in found.files] == [(28_452, 28_452), (8_302, 8_302)]
    assert bytes_of(stores[0]) == bytes_of(stores[1])
    assert len(bytes_of(stores[0])) == 3
    store = Store(stores[0])
    evening, whole = store.days()
    assert (evening.order_rows, evening.trade_rows, whole.order_rows, whole.trade_rows) == (52, 0, 28_400, 8_302)
    frames = [store.orders(each.security, each.day) for each in (evening, whole)]
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), read_orders(day / "orders.parquet"))
    assert store.trades(evening.security, evening.day).empty


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three securities on two days; of the first day some rows are damaged, and the second is packed."""
    folder = tmp_path_factory.mktemp("exchange")
    write_orders(folder, securities=3, days=2, states=1_500, seed=1)
    first, second = sorted((folder / "orders").iterdir())
    lines = first.read_bytes().split(b"\n")
    lines[5] += b",1"
    lines[7] = lines[7].replace(lines[7].split(b",")[0], b"x", 1)
    lines.insert(11, lines[10])  # twice
    first.write_bytes(b"\n".join(lines))
    packed = gzip.compress(second.read_bytes(), mtime=0)
    second.unlink()
    second.with_suffix(".csv.gz").write_bytes(packed)
    return folder


def ingested(exchange: Path, store: Path, **options: Any) -> Ingested:
    return ingest(exchange / "orders", exchange / "trades", store, quotes=exchange / "quotes", **options)


@pytest.fixture(scope="module")
def whole(exchange: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that comes of it in one go."""
    store = tmp_path_factory.mktemp("whole") / "store"
    ingested(exchange, store)
    return store


def test_in_is_out_and_rejected_with_file_line_and_reason(exchange: Path, tmp_path: Path) -> None:
    found = ingested(exchange, tmp_path / "store", chunk_bytes=50_000)
    first, second = (each for each in found.files if each.kind == "orders")
    assert first.rejected == {"23 fields instead of 22": 1, "order_id is not a whole number": 1, REPEATED: 1}
    assert (second.rejected, second.taken) == ({}, second.rows)
    read = pd.concat([pd.read_parquet(path) for path in (tmp_path / "store/rejected").iterdir()])
    assert sorted(read["line"]) == [6, 8, 12]
    assert set(read["file"]) == {first.file}
    assert read["text"].str.len().min() > 50
    store = Store(tmp_path / "store")
    for kind in ("orders", "trades", "quotes"):
        there = sum(len(getattr(store, kind)(each.security, each.day)) for each in store.days())
        assert there == sum(each.taken for each in found.files if each.kind == kind)
        assert there == sum(getattr(each, f"{kind.removesuffix('s')}_rows") for each in store.days())


def test_a_side_of_a_trade_without_the_other_is_rejected(tmp_path: Path) -> None:
    def side(number: int, group: int, buys: bool, **other: object) -> dict[str, str]:
        values = (number, AT, 110_621, 900 + number, 47, group, 3345, 10, 1 if buys else 2)
        return {name: str(value) for name, value in {**dict(zip(TRADE_NAMES, values, strict=True)), **other}.items()}

    whole = [side(0, 1, True), side(1, 1, False)]
    alone = [side(2, 2, True), side(3, 3, False), side(4, 3, False), side(5, 4, True, securitycode=7)]
    (tmp_path / "orders.csv").write_text(text([order(0)]))
    (tmp_path / "trades.csv").write_text(text([*whole, *alone], TRADE_NAMES))
    (tmp_path / "later.csv").write_text(text([side(6, 1, True), *(side(n, 5, n == 8) for n in (7, 8))], TRADE_NAMES))
    store = Store(tmp_path / "store")
    for names, days in ((["trades.csv"], 1), (["trades.csv", "later.csv"], 1)):
        found = ingest(tmp_path / "orders.csv", [tmp_path / name for name in names], store.root)
        assert len(found.days) == days  # the other security has nothing else
        _, first, *later = found.files
        assert (first.rows, first.taken, first.rejected) == (6, 2, {ALONE: 4})
        assert [(each.taken, each.rejected) for each in later] == [(2, {ALONE: 1})][: len(later)]
        assert "write both sides" in ALONE
    rejected = pd.concat([pd.read_parquet(path) for path in (store.root / "rejected").iterdir()])
    told = zip(rejected["file"], rejected["line"], rejected["reason"], strict=True)
    lines = [
        (str(tmp_path / name), line, ALONE)
        for name, line in (("later.csv", 2), *(("trades.csv", n) for n in range(4, 8)))
    ]
    assert sorted(told) == lines
    assert store.trades(110_621, found.days[0].day)["matchgroupid"].tolist() == [1, 1, 5, 5]


def test_truth_of_the_generator_comes_out_of_the_store(exchange: Path, whole: Path) -> None:
    store = Store(whole)
    orders = pd.concat([store.orders(each.security, each.day) for each in store.days()])
    last = orders.groupby("order_id").last()
    truth = pd.concat([pd.read_parquet(path) for path in (exchange / "truth").iterdir()]).set_index("order_id")
    truth = truth.loc[last.index]
    damaged = 2  # rows that were rejected may have been the last of their order
    assert (truth["totalmatchedquantity"] != last["totalmatchedquantity"]).sum() <= damaged
    assert len(truth) >= len(last) - damaged


@pytest.mark.parametrize("way", ["chunks", "processes", "other order of files"])
def test_the_same_bytes_in_any_chunks_on_any_workers(
    exchange: Path, tmp_path: Path, way: str, whole: Path, request: Any
) -> None:
    options: dict[str, Any] = {"chunk_bytes": 10_000}
    if way == "processes":
        options["client"] = request.getfixturevalue("client")
    store = tmp_path / "cut"
    if way == "other order of files":
        files = sorted((exchange / "orders").iterdir(), reverse=True)
        ingest(files, exchange / "trades", store, quotes=exchange / "quotes")
    else:
        assert ingested(exchange, store, **options).days == Store(whole).days()
    assert bytes_of(store) == bytes_of(whole)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(exchange: Path, whole: Path, tmp_path: Path) -> None:
    """Killed at many moments: as each file of the store, or of what is kept aside, takes its name."""
    expected = bytes_of(whole)
    program = (
        "import os, sys\n"
        "from fintech_toolkit.orders import ingest\n"
        "replace, left = os.replace, int(sys.argv[1])\n"
        "def counted(*paths):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if not left: os.kill(os.getpid(), 9)\n"
        "    replace(*paths)\n"
        "os.replace = counted\n"
        "folder, store = sys.argv[2:]\n"
        "ingest(folder + '/orders', folder + '/trades', store, quotes=folder + '/quotes', chunk_bytes=60_000)\n"
    )
    for moment in (1, 9, 25):
        store = tmp_path / f"killed{moment}"
        run = subprocess.run([sys.executable, "-c", program, str(moment), str(exchange), str(store)], check=False)
        assert run.returncode == -signal.SIGKILL
        assert not (store / "_manifest.json").exists()
        ingested(exchange, store, chunk_bytes=60_000)
        assert bytes_of(store) == expected
        assert not list(store.rglob(".*"))


def test_a_file_cut_short_fails_alone_and_the_rest_is_kept(exchange: Path, whole: Path, tmp_path: Path) -> None:
    market, store = tmp_path / "market", tmp_path / "store"
    shutil.copytree(exchange, market)
    (packed,) = (market / "orders").glob("*.gz")
    content = packed.read_bytes()
    packed.write_bytes(content[:-1_000])
    with pytest.raises(DataError, match=r"csv\.gz is damaged or cut short"):
        ingested(market, store)
    kept = {path.name for path in (store / ".runs").glob("*.json")}
    assert len([name for name in kept if not name.startswith("cuts")]) == 5
    packed.write_bytes(content)
    found = ingested(market, store)
    assert all(each.rows == each.taken + sum(each.rejected.values()) for each in found.files)
    assert bytes_of(store) == bytes_of(whole)


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    exchange: Path, whole: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
    program = (
        "import sys; from fintech_toolkit.orders import ingest; from fintech_toolkit.errors import DataError\n"
        f"{limit}\n"
        "folder, store = sys.argv[1:]\n"
        "try: ingest(folder + '/orders', folder + '/trades', store, quotes=folder + '/quotes')\n"
        "except DataError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(exchange), str(store)], capture_output=True, text=True, check=True
    )
    assert "cannot be written: File too large. What is finished is kept: make room" in run.stdout, run.stderr
    ingested(exchange, store)
    assert bytes_of(store) == bytes_of(whole)


def first_day(exchange: Path) -> dict[str, list[Path]]:
    return {kind: sorted((exchange / kind).iterdir())[:1] for kind in ("orders", "trades", "quotes")}


def test_files_of_the_next_day_are_added(exchange: Path, whole: Path, tmp_path: Path) -> None:
    store, told = tmp_path / "store", []
    ingest(**first_day(exchange), store=store)
    held = bytes_of(store)
    found = ingested(exchange, store, progress=lambda what, done, of: told.append((what, of)))
    assert bytes_of(store) == bytes_of(whole)
    assert any(bytes_of(store)[name] != data for name, data in held.items())  # the evening before the second day
    assert found == ingested(exchange, whole) == ingested(exchange, store)
    assert max(of for what, of in told if what == "read") == 3  # of six files
    rejected = [pd.concat(map(pd.read_parquet, (each / "rejected").iterdir())) for each in (store, whole)]
    assert [sorted(each["line"]) for each in rejected] == [[6, 8, 12]] * 2


@pytest.mark.parametrize("then", ["the same again", "without the new ones"])
def test_adding_that_was_cut_goes_on_or_is_undone(exchange: Path, whole: Path, tmp_path: Path, then: str) -> None:
    store = tmp_path / "store"

    def stop(what: str, done: int, of: int) -> None:
        if what == "sort" and done == of // 2:
            raise KeyboardInterrupt

    ingest(**first_day(exchange), store=store)
    held = bytes_of(store)
    with pytest.raises(KeyboardInterrupt):
        ingested(exchange, store, progress=stop)
    assert bytes_of(store) not in (held, bytes_of(whole))
    with pytest.raises(DataError, match="holds no finished ingest"):
        Store(store).days()
    if then == "the same again":
        ingested(exchange, store)
        assert bytes_of(store) == bytes_of(whole)
    else:
        ingest(**first_day(exchange), store=store)
        assert bytes_of(store) == held
    assert not (store / ".runs").exists()


def test_a_store_whose_files_changed_takes_no_others(exchange: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(exchange, tmp_path / "changed")
    store = tmp_path / "store"
    ingest(**first_day(changed), store=store)
    held = bytes_of(store)
    with first_day(changed)["orders"][0].open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match="must be given again, and be as they were"):
        ingested(changed, store)
    assert bytes_of(store) == held
    assert Store(store).days()


def test_a_store_of_other_files_is_not_touched(exchange: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    found = ingested(exchange, store)
    before = bytes_of(store)
    assert ingested(exchange, store).days == found.days
    with pytest.raises(DataError, match="holds what came of other files or settings"):
        ingest(exchange / "orders", exchange / "trades", store)
    with pytest.raises(DataError, match="holds other data"):
        ingested(exchange, exchange)
    with pytest.raises(DataError, match="holds no finished ingest"):
        Store(tmp_path).days()
    assert bytes_of(store) == before


def test_only_what_was_asked_for_is_taken_and_the_rest_is_counted(exchange: Path, tmp_path: Path) -> None:
    day = date(2024, 9, 3)
    found = ingested(exchange, tmp_path / "store", only=Selection([110_002], [day]))
    (one,) = found.days
    assert (one.security, one.day) == (110_002, day)
    assert sum(each.taken for each in found.files) == one.order_rows + one.trade_rows + one.quote_rows
    assert sum(each.left_out for each in found.files) > 2 * sum(each.taken for each in found.files)


def test_days_are_local_on_both_sides_of_a_change_of_clock_whatever_a_file_says(tmp_path: Path) -> None:
    times = {
        "2024-10-05T13:59:59.999999999Z": date(2024, 10, 5),  # standard time, UTC + 10
        "2024-10-05T14:00:00Z": date(2024, 10, 6),
        "2024-10-06T12:59:59.999999999Z": date(2024, 10, 6),  # summer time from 2:00 on, UTC + 11
        "2024-10-06T13:00:00Z": date(2024, 10, 7),
        "2024-10-08T00:00:00+11:00": date(2024, 10, 8),
    }
    rows = [{**order(n, timestamp=time), "date": "2024-10-06"} for n, time in enumerate(times)]
    (tmp_path / "orders-2024-10-06.csv").write_text(text(rows, [*NAMES, "date"]))
    (tmp_path / "trades.csv").write_text(text([], TRADE_NAMES))
    found = ingest(tmp_path / "orders-2024-10-06.csv", tmp_path / "trades.csv", tmp_path / "store")
    assert {each.day: each.order_rows for each in found.days} == {
        day: list(times.values()).count(day) for day in times.values()
    }
    assert found.files[0].notes == {"stated day differs from the day of the time": 3}


def test_types_that_went_through_int8_are_noticed_by_their_trades(whole: Path) -> None:
    store, day = Store(whole), date(2024, 9, 3)
    states, trades = store.orders(110_001, day), store.trades(110_001, day)
    match_trades(final_states(states, Market()), trades)
    damaged = states.assign(exchangeordertype=states["exchangeordertype"].astype("int8").astype("int32"))
    with pytest.raises(DataError, match=r"exchangeordertype of order 79.* may have been int8"):
        match_trades(final_states(damaged, Market()), trades)
