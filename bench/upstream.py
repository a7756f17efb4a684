"""What upstream notices: calls for many feeds, and how long a first answer takes."""

import math
import statistics
import time

import requests

from bench import servers, studio
from bench.table import Row
from bridge.sandbox.api import TOKEN
from bridge.sandbox.server import SandboxServer

PAGE_SECONDS = 0.25
CONCURRENCY = 4


def calls(sessions: int = 2_000) -> list[Row]:
    """Requests to upstream within a lifetime, for ever more feeds of one provider."""
    paths = [
        *(f"/venues/{1 + number}.ics" for number in range(studio.VENUES)),
        *(f"/instructors/{1 + number}.ics" for number in range(studio.INSTRUCTORS)),
        *(f"/sessions.ics?offering_types={1 + number}" for number in range(studio.TYPES)),
    ]
    pages = math.ceil(sessions / 100)
    rows = []
    with studio.upstream(sessions) as (upstream, _):
        for feeds in (1, 10, 100, 1_000):
            upstream.requests.clear()
            with servers.bridge(upstream.url) as bridge, requests.Session() as session:
                for path in paths[:feeds]:
                    answer = session.get(bridge.url + path, timeout=60)
                    assert answer.status_code == 200, answer.text
            asked = len(upstream.requests)
            rows.append(
                Row(
                    f"calls upstream for {feeds:,} feed{'s' if feeds > 1 else ''} of"
                    f" {sessions:,} sessions",
                    f"{asked}",
                    f"one walk: {pages} pages",
                    f"{asked / pages:.2f} ×",
                    "one walk" if feeds == 1_000 else "",
                    asked <= pages if feeds == 1_000 else None,
                )
            )
    return rows


def cold() -> list[Row]:
    """The first answer of a bridge that knows nothing, against the time of upstream's pages."""
    rows = []
    for sessions in (100, 500, 2_000):
        pages = math.ceil(sessions / 100)
        with studio.upstream(sessions, pace=PAGE_SECONDS) as (upstream, _):
            taken = []
            # the first has its pages recorded
            for _ in range(4):
                with servers.bridge(upstream.url, FEED_MAX_BYTES="0") as bridge:
                    began = time.perf_counter()
                    answer = bridge.get("/sessions.ics")
                    taken.append(time.perf_counter() - began)
                    assert answer.text.count("BEGIN:VEVENT") == sessions
            here = statistics.median(taken[1:])
            page = _page(upstream)
        turns = math.ceil(1 + (pages - 1) / CONCURRENCY)
        rows.append(
            Row.at_most(
                f"cold feed of {pages} page{'s' if pages > 1 else ''}, against {turns} page"
                f" time{'s' if turns > 1 else ''}",
                f"{here:.2f} s",
                f"{turns} × {page:.2f} s",
                here / (turns * page),
                1.3,
            )
        )
    return rows


def _page(upstream: SandboxServer) -> float:
    """Seconds that one page takes, as the bridge asked for it."""
    asked = upstream.requests[-1]
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        answer = requests.get(
            upstream.origin + asked.path,
            params=asked.args,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        answer.json()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
