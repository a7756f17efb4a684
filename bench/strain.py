"""Under strain: an upstream that hangs, and a thousand hot feeds in memory."""

import time

import requests

from bench import servers, studio
from bench.load import CONNECTIONS, load
from bench.table import Row

_FEED = "/sessions.ics?past=0&future=44"
_BYTES = 268_435_456
_ROOM = 150


def hanging() -> list[Row]:
    """A warm feed while upstream accepts requests and answers none."""
    rows = []
    with (
        studio.upstream(200) as (upstream, faults),
        servers.bridge(upstream.url, CACHE_TTL="10") as bridge,
    ):
        for _ in range(2):
            tag = bridge.get(_FEED).headers["ETag"]
        faults.set("delay", 600)
        # the server's threads begin with the first load
        load(bridge.url + _FEED, seconds=1)
        fresh = load(bridge.url + _FEED, seconds=3)
        fresh_few = load(bridge.url + _FEED, seconds=2, connections=8)
        _until_stale(bridge)
        stale = load(bridge.url + _FEED, seconds=6)
        unchanged = load(bridge.url + _FEED, [f"If-None-Match: {tag}"], seconds=6)
        few = load(bridge.url + _FEED, seconds=6, connections=8)
        # nobody has to wait until it would have answered
        faults.clear()
    for what, one, reach in (
        (f"fresh, {CONNECTIONS} connections", fresh, 25.0),
        ("fresh, 8 connections", fresh_few, 25.0),
        (f"stale, {CONNECTIONS} connections", stale, 25.0),
        (f"stale, {CONNECTIONS} connections, 304", unchanged, 25.0),
        ("stale, 8 connections", few, 25.0),
    ):
        assert one.failed == 0, one
        rows.append(
            Row(
                f"warm feed while upstream hangs: {what}, p50 and p99",
                f"{one.p50:.1f} and {one.p99:.1f} ms",
                f"{one.rate:,.0f}/s",
                "",
                f"p99 ≤ {reach:.0f} ms",
                one.p99 <= reach,
            )
        )
    return rows


def _until_stale(bridge: servers.Server) -> None:
    deadline = time.monotonic() + 30
    while "stale" not in bridge.get(_FEED).headers["Cache-Status"]:
        if time.monotonic() > deadline:
            raise RuntimeError("the feed does not become stale")
        time.sleep(0.2)


def memory(feeds: int = 1_000) -> list[Row]:
    """A worker's memory with that many feeds of 100 kB ready, plain and compressed."""
    with (
        studio.upstream(2_000) as (upstream, _),
        servers.bridge(upstream.url, CACHE_MAX_BYTES=str(_BYTES)) as bridge,
        requests.Session() as session,
    ):
        paths = [_of_twelve_venues(number) for number in range(feeds)]
        before = bridge.megabytes()
        size = 0
        for turn in range(3):
            ready = 0
            for path in paths:
                for coding in ("identity", "gzip"):
                    answer = session.get(
                        bridge.url + path, headers={"Accept-Encoding": coding}, timeout=60
                    )
                    assert answer.status_code == 200, answer.text
                    ready += answer.headers["Cache-Status"].startswith("bridge; hit")
                    if turn == 0 and coding == "identity":
                        size += len(answer.content)
        after = bridge.megabytes()
    assert ready == 2 * feeds, f"{ready} of {2 * feeds} answers were ready"
    limit = _BYTES / 1e6 + _ROOM
    return [
        Row(
            f"memory with {feeds:,} hot feeds of {size / feeds / 1000:.0f} kB, plain and gzip"
            f" (`CACHE_MAX_BYTES={_BYTES}`)",
            f"{after:.0f} MB",
            f"{before:.0f} MB before",
            "",
            f"≤ {limit:.0f} MB",
            after <= limit,
        )
    ]


def _of_twelve_venues(number: int) -> str:
    """A feed that no other number has."""
    first = [(number + step * (1 + number // studio.VENUES)) % studio.VENUES for step in range(12)]
    venues = "%2C".join(str(1 + one) for one in sorted(set(first)))
    return f"/sessions.ics?venues={venues}"
