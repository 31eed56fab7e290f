"""Configuration: sources and their precedence, errors that help, secrets that never show."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException

from fintech_toolkit.kafka.config import KafkaConfig
from fintech_toolkit.kafka.properties import KNOWN

SERVERS = {"bootstrap.servers": "localhost:9092"}


def test_code_counts_before_environment_before_file(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# ours\nbootstrap.servers=file:1\nclient.id = from # file\nsocket.timeout.ms=5000\n")
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "environment:1", "KAFKA_CLIENT_ID": "from environment"}
    config = KafkaConfig({"client.id": "from code"}, file=file, environ=environ)
    assert dict(config) == {
        "bootstrap.servers": "environment:1",
        "client.id": "from code",
        "socket.timeout.ms": "5000",
    }


def test_a_path_alone_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    file = tmp_path / "kafka.properties"
    file.write_text("bootstrap.servers=file:1\n")
    assert KafkaConfig.of(file)["bootstrap.servers"] == "file:1"


def test_unknown_names_name_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'linger\.m': did you mean 'linger\.ms'\?"):
        KafkaConfig({**SERVERS, "linger.m": 5}, environ={})
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVER: did you mean KAFKA_BOOTSTRAP_SERVERS"):
        KafkaConfig(environ={"KAFKA_BOOTSTRAP_SERVER": "x"})


def test_variables_of_other_programs_are_left_alone() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "x:1", "KAFKA_HEAP_OPTS": "-Xmx1g", "KAFKA_LOG_DIRS": "/data"}
    assert dict(KafkaConfig(environ=environ)) == {"bootstrap.servers": "x:1"}


def test_invalid_values_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"security\.protocol"):
        KafkaConfig({**SERVERS, "security.protocol": "carrier pigeon"}, environ={})


def test_without_a_broker_it_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS"):
        KafkaConfig(environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bootstrap.servers=x\nbootstrap.servers=y\n", "line 2: 'bootstrap.servers' is set twice"),
        ("bootstrap.servers=x\nsasl.password hunter2\n", "line 2: not of the form name=value"),
        ("[kafka2]\nbootstrap.servers=x\n", "no sections"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        KafkaConfig(file=file, environ={})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.client.secret",
    ],
)
def test_secrets_do_not_show(name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        config = KafkaConfig({**SERVERS, name: "hunter2"}, environ={})
    assert config[name] == "hunter2"
    shown = repr(config) + str(config) + f"{config}" + caplog.text + "".join(capfd.readouterr())
    assert "hunter2" not in shown


def test_consumers_and_producers_get_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    config = KafkaConfig({**SERVERS, "acks": "all", "group.id": "g", "client.id": "c"}, environ={})
    assert config.for_consumer().keys() - config.for_producer().keys() == {"group.id"}
    assert config.for_producer().keys() - config.for_consumer().keys() == {"acks"}
    assert config.for_consumer()["client.id"] == config.for_producer()["client.id"] == "c"


def test_every_listed_name_is_one_that_librdkafka_knows() -> None:
    unknown = set()
    for name in KNOWN:
        try:
            Consumer({"group.id": "g", name: "", "no.such.property": ""})
        except KafkaException as error:
            if f'No such configuration property: "{name}"' in str(error):
                unknown.add(name)
    assert unknown == set()
