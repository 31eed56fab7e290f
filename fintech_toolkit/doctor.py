"""What the machine has of what the toolkit needs: behind ``fintech-toolkit doctor``."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from fintech_toolkit.errors import ParameterError

DISTRIBUTION = "fintech-toolkit"
KAFKA_TIMEOUT = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    topic, name : str
        What it is and what it belongs to.
    found : str
        What there is, and what to do where that is not enough.
    verdict : {"ok", "optional", "problem"}
        Whether it is there; if not, whether the toolkit can do without.
    """

    topic: str
    name: str
    found: str
    verdict: str = "ok"


def examine() -> Iterator[Finding]:
    """Look at the machine, one finding at a time."""
    yield Finding("machine", "python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield from _resources()
    yield from _versions()
    yield _numba_cache()
    yield _kafka()
    yield from _developer_tools()


def _resources() -> Iterator[Finding]:
    # Dask's numbers: they respect the limits of a container and what the process may use.
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    yield Finding("machine", "cores", str(CPU_COUNT))
    yield Finding("machine", "memory", f"{MEMORY_LIMIT / 2**30:.1f} GiB")


def _versions() -> Iterator[Finding]:
    yield Finding("versions", DISTRIBUTION, metadata.version(DISTRIBUTION))
    for text in metadata.requires(DISTRIBUTION) or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            yield Finding("versions", needed.name, f"missing; pip install '{text}'", "problem")
            continue
        if needed.specifier.contains(version, prereleases=True):
            yield Finding("versions", needed.name, version)
        else:
            yield Finding("versions", needed.name, f"{version} is too old; pip install '{text}'", "problem")


def _numba_cache() -> Finding:
    from fintech_toolkit.scan.compilation import compile_cached

    with warnings.catch_warnings():  # what it would warn of is what is reported here
        warnings.simplefilter("ignore")
        folder = compile_cached(_numba_cache).stats.cache_path
    if folder is None:
        return Finding(
            "numba cache",
            "folder",
            "no folder is writable: every process compiles anew; set NUMBA_CACHE_DIR to one that is",
            "problem",
        )
    wanted = os.environ.get("NUMBA_CACHE_DIR")
    if wanted and not os.path.realpath(folder).startswith(os.path.realpath(wanted)):
        found = f"NUMBA_CACHE_DIR ({wanted}) is not writable; {folder} is, and is used"
        return Finding("numba cache", "folder", found, "problem")
    return Finding("numba cache", "folder", f"{folder} is writable")


def _kafka() -> Finding:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from fintech_toolkit.kafka.config import KafkaConfig

    try:
        config = KafkaConfig()
    except ParameterError as error:
        configured = any(name.startswith("KAFKA_") for name in os.environ)
        return Finding("kafka", "broker", str(error), "problem" if configured else "optional")
    reasons: list[str] = []
    # librdkafka tells the reason (refused, unknown host, wrong password) here, and the caller only that time is up.
    heard: dict[str, Any] = {"error_cb": lambda error: reasons.append(error.str()), "log_level": 0}
    client = AdminClient({**config.for_producer(), **heard})
    servers = config.get("bootstrap.servers", config.get("metadata.broker.list"))
    try:
        brokers = client.list_topics(timeout=KAFKA_TIMEOUT).brokers
    except KafkaException as error:
        client.poll(0)
        why = reasons[0] if reasons else error.args[0].str()
        return Finding("kafka", "broker", f"{servers} is not reachable: {why}", "problem")
    return Finding("kafka", "broker", f"{servers} is reachable, {len(brokers)} in the cluster")


def _developer_tools() -> Iterator[Finding]:
    hint = "not found; the tests need it: apt-get install"
    for program, option, package in (
        ("java", "-version", "default-jdk-headless"),
        ("mvn", "-version", "maven"),
        ("chromium", "--version", "chromium"),
    ):
        path = shutil.which(program)
        if path is None:
            yield Finding("for developers", program, f"{hint} {package}", "optional")
            continue
        done = subprocess.run([path, option], capture_output=True, text=True, timeout=30, check=False)
        version = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        yield Finding("for developers", program, f"{version[0] if version else 'unknown version'} ({path})")
