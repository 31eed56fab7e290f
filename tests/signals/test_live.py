"""Signals over a real broker: three topics in, signals and what came of them out to topics and to a browser."""

from __future__ import annotations

from typing import Any

import pandas as pd
from playwright.sync_api import Browser
from streamz import Stream

import fintech_toolkit as ft
from fintech_toolkit.dashboards import live_dashboard, serve
from fintech_toolkit.signals import COLUMNS, outcomes_flow, signals, signals_flow
from fintech_toolkit.signals.panels import signal_panels
from tests.browser import COLORED, complaints, new_page, wait_until
from tests.frames import same
from tests.live.topics import SECONDS, Topic
from tests.signals.worlds import world

ANSWERED = outcomes_flow(ft.source("signals")).filter(("complete", "==", True))
KEYS = {"prices": "contract", "vix": None, "spx": None}


def test_three_topics_in_and_two_out(kafka_broker: str, kafka_topic: Topic, browser: Browser) -> None:
    """The bits of the batch, and a page that draws them."""
    feeds = world(250, 4, seed=11)
    config = {"bootstrap.servers": kafka_broker}
    topics = {name: kafka_topic() for name in (*feeds, "signals", "outcomes")}
    sources: dict[str, Any] = {}
    for name, frame in feeds.items():
        stream = Stream()
        sink = stream.to_kafka_frames(topics[name], config, key=KEYS[name])
        stream.emit(frame)
        sink.destroy()
        schema = frame.dtypes.astype(str).to_dict()
        how = {"group": topics["prices"], "batch_size": 90, "until": "latest", "schema": schema}
        sources[name] = Stream.from_kafka_frames(topics[name], config, **how)
    live = signals_flow().live(**sources)
    outcomes = ANSWERED.live(signals=live)
    live.to_kafka_frames(topics["signals"], config, key="contract")
    outcomes.to_kafka_frames(topics["outcomes"], config, key="contract")
    table = live.to_table(symbol="contract")
    for source in sources.values():
        source.start()
    for source in sources.values():
        assert source.wait(SECONDS)
    live.flush()
    outcomes.flush()
    whole = {"signals": signals(**feeds)[list(COLUMNS[:-2])], "outcomes": ANSWERED(signals=signals(**feeds))}
    for name, by in (("signals", ["timestamp", "contract"]), ("outcomes", ["ts", "contract"])):
        schema = whole[name].dtypes.astype(str).to_dict()
        back = Stream.from_kafka_frames(topics[name], config, schema=schema, group="check", until="latest")
        rows = back.sink_to_list()
        back.start()
        assert back.wait(SECONDS)
        same(*(frame.sort_values(by, ignore_index=True) for frame in (pd.concat(rows), whole[name])))
    with serve(lambda: live_dashboard(table, sources["prices"], signal_panels(), time="timestamp")) as address:
        page = new_page(browser)
        heard = complaints(page)
        page.goto(address)
        wait_until(lambda: sum(pixels > 300 for pixels in page.evaluate(COLORED)) == len(signal_panels()), page)
        page.close()
    assert heard == []
