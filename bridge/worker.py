"""A worker: a process of the server's that serves, until it is told to end."""

import atexit
import contextlib
import logging
import os
import resource
import socket
from importlib import import_module
from typing import NoReturn

import uvicorn

from bridge import server
from bridge.connection import Connection
from bridge.gateway import Gateway

# Threads wait for upstream when there is no copy yet; others must be there to answer meanwhile. By
# default as many as fifty new questions are let in within a minute.
_THREADS = 64
_BACKLOG = 1024
# Seconds that requests under way get in the end; then there is time to close, and not to be killed.
_GRACE = 10


def serve(app: str, host: str, port: int, logger: logging.Logger) -> NoReturn:
    """Serve, and end this process; in the main thread, which hears when it is told to end.

    Args:
        app: a WSGI application, as ``module:name``.
    """
    _have_descriptors()
    module, _, name = app.partition(":")
    application = getattr(import_module(module), name)
    config = uvicorn.Config(
        Gateway(application, _THREADS, getattr(application, "extensions", {}).get("lane")),
        host=host,
        port=port,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        # It would hold the addresses of private feeds.
        access_log=False,
        workers=1,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE,
    )
    # Of its own: the connections that it has not accepted yet are its own too, and remain when
    # another worker ends. Uvicorn raises the signal that it heard once more when it is done; it is
    # blocked in this thread.
    _Server(config, logger).run([server.listener(host, port)])
    # Now: a process that ended as others do would first wait for threads, and they for upstream.
    atexit._run_exitfuncs()
    os._exit(0)


def _have_descriptors() -> None:
    """Take as many connections as the system lets this process have: the usual limit is there for
    programs that look at each descriptor in turn.
    """
    # Some systems name more than they give, and a host may forbid to ask.
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(uvicorn.Server):
    """Uvicorn's, which says when it serves."""

    def __init__(self, config: uvicorn.Config, logger: logging.Logger) -> None:
        super().__init__(config)
        self._log = logger

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        self._log.info(
            "Started worker [%d], listening at http://%s:%d", os.getpid(), host, self.config.port
        )
