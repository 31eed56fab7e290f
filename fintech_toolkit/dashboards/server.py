"""Serving a dashboard to browsers on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from panel.io.server import get_server
from tornado.ioloop import IOLoop

HOST = "localhost"


@contextmanager
def serve(app: Callable[[], Any], *, port: int = 0, title: str = "fintech_toolkit") -> Iterator[str]:
    """Serve an app on this machine alone, from a thread of its own, for as long as the context lasts.

    Every visitor gets an app of its own. Pages are complete without a network, and only pages that this server gave
    out may open its websocket.

    Parameters
    ----------
    app : callable
        Makes the app for a visitor, as ``lambda: live_dashboard(table, source, panels)``.
    port : int
        Port to listen on; 0 takes one that is free.
    title : str
        Title of the page.

    Yields
    ------
    str
        The address.

    Raises
    ------
    OSError
        If the port is taken.
    """
    loop = IOLoop(make_current=False)
    ready: Future[int | None] = Future()

    def run() -> None:
        try:
            # Without a list of origins, Bokeh accepts the host and port that it listens on and no other.
            server = get_server(app, port=port, address=HOST, loop=loop, title=title)
        except BaseException as error:
            ready.set_exception(error)
            return
        server.start()
        ready.set_result(server.port)
        try:
            loop.start()
        finally:
            server.stop()

    thread = threading.Thread(target=run, name="dashboard", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{ready.result()}"
    finally:
        loop.add_callback(loop.stop)
        thread.join()
        loop.close(all_fds=True)
