"""Hot feeds: the same feed requested again and again."""

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import servers, studio
from bench.load import EACH_DIFFERENT, Load, load, side_by_side
from bench.servers import HOST, Server
from bench.table import Row
from bridge.sandbox.api import TOKEN

# Days ahead, for a provider with 200 sessions in 80 days.
_DAYS_OF_90_KB, _DAYS_OF_40_EVENTS = 44, 16
# The same for a provider with 2,000 sessions.
_DAYS_OF_500_EVENTS = 19
_FEED = f"/sessions.ics?past=0&future={_DAYS_OF_90_KB}"
# Paths under which the peers serve the bridge's responses.
_PLAIN, _GZIP, _NOT_MODIFIED = "/feed.ics", "/feed.ics.gz", "/not-modified"


@dataclass(frozen=True)
class _Response:
    """A response without the headers that every server adds."""

    status: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class _Peers:
    """The servers with which the bridge is compared.

    Attributes:
        bare: a WSGI function under granian, with as many threads as the bridge.
        bare_single: the same with one thread.
        nginx: the same bytes in files.
    """

    bare: Server
    bare_single: Server
    nginx: Server


@dataclass(frozen=True)
class _Case:
    """A request for the hot feed.

    Attributes:
        name: the name of its rows.
        path: the path of the response on the peers.
        headers: the headers of the request.
        at_least: the target, as a multiple of the bare function's rate.
        nginx_path, nginx_headers: path and headers for nginx, if they differ.
        script: a script for wrk.
    """

    name: str
    path: str
    headers: Sequence[str] = ()
    at_least: float | None = None
    nginx_path: str | None = None
    nginx_headers: Sequence[str] = ()
    script: str | None = None

    def rows(self, bridge: Server, peers: _Peers) -> list[Row]:
        """Measure the bridge and its peers in turn."""
        same = partial(load, headers=self.headers, script=self.script)
        bridge_load, bare, single, nginx = side_by_side(
            partial(same, bridge.url + _FEED),
            partial(same, peers.bare.url + self.path),
            partial(same, peers.bare_single.url + self.path),
            partial(
                same,
                peers.nginx.url + (self.nginx_path or self.path),
                headers=self.nginx_headers or self.headers,
            ),
        )
        return [
            _rates(f"{self.name}, against a bare function", bridge_load, bare, self.at_least),
            Row(
                name=f"{self.name}: p99, against the bare function's",
                value=bridge_load.p99,
                unit=" ms",
                reference=bare.p99,
                at_most=None if self.at_least is None else 1.0,
            ),
            _rates(f"{self.name}, against a bare function in one thread", bridge_load, single),
            _rates(f"{self.name}, against nginx with the same bytes", bridge_load, nginx),
        ]


def against_servers() -> tuple[list[Row], dict[str, float]]:
    """Against servers that send the same bytes without computing them.

    Returns:
        The rows; and the rates and sizes that docs/performance.md quotes, by name.
    """
    with studio.upstream(200) as (upstream, _), servers.bridge(upstream.url) as bridge:
        responses = {
            _PLAIN: _fetch(bridge, _FEED),
            _GZIP: _fetch(bridge, _FEED, {"Accept-Encoding": "gzip"}),
        }
        tag = dict(responses[_PLAIN].headers)["etag"]
        responses[_NOT_MODIFIED] = _fetch(bridge, _FEED, {"If-None-Match": tag})
        plain, gzip = (len(responses[path].body) for path in (_PLAIN, _GZIP))
        with _peers(responses) as peers:
            nginx_tag = peers.nginx.get(_PLAIN).headers["ETag"]
            cases = {
                "rate_200": _Case(f"hot 200 of {plain / 1000:.0f} kB", _PLAIN, at_least=0.85),
                "rate_gzip": _Case(
                    f"hot 200 with gzip, {gzip / 1000:.1f} kB",
                    _GZIP,
                    headers=["Accept-Encoding: gzip"],
                    at_least=0.8,
                ),
                "rate_304": _Case(
                    "hot 304",
                    _NOT_MODIFIED,
                    headers=[f"If-None-Match: {tag}"],
                    at_least=0.75,
                    nginx_path=_PLAIN,
                    nginx_headers=[f"If-None-Match: {nginx_tag}"],
                ),
                "rate_different": _Case(
                    "hot 200, each request different", _PLAIN, script=EACH_DIFFERENT
                ),
            }
            rows = {name: case.rows(bridge, peers) for name, case in cases.items()}
    figures = {name: measured[0].value for name, measured in rows.items()}
    return [row for measured in rows.values() for row in measured], {**figures, "bytes_gzip": gzip}


def behind_nginx() -> list[Row]:
    """Behind nginx with ``deploy/nginx.conf``, against nginx with the same bytes in a file."""
    with (
        studio.upstream(200) as (upstream, _),
        servers.bridge(upstream.url, TRUSTED_PROXIES="1") as bridge,
        servers.nginx_as_shipped(bridge) as proxy,
    ):
        response = _fetch(proxy, _FEED)
        assert dict(response.headers)["X-Cache"] == "HIT", response.headers
        with _folder({_PLAIN: response}) as folder, _nginx(folder) as files:
            proxy_load, files_load = side_by_side(
                partial(load, proxy.url + _FEED), partial(load, files.url + _PLAIN)
            )
    name = "hot 200 behind nginx as shipped, against nginx with the same bytes"
    return [_rates(name, proxy_load, files_load, at_least=0.9)]


