"""A real Apache Kafka for the tests and for ``make broker``: one KRaft node from Maven's jars, no Docker.

``KAFKA_BOOTSTRAP_SERVERS`` set means: use that broker, start none. As a module it stays in the foreground::

    python -m tests.kafka --port 9092
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

KAFKA_VERSION = "4.1.1"
HOW_TO_GET_IT = (
    "a real Kafka broker needs Java 17+ and Maven on the PATH (Debian: apt-get install maven "
    "openjdk-17-jdk-headless), or KAFKA_BOOTSTRAP_SERVERS naming a broker that runs"
)

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fintech-toolkit</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed node can register again only after its old session has ended.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""


class BrokerUnavailable(RuntimeError):
    """The broker cannot be had on this machine; the message says why and how to get it."""


def _jars() -> Path:
    """Folder of Kafka's jars, fetched with Maven on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fintech-toolkit"
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable(f"mvn not found: {HOW_TO_GET_IT}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        (Path(work) / "pom.xml").write_text(POM)
        command = [maven, "-q", "-B", "-f", f"{work}/pom.xml", "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={work}/jars", "-DincludeScope=runtime"]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if fetched.returncode:
            raise BrokerUnavailable(f"Maven could not fetch Kafka: {fetched.stdout[-2000:]}\n{HOW_TO_GET_IT}")
        try:
            os.rename(f"{work}/jars", jars)
        except OSError:
            if not jars.is_dir():  # else another process was first
                raise
    return jars


# A broker of tests ends before what Java's second compiler does to it could pay: it is up with two thirds of the work.
BRIEF = ("-XX:TieredStopAtLevel=1",)


def _free_port() -> int:
    # Below the ephemeral range: a client that retries a closed ephemeral port can end up connected to itself.
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class KafkaBroker:
    """One Kafka node, broker and controller in one process, in its own folder and on its own ports.

    ``kill`` and ``start`` again keep folder and ports, so that clients find the same broker and its data.
    """

    def __init__(self, folder: Path, port: int | None = None, *, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        java = shutil.which("java")
        if java is None:
            raise BrokerUnavailable(f"java not found: {HOW_TO_GET_IT}")
        self._java = [java, "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", *options, "-cp", f"{_jars()}/*"]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._properties = folder / "server.properties"
        self._properties.write_text(PROPERTIES.format(port=self.port, controller_port=_free_port(), folder=folder))
        self._run_tool("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", str(self._properties))

    def _run_tool(self, *args: str) -> None:
        done = subprocess.run([*self._java, *args], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise BrokerUnavailable(f"{args[0]} failed:\n{done.stdout}{done.stderr}\n{HOW_TO_GET_IT}")

    def start(self, timeout: float = 60.0) -> None:
        """Start the node and return once it answers."""
        command = [*self._java, "kafka.Kafka", str(self._properties)]
        if setpriv := shutil.which("setpriv"):  # a test run that is killed leaves no broker behind
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with (self.folder / "broker.log").open("ab") as log:
            # In its own group: Ctrl-C must reach the tests first, which then stop the broker.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                client.list_topics(timeout=1)
            except KafkaException:
                continue
            return
        self.kill()
        log_tail = (self.folder / "broker.log").read_text(errors="replace")[-3000:]
        raise BrokerUnavailable(f"the broker did not start:\n{log_tail}\n{HOW_TO_GET_IT}")

    def stop(self) -> None:
        """Shut the node down in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node as a crash does (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _cluster_id() -> str:
    # StorageTool takes 22 characters of URL-safe base64; a fixed id will do, as no two nodes ever meet.
    return "ZmludGVjaC10b29sa2l0MQ"


def _skip_or_fail(error: BrokerUnavailable) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(str(error))
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker that the whole session shares."""
    if external := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield external
        return
    try:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), options=BRIEF)
        broker.start()
    except BrokerUnavailable as error:
        _skip_or_fail(error)
    yield broker.bootstrap_servers
    # Its data ends with the session: an orderly shutdown would only cost time.
    broker.kill()


@pytest.fixture
def private_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of the test's own, to be killed and started again."""
    try:
        broker = KafkaBroker(tmp_path, options=BRIEF)
        broker.start()
    except BrokerUnavailable as error:
        _skip_or_fail(error)
    yield broker
    broker.kill()


def create_topic(bootstrap_servers: str, partitions: int = 1, name: str | None = None) -> str:
    """Create a topic (a fresh name unless one is given) and return its name."""
    name = name or f"test-{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for created in admin.create_topics([NewTopic(name, num_partitions=partitions)]).values():
        created.result(timeout=60)
    # The broker that answers may learn of it later than the one that made it.
    deadline = time.monotonic() + 60
    while len(admin.list_topics(name, timeout=10).topics[name].partitions) < partitions:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker does not show topic {name}")
        time.sleep(0.05)
    return name


@pytest.fixture
def kafka_topic(kafka_broker: str) -> Iterator[Callable[..., str]]:
    """``kafka_topic(partitions=3)`` gives the name of a fresh topic; it is deleted after the test."""
    names: list[str] = []

    def create(partitions: int = 1) -> str:
        names.append(create_topic(kafka_broker, partitions))
        return names[-1]

    yield create
    if names:
        admin = AdminClient({"bootstrap.servers": kafka_broker})
        for deleted in admin.delete_topics(names).values():
            deleted.result(timeout=60)


def main() -> None:
    """Run a broker in the foreground until Ctrl-C; its data is kept for that long."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description=main.__doc__)
    parser.add_argument("--port", type=int, default=9092)
    port = parser.parse_args().port
    for stop in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # SIGINT too: a shell's background job starts with it ignored
        signal.signal(stop, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fintech-toolkit-kafka-") as folder:
        try:
            broker = KafkaBroker(Path(folder), port)
            broker.start()
        except BrokerUnavailable as error:
            raise SystemExit(str(error)) from None
        print(f"Apache Kafka {KAFKA_VERSION}: KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap_servers}", flush=True)
        print("Ctrl-C stops it and deletes its data.", flush=True)
        try:
            assert broker.process is not None
            broker.process.wait()
        except KeyboardInterrupt:
            broker.stop()


if __name__ == "__main__":
    main()
