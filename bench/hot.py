"""The hot path: a feed that is asked for again and again."""

import gzip
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import servers, studio
from bench.load import CONNECTIONS, Load, load, side_by_side
from bench.servers import Server
from bench.table import Row
from bridge.sandbox.api import TOKEN

# Days ahead of a provider with 200 sessions in 80 days.
_DAYS_OF_90_KB, _DAYS_OF_40_EVENTS = 44, 16
# Of one with 2,000.
_DAYS_OF_500_EVENTS = 19
_GZIP = "Accept-Encoding: gzip"


def against_nginx() -> tuple[list[Row], Mapping[str, float]]:
    """Against nginx with the same bytes in a file; one worker each.

    Returns:
        The rows; and answers a second and other figures, by name.
    """
    path = f"/sessions.ics?past=0&future={_DAYS_OF_90_KB}"
    with studio.upstream(200) as (upstream, _), servers.bridge(upstream.url) as bridge:
        for _ in range(2):
            here = bridge.get(path)
        assert here.headers["Cache-Status"].startswith("bridge; hit"), here.headers
        with _files(here.content) as nginx:
            there = nginx.get("/feed.ics")
            assert there.content == here.content
            ours, theirs = here.headers["ETag"], there.headers["ETag"]
            zipped = _zipped_bytes(bridge, path)
            full, full_nginx, bare, bare_nginx, small, small_nginx = side_by_side(
                lambda: load(bridge.url + path),
                lambda: load(nginx.url + "/feed.ics"),
                lambda: load(bridge.url + path, [f"If-None-Match: {ours}"]),
                lambda: load(nginx.url + "/feed.ics", [f"If-None-Match: {theirs}"]),
                lambda: load(bridge.url + path, [_GZIP]),
                lambda: load(nginx.url + "/zipped.ics"),
            )
            strange, strange_nginx = side_by_side(
                lambda: load(bridge.url + path, strangers=True),
                lambda: load(nginx.url + "/feed.ics", strangers=True),
            )
    size = f"{len(here.content) / 1000:.0f} kB"
    rows = [
        _rate_row(f"hot 200 of {size}, against nginx with the same bytes", full, full_nginx, 0.8),
        _rate_row("hot 304, against nginx", bare, bare_nginx, 0.2),
        _rate_row("hot 200 with gzip, against nginx with the same bytes", small, small_nginx, None),
        _rate_row(
            "hot 200, each request in words of its own, against nginx",
            strange,
            strange_nginx,
            None,
        ),
        *(
            Row(
                f"{what} under {CONNECTIONS} connections, p50 and p99",
                _latency(one),
                f"nginx {_latency(other)}",
                "",
            )
            for what, one, other in (("hot 200", full, full_nginx), ("hot 304", bare, bare_nginx))
        ),
    ]
    return rows, {
        "rate_200": full.rate,
        "rate_304": bare.rate,
        "rate_gzip": small.rate,
        "bytes_gzip": float(zipped),
    }


def _zipped_bytes(bridge: Server, path: str) -> int:
    """Bytes of the answer as it goes over the wire; the compressed one is kept from now on."""
    for _ in range(2):
        answer = bridge.get(path, Accept_Encoding="gzip")
    return int(answer.headers["Content-Length"])


def against_the_plain_bridge() -> list[Row]:
    """Against a bridge as one writes it in an afternoon, under the same server."""
    path, plain_path = f"/sessions.ics?past=0&future={_DAYS_OF_40_EVENTS}", "/16.ics"
    with studio.upstream(200) as (upstream, _), servers.bridge(upstream.url) as bridge:
        env = {"TEAMUP_BASE_URL": upstream.url, "TEAMUP_API_TOKEN": TOKEN}
        with servers.wsgi("bench.plain:app", env=env, path=plain_path) as plain:
            counts = [
                one.get(at).text.count("BEGIN:VEVENT")
                for one, at in ((bridge, path), (plain, plain_path))
            ]
            # how many of today are over depends on the time of day
            assert counts[0] == counts[1] in range(37, 44), counts
            bridge.get(path)
            here, there = side_by_side(
                lambda: load(bridge.url + path), lambda: load(plain.url + plain_path)
            )
    return [
        _rate_row(
            f"hot 200 of {counts[0]} events, against a plain Flask + icalendar bridge",
            here,
            there,
            100,
        )
    ]


def against_open_web_calendar(python: Path) -> list[Row]:
    """Against Open Web Calendar, which reads the bridge's feed and serves its events on.

    Args:
        python: of the environment that it is installed in.
    """
    path = f"/sessions.ics?past=0&future={_DAYS_OF_500_EVENTS}"
    with studio.upstream(2000) as (upstream, _), servers.bridge(upstream.url) as bridge:
        events = bridge.get(path).text.count("BEGIN:VEVENT")
        port = servers.free_port()
        command = [
            *(str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "-w", "1"),
            "open_web_calendar.app:app",
        ]
        with servers.process(command, port, path="/about.html") as other:
            quoted = f"{bridge.url}{path}".replace("&", "%26")
            same = f"/calendar.ics?url={quoted}"
            assert other.get(same).text.count("BEGIN:VEVENT") == events
            here, there = _one_by_one(bridge, path), _one_by_one(other, same)
    return [
        Row(
            f"warm feed of {events} events, against Open Web Calendar, one after the other",
            f"{here * 1000:.2f} ms",
            f"{there * 1000:.0f} ms",
            f"{there / here:,.0f} ×",
        )
    ]


def _one_by_one(server: Server, path: str, times: int = 11) -> float:
    """Seconds that an answer takes, half of them longer."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        server.get(path)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@contextmanager
def _files(body: bytes) -> Iterator[Server]:
    """nginx with *body* in files."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        Path(folder, "feed.ics").write_bytes(body)
        Path(folder, "zipped.ics").write_bytes(gzip.compress(body, 6, mtime=0))
        locations = f"""
            location / {{ root {folder}; }}
            location /zipped.ics {{ root {folder}; add_header Content-Encoding gzip; }}
        """
        with servers.nginx(locations, path="/feed.ics") as server:
            yield server


def _rate_row(what: str, here: Load, there: Load, reach: float | None) -> Row:
    figures = (f"{here.rate:,.0f}/s", f"{there.rate:,.0f}/s")
    ratio = here.rate / there.rate
    if reach is None:
        return Row(what, *figures, f"{ratio:.2f} ×")
    return Row.at_least(what, *figures, ratio, reach)


def _latency(one: Load) -> str:
    return f"{one.p50:.1f} and {one.p99:.1f} ms"
