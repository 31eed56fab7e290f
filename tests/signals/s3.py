"""A server of the S3 protocol, which tests can make busy, and through which they see what is asked of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import boto3
import s3fs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BUCKET = "market"
BUSY = b"<Error><Code>ServiceUnavailable</Code><Message>Come again.</Message></Error>"
Watcher = Callable[[str, str], bool]
"""Is told the method and the path of a request, and says whether the server is too busy for it."""


class S3Server:
    """moto's, in a thread of this process."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.watcher: Watcher = lambda method, path: False
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        if self.watcher(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            start("503 Service Unavailable", [("Content-Type", "application/xml")])
            return [BUSY]
        return self._moto(environ, start)

    def client(self, service: str = "s3") -> Any:
        return boto3.client(service, endpoint_url=self.url)

    def require_keys(self) -> dict[str, str]:
        """From now on know one user only, and return the environment that has the keys."""
        iam = self.client("iam")
        iam.create_user(UserName="runner")
        every = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="runner", PolicyName="all", PolicyDocument=json.dumps(every))
        key = iam.create_access_key(UserName="runner")["AccessKey"]
        self._know_keys_after("0")
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def open_again(self) -> None:
        self._know_keys_after("inf")

    def _know_keys_after(self, requests: str) -> None:
        address, plain = f"{self.url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urlopen(Request(address, requests.encode(), plain)).close()

    @contextmanager
    def running(self) -> Iterator[S3Server]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class _Quiet(MotoRequestHandler):
    def log_request(self, *arguments: Any) -> None:
        pass


def forget_connections() -> None:
    """Have file systems ask the environment for credentials again."""
    s3fs.S3FileSystem.clear_instance_cache()
