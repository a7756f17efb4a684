"""The server: settings and port are checked, then granian serves ``app:asgi``.

python -m bridge.server            in production
python -m bridge.server --local    what ``make run`` does
"""

import contextlib
import errno
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from bridge import config
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.ops import log_config, metrics_dir

_HOME = Path(__file__).parent.parent
_LOCAL = {"HOST": "127.0.0.1", "LOG_FORMAT": "console"}

_MAX_CONNECTIONS = 16_384
"""Connections of one worker; the system's limit of open files may be lower."""
_BACKLOG = 4_096
_MAX_HEAD = 65_536
"""Bytes of a request's head."""
_IDLE_SECONDS = 75
"""For the head of a request, and from one request to the next. Proxies keep their connections to a
server for up to a minute."""
_STOP_SECONDS = 15
"""From SIGTERM until a worker is killed: ten for requests under way, five to close the store."""


def serve(settings: Config, target: str = "app:asgi") -> None:
    """Serve until this process is told to stop (SIGTERM, SIGINT).

    Args:
        target: an ASGI application, as ``module:name``.
    """
    log_config.configure(settings.log_format, settings.log_level)
    _raise_file_limit()
    metrics_dir.begin(settings.workers)
    Granian(
        target,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=_IDLE_SECONDS * 1000, max_buffer_size=_MAX_HEAD
        ),
        log_level=LogLevels(settings.log_level),
        log_dictconfig=log_config.standard_library(settings.log_format, settings.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        working_dir=_HOME,
    ).serve()


def main(arguments: Sequence[str]) -> None:
    """Serve.

    ``--local`` is what ``make run`` says: on loopback, readable logs, and the bundled sandbox
    studio where no token is set. Without it a missing token is an error.
    """
    if list(arguments) not in ([], ["--local"]):
        sys.exit("usage: python -m bridge.server [--local]")
    try:
        if arguments:
            _serve_locally()
        else:
            serve(_settings())
    except ConfigError as err:
        sys.exit(f"the bridge cannot start. {err}")


def _settings() -> Config:
    """The settings, which this machine can serve by.

    Raises:
        ConfigError: a value that cannot be used.
    """
    settings = config.load()
    _check_port(settings.host, settings.port)
    return settings


def _check_port(host: str, port: int) -> None:
    """Check that nobody serves there, another bridge included: granian's workers share a port
    (``SO_REUSEPORT``), and so would two servers, each with a part of the connections.

    Raises:
        ConfigError: the port cannot be used, or the host is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as err:
            if err.errno == errno.EADDRNOTAVAIL:
                problem = f"{host} is not an address of this machine; accepted: 0.0.0.0"
                raise ConfigError({"HOST": problem}) from err
            why = os.strerror(err.errno or 0).lower()
            problem = f"{port} cannot be used: {why}; accepted: a free port"
            raise ConfigError({"PORT": problem}) from err


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have, connections among them."""
    # Some systems name more than they give, and a host may forbid to ask.
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve_locally() -> None:
    env = config.environment()
    for name, value in _LOCAL.items():
        os.environ.setdefault(name, env.str(name, value))
    if not (env.str("TEAMUP_API_TOKEN", "") or "").strip():
        studio, token = _start_sandbox()
        os.environ |= {
            "TEAMUP_API_TOKEN": token,
            "TEAMUP_BASE_URL": studio,
            config.SANDBOX_FLAG: "1",
        }
        settings = _settings()
        print(  # noqa: T201 - for the person who typed make run
            "TEAMUP_API_TOKEN is not set, so this is the bundled sandbox studio, not yours.\n"
            f"  studio's API  {studio}\n"
            f"  the bridge    http://{settings.host}:{settings.port}/\n"
            "Set TEAMUP_API_TOKEN, in the environment or in .env, to serve your own timetable.",
            flush=True,
        )
    serve(_settings())


def _start_sandbox() -> tuple[str, str]:
    """Serve the sandbox studio in a process of its own, which ends with this one.

    Returns:
        Its TEAMUP_BASE_URL and TEAMUP_API_TOKEN.
    """
    # Only here: the production server imports nothing of the sandbox.
    from bridge.sandbox import api, demo_timetable, http_server  # noqa: PLC0415

    studio = demo_timetable.believable_studio(datetime.now(UTC).date())
    made = api.create_api(studio, requests_per_minute=1000)
    try:
        # The same port each time finds the same history in the store.
        served = http_server.SandboxServer(made, http_server.PORT)
    except OSError:
        served = http_server.SandboxServer(made)

    def run() -> None:
        # Ctrl-C reaches every process of the terminal; this one ends after the server.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        served.run()

    multiprocessing.get_context("fork").Process(target=run, daemon=True).start()
    return served.url, api.TOKEN


if __name__ == "__main__":
    main(sys.argv[1:])
