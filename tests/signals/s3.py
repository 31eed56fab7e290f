"""A server of the S3 protocol, which tests can make busy, and through which they see what is asked of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import s3fs
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer

BUCKET = "market"
BUSY = b"<Error><Code>ServiceUnavailable</Code><Message>Come again.</Message></Error>"
Watcher = Callable[[str, str], bool]
"""Is told the method and the path of a request, and says whether the server is too busy for it."""


class S3Server:
    """moto's, in a thread of this process."""

    def __init__(self) -> None:
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.watcher: Watcher = lambda method, path: False

    @contextmanager
    def running(self) -> Iterator[S3Server]:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto.start()
        self._moto._server.app, self._answers = self._answer, self._moto._server.app
        self.url = "http://{}:{}".format(*self._moto.get_host_and_port())
        try:
            yield self
        finally:
            self._moto.stop()

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        if self.watcher(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            start("503 Service Unavailable", [("Content-Type", "application/xml")])
            return [BUSY]
        return self._answers(environ, start)

    def files(self) -> s3fs.S3FileSystem:
        """What is there, as somebody else sees it."""
        return s3fs.S3FileSystem(
            key="any", secret="any", endpoint_url=self.url, skip_instance_cache=True, use_listings_cache=False
        )

    def require_keys(self) -> dict[str, str]:
        """From now on know one user only, and return the environment that has the keys."""
        users = iam_backends["123456789012"]["aws"]
        users.create_user("us-east-1", "runner")
        every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        users.put_user_policy("runner", "all", json.dumps(every))
        key = users.create_access_key("runner")
        self._know_keys_after("0")
        return {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}

    def open_again(self) -> None:
        self._know_keys_after("inf")

    def _know_keys_after(self, requests: str) -> None:
        address, plain = f"{self.url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urlopen(Request(address, requests.encode(), plain)).close()


def forget_connections() -> None:
    """Have file systems ask the environment for credentials again."""
    s3fs.S3FileSystem.clear_instance_cache()
