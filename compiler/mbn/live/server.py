"""Serves the page on loopback.

What enters: what answers, a port (0: any). What leaves: a server that runs until it is stopped.
Always holds: it listens on 127.0.0.1 alone; no request is logged; the token is made here and told
to the caller alone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from mbn.core.errors import UsageError
from mbn.live.answer import Thinker
from mbn.live.app import application
from mbn.live.guard import new_token

HOST = "127.0.0.1"
_GOODBYE_S = 1
_MOST_CONNECTIONS = 32


def listen(port: int) -> socket.socket:
    """A socket on loopback. Raises UsageError where the port is taken or not allowed."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except (OSError, OverflowError) as error:
        made.close()
        raise UsageError(
            f"the page can't be served on port {port} ({getattr(error, 'strerror', error)})",
            wanted="a free port above 1023, or 0 for any",
        ) from error
    return made


def serve(thinker: Thinker, listening: socket.socket, on_ready: Callable[[str], None]) -> None:
    """Serves until Ctrl-C. `on_ready`: called with the page's address, token and all."""
    port = listening.getsockname()[1]
    token = new_token()
    config = uvicorn.Config(
        application(thinker, token, port),
        access_log=False,
        log_level="error",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GOODBYE_S,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready(f"http://{HOST}:{port}/#{token}")

    Server(config).run(sockets=[listening])
