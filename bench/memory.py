"""Memory use of the bridge: after its start, and with a thousand hot feeds."""

import requests

from bench import servers, studio
from bench.table import Row

_CACHE_BYTES = 268_435_456
_VENUES_PER_FEED = 12


def rows(feeds: int = 1_000) -> list[Row]:
    """Memory at rest, and with *feeds* feeds of 100 kB in the response cache."""
    paths = [_feed_of_venues(number) for number in range(feeds)]
    with (
        studio.upstream(2_000) as (upstream, _),
        servers.bridge(upstream.url, CACHE_MAX_BYTES=str(_CACHE_BYTES)) as bridge,
        requests.Session() as client,
    ):
        at_rest = bridge.megabytes()
        for _ in range(3):
            responses = [
                client.get(bridge.url + path, headers={"Accept-Encoding": coding}, timeout=60)
                for path in paths
                for coding in ("identity", "gzip")
            ]
        loaded = bridge.megabytes()
    # All responses of the last round must come from the cache.
    hits = [response.headers["Cache-Status"].startswith("bridge; hit") for response in responses]
    assert all(hits), f"{sum(hits)} of {len(hits)} responses came from the cache"
    kilobytes = sum(len(response.content) for response in responses) / len(responses) / 1000
    return [
        Row(name="memory at rest", value=at_rest, unit=" MB", at_most=69 * 1.1),
        Row(
            name=f"memory with {feeds:,} hot feeds of {kilobytes:.0f} kB, plain and gzip"
            f" (`CACHE_MAX_BYTES={_CACHE_BYTES}`)",
            value=loaded,
            unit=" MB",
            at_most=205 * 1.1,
        ),
    ]


def _feed_of_venues(number: int) -> str:
    """A feed of twelve venues, different for each number."""
    step = 1 + number // studio.VENUES
    venues = {(number + step * place) % studio.VENUES for place in range(_VENUES_PER_FEED)}
    return "/sessions.ics?venues=" + "%2C".join(str(1 + venue) for venue in sorted(venues))
