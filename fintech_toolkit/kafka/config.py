"""Kafka configuration in librdkafka's dotted names, from a file, the environment and a dict."""

from __future__ import annotations

import configparser
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer

from fintech_toolkit.errors import ParameterError
from fintech_toolkit.kafka.properties import CONSUMER, KNOWN, PRODUCER

_SECRET = re.compile(r"password|passphrase|secret|key\.pem|oauthbearer\.(config|extensions)")
# A broker that comes back is found within a second, not ten.
_DEFAULTS = {"reconnect.backoff.max.ms": 1000}
_NO_SUCH_PROPERTY = "fintech.toolkit.no.such.property"
_ENVIRONMENT_PREFIX = "KAFKA_"
_BY_VARIABLE = {_ENVIRONMENT_PREFIX + re.sub(r"\W", "_", name).upper(): name for name in KNOWN}


class KafkaConfig(Mapping[str, Any]):
    """Settings for Kafka's clients in librdkafka's dotted names.

    Where several sources name a property, the first of these counts: the dict given in code, the
    environment, the file. Secrets never show in ``repr``; they do stand in the mapping, for clients to read.

    Parameters
    ----------
    settings : mapping, optional
        Dotted names and their values: ``{"bootstrap.servers": "localhost:9092"}``.
    file : path, optional
        A properties file: one ``name=value`` a line, ``#`` starts a comment line.
    environ : mapping, optional
        The environment, ``os.environ`` unless given. ``KAFKA_BOOTSTRAP_SERVERS`` sets ``bootstrap.servers``,
        ``KAFKA_SASL_PASSWORD`` sets ``sasl.password``, and so on. Variables that only share the prefix
        (``KAFKA_HEAP_OPTS``) are left alone, unless they look like a known one misspelt.

    Raises
    ------
    ParameterError
        For a name that librdkafka does not know (with the nearest that it does), a value that it does not
        take, a file that is not a properties file, or if no source says ``bootstrap.servers``.

    Examples
    --------
    >>> KafkaConfig({"bootstrap.servers": "localhost:9092", "sasl.password": "hunter2"}, environ={})
    KafkaConfig({'bootstrap.servers': 'localhost:9092', 'sasl.password': '***'})
    >>> KafkaConfig({"boostrap.servers": "localhost:9092"}, environ={})
    Traceback (most recent call last):
    ...
    fintech_toolkit.errors.ParameterError: unknown Kafka property 'boostrap.servers': did you mean 'bootstrap.servers'?
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        file: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._values: dict[str, Any] = {
            **(_read_file(Path(file)) if file is not None else {}),
            **_read_environment(os.environ if environ is None else environ),
            **(settings or {}),
        }
        for name, value in self._values.items():
            _check(name, value)
        if not {"bootstrap.servers", "metadata.broker.list"} & self._values.keys():
            raise ParameterError(
                "no broker to connect to: set KAFKA_BOOTSTRAP_SERVERS, or 'bootstrap.servers' in the config"
            )

    @classmethod
    def of(cls, config: KafkaConfig | Mapping[str, Any] | str | Path | None) -> KafkaConfig:
        """Make a configuration of what a user hands over: one that exists, a dict, a file, or nothing."""
        if isinstance(config, KafkaConfig):
            return config
        if isinstance(config, str | Path):
            return cls(file=config)
        return cls(config)

    def for_consumer(self) -> dict[str, Any]:
        """Return the settings that a consumer takes: all but the producer's."""
        return {name: value for name, value in self._client() if name not in PRODUCER}

    def for_producer(self) -> dict[str, Any]:
        """Return the settings that a producer takes: all but the consumer's."""
        return {name: value for name, value in self._client() if name not in CONSUMER}

    def _client(self) -> Iterable[tuple[str, Any]]:
        return (_DEFAULTS | self._values).items()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = {name: "***" if _SECRET.search(name) else value for name, value in self._values.items()}
        return f"KafkaConfig({shown})"


def _read_file(path: Path) -> dict[str, Any]:
    parser = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names are case-sensitive
    try:
        # A properties file is one section of an INI file, whose header is line 1.
        parser.read_string("[kafka]\n" + path.read_text(encoding="utf-8"), source=str(path))
    except configparser.DuplicateOptionError as error:
        raise ParameterError(f"{path}, line {(error.lineno or 1) - 1}: {error.option!r} is set twice") from None
    except configparser.ParsingError as error:
        line = error.errors[0][0] - 1  # the text itself may hold a secret
        raise ParameterError(f"{path}, line {line}: not of the form name=value") from None
    except configparser.Error:
        raise ParameterError(f"{path} is not a properties file: one name=value a line, no sections") from None
    if parser.sections() != ["kafka"]:
        raise ParameterError(f"{path} is not a properties file: one name=value a line, no sections")
    return dict(parser["kafka"])


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(_ENVIRONMENT_PREFIX):
            continue
        if name := _BY_VARIABLE.get(variable):
            values[name] = value
        elif near := difflib.get_close_matches(variable, _BY_VARIABLE, n=1, cutoff=0.9):
            raise ParameterError(f"unknown environment variable {variable}: did you mean {near[0]}?")
    return values


def _check(name: str, value: Any) -> None:
    """Ask librdkafka whether it takes the name and the value."""
    try:
        # Settings are read in this order, and the second ends the construction: no client, no connection.
        Producer({name: value, _NO_SUCH_PROPERTY: ""})
    except KafkaException as error:
        reason = error.args[0].str()
        if _NO_SUCH_PROPERTY in reason:
            return
        if "No such configuration property" in reason:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ParameterError(f"unknown Kafka property {name!r}{hint}") from None
        raise ParameterError(
            f"Kafka property {name!r}: " + ("invalid value" if _SECRET.search(name) else reason)
        ) from None
