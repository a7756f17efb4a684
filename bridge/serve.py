"""The server: settings are checked first, then its processes serve the application."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from types import FrameType

from bridge import config, numbers, server
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.sandbox import api
from bridge.sandbox.server import PORT as SANDBOX_PORT
from bridge.sandbox.server import SandboxServer
from bridge.sandbox.timetable import believable_studio

_LOCAL = {"HOST": "127.0.0.1", "LOG_FORMAT": "console"}


def command(settings: Config) -> list[str]:
    """The command that serves the application, which it names last."""
    return [
        *(sys.executable, "-m", "bridge.server"),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--workers", str(settings.workers)),
        *("--log-level", settings.log_level, "--log-format", settings.log_format),
        "app:app",
    ]


def main(arguments: Sequence[str]) -> int:
    """Serve.

    ``--local`` is what ``make run`` says: on loopback, readable logs, and the bundled sandbox
    studio where no token is set. Without it a missing token is an error.
    """
    if list(arguments) not in ([], ["--local"]):
        sys.exit("usage: python -m bridge.serve [--local]")
    local = bool(arguments)
    try:
        if not local:
            settings = _settings()
            numbers.begin(settings.workers)
            os.execv(sys.executable, command(settings))  # noqa: S606 - our own command
        return _serve_locally()
    except ConfigError as err:
        sys.exit(f"the bridge cannot start. {err}")


def _settings() -> Config:
    """The settings, which this machine can serve by.

    Raises:
        ConfigError: a value that cannot be used.
    """
    settings = config.load()
    host, port = settings.host, settings.port
    try:
        server.listener(host, port).close()
    except OSError as err:
        if err.errno == errno.EADDRNOTAVAIL:
            raise ConfigError("HOST", f"{host} is not this machine's", "0.0.0.0") from err  # noqa: S104 - said, not done
        why = os.strerror(err.errno or 0).lower()
        raise ConfigError("PORT", f"{port} cannot be had: {why}", "a free port") from err
    return settings


def _serve_locally() -> int:
    env = config.environment()
    for name, value in _LOCAL.items():
        os.environ.setdefault(name, env.str(name, value))
    if (env.str("TEAMUP_API_TOKEN", "") or "").strip():
        return _supervise(_settings())
    with _sandbox() as studio:
        os.environ.update(
            {
                "TEAMUP_API_TOKEN": api.TOKEN,
                "TEAMUP_BASE_URL": studio.url,
                config.SANDBOX_FLAG: "1",
            }
        )
        settings = _settings()
        print(  # noqa: T201 - for the person who typed make run
            "TEAMUP_API_TOKEN is not set, so this is the bundled sandbox studio, not yours.\n"
            f"  studio's API  {studio.url}\n"
            f"  the bridge    http://{settings.host}:{settings.port}/\n"
            "Set TEAMUP_API_TOKEN, in the environment or in .env, to serve your own timetable.",
            flush=True,
        )
        return _supervise(settings)


def _sandbox() -> SandboxServer:
    studio = api.create_api(believable_studio(datetime.now(UTC).date()), requests_per_minute=1000)
    try:
        # The same port each time finds the same history in the store.
        return SandboxServer(studio, SANDBOX_PORT)
    except OSError:
        return SandboxServer(studio)


def _supervise(settings: Config) -> int:
    """Run the server beside this process, and end it when this process is told to end."""
    numbers.begin(settings.workers)
    told = threading.Event()
    servers: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:
        told.set()
        for one in servers:
            one.send_signal(signal.SIGTERM)

    # before there is a server: one that is started in between is told below
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    with subprocess.Popen(command(settings)) as started:  # noqa: S603 - our own command
        servers.append(started)
        if told.is_set():
            started.send_signal(signal.SIGTERM)
        return started.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
