"""The server: checks the settings and the port, then starts granian with ``app:asgi``.

python -m bridge.server            in production
python -m bridge.server --local    for ``make run``
python -m bridge.server --version
"""

import contextlib
import errno
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from bridge import __version__, config, local_run
from bridge.config import Config
from bridge.config.variables import environment, is_set
from bridge.errors import ConfigError
from bridge.ops import log_config, metrics_dir

log = structlog.get_logger()

_HOME = Path(__file__).parent.parent
_LOCAL = {"HOST": "127.0.0.1", "LOG_FORMAT": "console"}

_MAX_CONNECTIONS = 16_384
"""Maximum connections of a worker; the limit of open files may be lower."""
_BACKLOG = 4_096
_MAX_HEAD = 65_536
"""Maximum size of a request's head, in bytes."""
_IDLE_SECONDS = 75
"""Maximum time for the head of a request, and between two requests on a connection. Proxies keep
idle connections for up to a minute."""
_REPLACE_SECONDS = 10.0
"""Time from the start of a worker that replaces another until the other one is stopped, at SIGHUP.
With many studios, or on a slow machine, a worker takes seconds to start."""
_STOP_SECONDS = 15
"""Time from SIGTERM until a worker is killed: ten seconds for active requests, five for closing the
store."""


def serve(settings: Config, target: str = "app:asgi") -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        target: an ASGI application, as ``module:name``.
    """
    # It would end the process until granian handles it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log_config.configure(settings.log_format, settings.log_level)
    _raise_file_limit()
    metrics_dir.begin(settings.workers)
    server = _Server(
        target,
        settings,
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
        respawn_interval=_REPLACE_SECONDS,
        workers_kill_timeout=_STOP_SECONDS,
    )
    # Excluded from garbage collection, so that it does not write to memory that workers share.
    gc.freeze()
    server.serve(target_loader=server.loader)


class _Loader:
    """Imports the application in a worker, with the settings that the server has checked.

    A worker that read them itself could find a file that has changed since, or that of a token
    gone: it would serve other studios than the rest, or end, and granian the server with it.
    """

    def __init__(self, settings: Config) -> None:
        self.settings = settings

    def __call__(self, target: str) -> Any:
        """Import the application *target*."""
        config.use(self.settings)
        metrics_dir.join(len(self.settings.studios))
        sys.path.insert(0, str(_HOME))
        module, _, name = target.partition(":")
        return getattr(importlib.import_module(module), name)


class _Server(Granian):  # type: ignore[misc, valid-type]  # granian chooses it at import
    """granian, which replaces its workers on SIGHUP; but not for settings that cannot be used.

    Attributes:
        loader: has the settings of workers that start.
    """

    def __init__(self, target: str, settings: Config, **options: Any) -> None:
        super().__init__(target, **options)
        self.loader = _Loader(settings)
        self._main = os.getpid()

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Handle SIGHUP. The workers inherit the handler."""
        if os.getpid() != self._main:
            return
        try:
            self.loader.settings = config.load()
        except ConfigError as err:
            log.error("settings not reloaded", problem=str(err))
            return
        log.info("settings reloaded", studios=len(self.loader.settings.studios))
        super().signal_handler_reload(*args, **kwargs)


def main(arguments: Sequence[str]) -> None:
    """Start the server.

    With ``--local`` (``make run``) it listens on the loopback address, logs in readable form and,
    if no token is set, serves the bundled sandbox studio. Otherwise a missing token is an error.
    """
    if list(arguments) == ["--version"]:
        print(f"teamup-feed-bridge {__version__}")  # noqa: T201 - for the person who asked
        return
    if list(arguments) not in ([], ["--local"]):
        sys.exit("usage: python -m bridge.server [--local | --version]")
    try:
        if arguments:
            _serve_locally()
        else:
            serve(_settings())
    except ConfigError as err:
        sys.exit(f"the bridge cannot start. {err}")


def _settings() -> Config:
    """Load the settings, and check the address to listen on.

    Raises:
        ConfigError: a value is not valid.
    """
    settings = config.load()
    _check_port(settings.host, settings.port)
    return settings


def _check_port(host: str, port: int) -> None:
    """Check that no other server uses the port. granian's workers share it (``SO_REUSEPORT``), so
    two bridges could start on one port, and each would get some of the connections.

    Raises:
        ConfigError: the port is in use, or the host is not an address of this machine.
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
            reason = os.strerror(err.errno or 0).lower()
            problem = f"{port} cannot be used: {reason}; accepted: a free port"
            raise ConfigError({"PORT": problem}) from err


def _raise_file_limit() -> None:
    """Raise the limit of open files to the maximum, because each connection needs one."""
    # On some systems the reported maximum is too high, or the calls are forbidden.
    with contextlib.suppress(ValueError, OSError):
        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def _serve_locally() -> None:
    values = environment()
    for name, value in _LOCAL.items():
        os.environ.setdefault(name, values.get(name, value))
    if config.has_account(values):
        serve(_settings())
        return
    variables, signing_key = _start_sandbox()
    if not is_set(values, "FEED_SIGNING_KEYS"):
        variables["FEED_SIGNING_KEYS"] = signing_key
    os.environ |= variables
    settings = _settings()
    lock = local_run.share({**variables, "PORT": str(settings.port)})
    commands = "" if lock is None else "  commands      .venv/bin/flask --app app check\n"
    print(  # noqa: T201 - for the person who typed make run
        "TEAMUP_API_TOKEN is not set, so this is the bundled sandbox studio, not yours.\n"
        f"  studio's API  {settings.base_url}\n"
        f"  the bridge    http://{settings.host}:{settings.port}/\n"
        f"{commands}"
        "Set TEAMUP_API_TOKEN, in the environment or in .env, to serve your own timetable.",
        flush=True,
    )
    with lock or nullcontext():
        serve(settings)


def _start_sandbox() -> tuple[dict[str, str], str]:
    """Start the sandbox studio in a child process, which ends with this process.

    Returns:
        The environment variables of a bridge for it, and a key that signs private feeds.
    """
    # Imported here, because the production server must not import the sandbox.
    from bridge.sandbox import api, demo_timetable, http_server  # noqa: PLC0415

    studio = demo_timetable.demo_studio(datetime.now(UTC).date())
    studio_api = api.create_api(studio, requests_per_minute=1000)
    try:
        # A fixed port, so that later runs find the same keys in the store.
        server = http_server.SandboxServer(studio_api, http_server.PORT)
    except OSError:
        server = http_server.SandboxServer(studio_api)

    def run() -> None:
        # Ctrl-C goes to all processes of the terminal; this one must end after the server.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.run()

    multiprocessing.get_context("fork").Process(target=run, daemon=True).start()
    variables = {
        "TEAMUP_API_TOKEN": api.TOKEN,
        "TEAMUP_BASE_URL": server.url,
        "TEAMUP_PROVIDER_ID": api.PROVIDER_ID,
        config.SANDBOX_FLAG: "1",
    }
    return variables, api.SIGNING_KEY


if __name__ == "__main__":
    main(sys.argv[1:])
