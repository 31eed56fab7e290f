"""The embedded broker: found by other processes' clients, ends with its owner."""

from __future__ import annotations

import subprocess
import sys

import psutil
from confluent_kafka import Consumer, Producer

from fintech_toolkit.kafka.embedded_broker import EmbeddedBroker
from tests.live.topics import SECONDS


def test_what_is_produced_is_consumed() -> None:
    with EmbeddedBroker() as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("quotes", b"tick")
        assert producer.flush(SECONDS) == 0
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "test",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["quotes"])
        message = consumer.poll(SECONDS)
        consumer.close()
        assert message is not None
        assert message.value() == b"tick"


def test_it_ends_when_its_owner_is_killed() -> None:
    code = "\n".join(
        [
            "from fintech_toolkit.kafka.embedded_broker import EmbeddedBroker",
            "broker = EmbeddedBroker().start()",
            "print('up', flush=True)",
            "input()",
        ]
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    (child,) = psutil.Process(owner.pid).children()
    owner.kill()
    owner.communicate()
    psutil.wait_procs([child], timeout=SECONDS)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_stopping_twice_is_stopping_once() -> None:
    broker = EmbeddedBroker().start()
    assert broker.bootstrap_servers
    broker.stop()
    broker.stop()
    assert broker.bootstrap_servers == ""


def test_it_starts_again_after_it_was_stopped() -> None:
    broker = EmbeddedBroker().start()
    broker.stop()
    with broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("quotes", b"tick")
        assert producer.flush(SECONDS) == 0
