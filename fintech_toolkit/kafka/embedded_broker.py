"""An embedded broker for demos and documentation: librdkafka's mock cluster in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import TracebackType

from confluent_kafka import Producer


class EmbeddedBroker:
    """A Kafka broker that needs no server, for trying things out.

    It is the mock cluster that is built into librdkafka, held in memory by a process that ends with this one.
    Use a real Apache Kafka (``docker-compose.yml``) for anything that must be kept. Its limits:

    - Data live in memory. Past about 5 MB a partition **the oldest records are dropped without a word**: a
      producer must not run further than that ahead of its consumers.
    - Transactions are not isolated: ``read_committed`` sees open ones, offsets sent to a transaction are not
      stored, and a fenced producer still commits. So: at least once, with plain commits, never exactly once.
    - Topics come into being when they are first used, with 4 partitions; creating or deleting them times out.
    - The first consumer of a group waits about 3 seconds for its partitions.
    - No security, no quotas, no retention settings.

    Attributes
    ----------
    bootstrap_servers : str
        Address for ``bootstrap.servers``, known once the broker was started.

    Examples
    --------
    >>> from confluent_kafka import Producer
    >>> with EmbeddedBroker() as broker:
    ...     producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    ...     producer.produce("quotes", b'{"symbol": "AAA"}')
    ...     producer.flush(10)
    0
    """

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> EmbeddedBroker:
        """Start the process and return once the broker answers.

        Raises
        ------
        RuntimeError
            If the process ended before it gave its address.
        """
        if self._process is None:
            # The file and not the module: it needs nothing of the package, whose import takes seconds. -P
            # keeps this folder off the import path; in its own session it does not see the parent's Ctrl-C.
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            assert self._process.stdout is not None
            self.bootstrap_servers = self._process.stdout.readline().strip()
            if not self.bootstrap_servers:
                code = self._process.wait()
                self._process = None
                raise RuntimeError(f"the embedded broker ended with exit code {code} before it had an address")
        return self

    def stop(self) -> None:
        """End the process; what the broker held is gone."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.bootstrap_servers = ""

    def wait(self) -> None:
        """Return when the process has ended, be it by a crash."""
        if self._process is not None:
            self._process.wait()

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedBroker {self.bootstrap_servers or 'stopped'}>"


def _serve() -> None:
    """Hold a mock cluster until standard input ends, which it does with the parent, or a signal comes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    # The mock cluster lives as long as the client that made it; nothing is ever produced with it.
    client = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    brokers = client.list_topics(timeout=10).brokers.values()
    sys.stdout.write(",".join(f"{broker.host}:{broker.port}" for broker in brokers) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
