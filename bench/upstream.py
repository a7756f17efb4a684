"""Requests to upstream: their number for many feeds, and the time of the first response."""

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from bench import servers, studio
from bench.table import Row
from bridge.sandbox.api import TOKEN
from bridge.sandbox.http_server import SandboxServer

PAGE_SECONDS = 0.25
CONCURRENCY = 4
_BUSY_SECONDS = 60


def calls(sessions: int = 2_000) -> list[Row]:
    """Requests to upstream within one ``CACHE_TTL``, for 1 to 1,000 feeds of one provider."""
    paths = [
        *(f"/venues/{1 + number}.ics" for number in range(studio.VENUES)),
        *(f"/instructors/{1 + number}.ics" for number in range(studio.INSTRUCTORS)),
        *(f"/sessions.ics?offering_types={1 + number}" for number in range(studio.TYPES)),
    ]
    rows = []
    with studio.upstream(sessions) as (upstream, _):
        for feeds in (1, 10, 100, 1_000):
            upstream.requests.clear()
            with servers.bridge(upstream.url) as bridge, requests.Session() as client:
                for path in paths[:feeds]:
                    client.get(bridge.url + path, timeout=60).raise_for_status()
            rows.append(
                Row(
                    name=f"requests to upstream for {_count(feeds, 'feed')} of {sessions:,}"
                    " sessions, against the pages of one walk",
                    value=len(upstream.requests),
                    unit="",
                    reference=math.ceil(sessions / 100),
                    at_most=1 if feeds == 1_000 else None,
                )
            )
    return rows


def cold() -> list[Row]:
    """The first response of a bridge with an empty store, against the time of upstream's pages."""
    rows = []
    for sessions in (100, 500, 2_000):
        pages = math.ceil(sessions / 100)
        rounds = math.ceil(1 + (pages - 1) / CONCURRENCY)
        with studio.upstream(sessions, pace=PAGE_SECONDS) as (upstream, _):
            _first_response(upstream, sessions)  # upstream records its pages
            reference = rounds * _page_seconds(upstream)
            name = f"cold feed of {_count(pages, 'page')}, against {_count(rounds, 'page time')}"
            rows.append(_cold_row(name, upstream, sessions, reference, at_most=1.3))
            if sessions == 2_000:
                with _busy_processes():
                    name += ", beside one busy process per core"
                    rows.append(_cold_row(name, upstream, sessions, reference, at_most=1.5))
    return rows


def _cold_row(
    name: str, upstream: SandboxServer, sessions: int, reference: float, *, at_most: float
) -> Row:
    taken = [_first_response(upstream, sessions) for _ in range(3)]
    return Row(
        name=name,
        value=statistics.median(taken),
        unit=" s",
        reference=reference,
        at_most=at_most,
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _first_response(upstream: SandboxServer, sessions: int) -> float:
    """Seconds that a newly started bridge takes for its first feed."""
    with servers.bridge(upstream.url, FEED_MAX_BYTES="0") as bridge:
        began = time.perf_counter()
        response = bridge.get("/sessions.ics")
        seconds = time.perf_counter() - began
    assert response.text.count("BEGIN:VEVENT") == sessions
    return seconds


def _page_seconds(upstream: SandboxServer) -> float:
    """The median time of one page, requested as the bridge did."""
    request = upstream.requests[-1]
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        response = requests.get(
            upstream.origin + request.path,
            params=request.args,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        response.json()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@contextmanager
def _busy_processes() -> Iterator[None]:
    """One busy process per core; each exits by itself after a minute."""
    program = (
        f"import time\nend = time.monotonic() + {_BUSY_SECONDS}\nwhile time.monotonic() < end: pass"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program]) for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()