def against_plain_bridge() -> list[Row]:
    """Against a minimal bridge, made with Flask and icalendar."""
    path, plain_path = f"/sessions.ics?past=0&future={_DAYS_OF_40_EVENTS}", "/16.ics"
    with studio.upstream(200) as (upstream, _), servers.bridge(upstream.url) as bridge:
        env = {"TEAMUP_BASE_URL": upstream.url, "TEAMUP_API_TOKEN": TOKEN}
        with servers.wsgi("bench.plain:app", env=env, path=plain_path) as plain:
            events = bridge.get(path).text.count("BEGIN:VEVENT")
            plain_events = plain.get(plain_path).text.count("BEGIN:VEVENT")
            # The number of today's past sessions depends on the time of day, and the two servers
            # may be asked before and after a session begins.
            assert abs(plain_events - events) <= 2, (plain_events, events)
            assert events > 30
            bridge.get(path)
            bridge_load, plain_load = side_by_side(
                partial(load, bridge.url + path), partial(load, plain.url + plain_path)
            )
    name = f"hot 200 of {events} events, against a plain Flask + icalendar bridge"
    return [_rates(name, bridge_load, plain_load, at_least=100)]


def against_open_web_calendar(python: Path) -> list[Row]:
    """Against Open Web Calendar, which reads the bridge's feed and serves its events.

    Args:
        python: the Python of the environment in which it is installed.
    """
    path = f"/sessions.ics?past=0&future={_DAYS_OF_500_EVENTS}"
    with studio.upstream(2000) as (upstream, _), servers.bridge(upstream.url) as bridge:
        events = bridge.get(path).text.count("BEGIN:VEVENT")
        port = servers.free_port()
        address = ["--bind", f"{HOST}:{port}", "-w", "1"]
        command = [str(python), "-m", "gunicorn", *address, "open_web_calendar.app:app"]
        with servers.process(command, port, path="/about.html") as other:
            other_path = f"/calendar.ics?url={bridge.url}{path.replace('&', '%26')}"
            assert other.get(other_path).text.count("BEGIN:VEVENT") == events
            own_time, other_time = _milliseconds(bridge, path), _milliseconds(other, other_path)
    return [
        Row(
            name=f"warm feed of {events} events, one request after the other,"
            " against Open Web Calendar",
            value=own_time,
            unit=" ms",
            reference=other_time,
            speedup=True,
        )
    ]


def _milliseconds(server: Server, path: str, times: int = 11) -> float:
    """The median time of a response."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        server.get(path)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _rates(name: str, own: Load, other: Load, at_least: float | None = None) -> Row:
    return Row(name=name, value=own.rate, unit="/s", reference=other.rate, at_least=at_least)


def _fetch(server: Server, path: str, headers: Mapping[str, str] | None = None) -> _Response:
    """The second response to a request: only the first one may be rendered by Flask."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    for _ in range(2):
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        body = response.read()
    connection.close()
    by_server = ("server", "date")
    return _Response(
        f"{response.status} {response.reason}",
        [pair for pair in response.getheaders() if pair[0].lower() not in by_server],
        body,
    )


@contextmanager
def _peers(responses: Mapping[str, _Response]) -> Iterator[_Peers]:
    """Servers that send *responses*.

    Raises:
        RuntimeError: the bare function's responses differ from the bridge's.
    """
    app = "bench.bare:app"
    with _folder(responses) as folder:
        env = {"BARE_RESPONSES": str(folder / "responses.json")}
        with (
            servers.wsgi(app, env=env, path=_PLAIN) as bare,
            servers.wsgi(app, threads=1, env=env, path=_PLAIN) as single,
            _nginx(folder) as nginx,
        ):
            for path, response in responses.items():
                if _fetch(bare, path) != response:
                    raise RuntimeError(f"different responses: {_fetch(bare, path)} and {response}")
            yield _Peers(bare, single, nginx)


@contextmanager
def _folder(responses: Mapping[str, _Response]) -> Iterator[Path]:
    """A folder with the bodies in files, and the ``responses.json`` that bench/bare.py reads."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Started by root, nginx reads files as another user.
        folder.chmod(0o755)
        for path, response in responses.items():
            (folder / path[1:]).write_bytes(response.body)
        index = {
            path: [response.status, response.headers, path[1:]]
            for path, response in responses.items()
        }
        (folder / "responses.json").write_text(json.dumps(index), encoding="utf-8")
        yield folder


def _nginx(folder: Path) -> AbstractContextManager[Server]:
    return servers.nginx_with_files(
        f"""
        root {folder};
        location {_GZIP} {{
            types {{ }}
            default_type text/calendar;
            add_header Content-Encoding gzip;
        }}
        """,
        path=_PLAIN,
    )
